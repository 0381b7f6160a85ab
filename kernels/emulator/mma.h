// The functions of ../mma.h for the emulator: the machine multiplies when all 32 lanes have come.
#pragma once
#include "half.h"
#include "interface.h"

#define EMU_MMA(name, type, depth)                                                                          \
    inline UNCHECKED void name(float* sum, const unsigned* a, const unsigned* b, WHERE) {                   \
        emu::mma(emu::type, depth, sum, a, b, file, line);                                                  \
    }
EMU_MMA(mma_m16n8k16_f16, F16, 16)
EMU_MMA(mma_m16n8k16_bf16, BF16, 16)
EMU_MMA(mma_m16n8k8_f16, F16, 8)
EMU_MMA(mma_m16n8k8_tf32, TF32, 8)

inline unsigned to_tf32(float x) {
    uint32_t bits = emu::bits_of(x);
    return (x != x ? bits : bits + 0x1000) & ~0x1fffu;
}
