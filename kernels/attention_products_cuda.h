// attention_products.h on NVIDIA GPUs since Ampere (mma.sync). As in attention_cuda.h kernels neither allocate nor synchronise; pointers
// are device memory but for shape.dilation. Results do not depend on the order in which thread blocks run.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/attention_products.h"

namespace fovea::kernels::cuda {

// nullptr, or why these layers cannot run.
const char* products_unsupported(const AttentionScores& scores, HeadFusion fusion, int compute_capability);

// For attention_lse and attention_product alike; 256-byte aligned, contents undefined before and after. Four bytes a token, and a little.
std::size_t products_workspace_bytes(const AttentionScores& scores);

// Writes the log-sum-exp of the grid queries of result.rect (may be empty) and of the global queries (if result.globals is given).
cudaError_t attention_lse(const AttentionScores& scores, const LsePlanes<float>& result, void* workspace, cudaStream_t stream);

// lse: of every query that the product touches. In A: those of input_rect, and the globals if there is input_globals.
// A in: those of output_rect, and the globals if there is output_globals.
cudaError_t attention_product(const AttentionProduct& product, const LsePlanes<const float>& lse, void* workspace, cudaStream_t stream);

}  // namespace fovea::kernels::cuda
