// The part of CUDA's header of this name that kernels use.
#pragma once
#include "half.h"

struct __half {
    uint16_t bits;
};
inline __half __float2half(float x) { return {emu::to_float16(x)}; }
inline float __half2float(__half h) { return emu::from_float16(h.bits); }
inline __half __hadd(__half a, __half b) { return __float2half(__half2float(a) + __half2float(b)); }
inline __half __hsub(__half a, __half b) { return __float2half(__half2float(a) - __half2float(b)); }
inline __half __hmul(__half a, __half b) { return __float2half(__half2float(a) * __half2float(b)); }
inline bool __hgt(__half a, __half b) { return __half2float(a) > __half2float(b); }
