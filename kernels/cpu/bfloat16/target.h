// Instructions that the kernels of this folder are compiled for. Only functions between BEGIN and END use them, so that the file which
// includes them needs no compiler flags and nothing that the standard library defines is compiled for a machine that may not be there.
#pragma once

#include <hwy/base.h>
#include <immintrin.h>

#define FOVEA_BEGIN_AVX512_BF16 HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,fma,bmi2")
#define FOVEA_END_AVX512_BF16 HWY_POP_ATTRIBUTES
