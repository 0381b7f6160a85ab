// 16-bit floats in 32-bit arithmetic: the bits of IEEE half and of bfloat16, rounded to nearest even.
#pragma once
#include <stdint.h>
#include <string.h>

namespace emu {

inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

inline float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

inline uint16_t to_bfloat16(float x) {
    uint32_t bits = bits_of(x);
    if (x != x) return uint16_t(bits >> 16 | 64);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float from_bfloat16(uint16_t h) { return from_bits(uint32_t(h) << 16); }

inline uint16_t to_float16(float x) {
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (x != x) return uint16_t(sign | 0x7e00);
    if (magnitude >= 0x477ff000) return uint16_t(sign | 0x7c00);  // 65520 and more round to infinity
    if (magnitude < 0x38800000)  // below 2^-14: the steps are 2^-24, as float's are at 0.5
        return uint16_t(sign | (bits_of(from_bits(magnitude) + 0.5f) - bits_of(0.5f)));
    return uint16_t(sign | (((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13) - (112 << 10)));
}

inline float from_float16(uint16_t h) {
    uint32_t sign = uint32_t(h & 0x8000) << 16, magnitude = h & 0x7fff;
    if (magnitude >= 0x7c00) return from_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    float x = from_bits((magnitude << 13) + (112u << 23));
    if (magnitude < 0x400) x = from_bits(magnitude + bits_of(0.5f)) - 0.5f;
    return from_bits(bits_of(x) | sign);
}

}  // namespace emu
