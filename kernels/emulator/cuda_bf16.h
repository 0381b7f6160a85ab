// The part of CUDA's header of this name that kernels use.
#pragma once
#include "half.h"

struct __nv_bfloat16 {
    uint16_t bits;
};
inline __nv_bfloat16 __float2bfloat16(float x) { return {emu::to_bfloat16(x)}; }
inline float __bfloat162float(__nv_bfloat16 h) { return emu::from_bfloat16(h.bits); }
