// The one place where the operator's arguments are judged.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "core/attention/attention_call.h"

namespace fovea {

// Raises c10::Error with one sentence, expected and found, unless the arguments are what local_global_attention documents.
// Works on tensors with symbolic sizes (Meta, torch.compile) as well; the batch then stays symbolic.
void check_attention_arguments(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionPattern& pattern,
                               std::optional<double> scale);

// Checks, then gathers the arguments in the form that back ends take: one dilation a head, a definite scale.
AttentionCall make_attention_call(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionPattern& pattern,
                                  std::optional<double> scale);

}  // namespace fovea
