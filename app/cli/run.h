// One function a command; app/cli/run.cpp maps requests to them and errors to exit codes.
#pragma once

#include <stop_token>

#include "app/cli/requests.h"

namespace fovea::cli {

int run_segment(const SegmentRequest& request, const CommonOptions& common, const std::stop_token& stop);
int run_attend(const AttendRequest& request, const CommonOptions& common, const std::stop_token& stop);
int run_train(const TrainRequest& request, const CommonOptions& common, const std::stop_token& stop);
int run_eval(const EvalRequest& request, const CommonOptions& common, const std::stop_token& stop);
int run_import(const ImportRequest& request, const CommonOptions& common, const std::stop_token& stop);
int run_bench(const BenchRequest& request, const CommonOptions& common, const std::stop_token& stop);
int run_info(const InfoRequest& request, const CommonOptions& common, const std::stop_token& stop);

}  // namespace fovea::cli
