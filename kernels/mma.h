// Tensor cores: the 32 lanes of a warp together add a product of small matrices, sum [16,8] += a b.
//
// A row of a, and a column of b, is 8 words of 32 bits: 16 numbers of 16 bits, or 8 of TF32. Each lane holds
// some words of each matrix, its fragment. With g = lane / 4 and t = lane % 4:
//
//     a[i]      row g + 8 * (i % 2), word t + 4 * (i / 2)
//     b[i]      column g, word t + 4 * i
//     sum[i]    row g + 8 * (i / 2), column 2 * t + i % 2
//
// (PTX ISA, Matrix Fragments for mma.m16n8k16 with floating point type, for .f16 and .bf16; and those for
// mma.m16n8k8, for .f16 and .tf32. The fragments of m16n8k8 in float16 are the first half of these.)
//
// Sums are float32. mma.sync takes all lanes of a warp at once: none may stay away. The emulator has its own.
#ifndef EMULATOR
#define MMA_SYNC(shape, type, a_words, b_words)                                                             \
    "mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {" a_words "}, {" b_words  \
    "}, {%0,%1,%2,%3};"
#define MMA_SUM "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])

__device__ __forceinline__ void mma_m16n8k16_f16(float* sum, const unsigned* a, const unsigned* b) {
    asm volatile(MMA_SYNC("m16n8k16", "f16", "%4,%5,%6,%7", "%8,%9")
                 : MMA_SUM : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_m16n8k16_bf16(float* sum, const unsigned* a, const unsigned* b) {
    asm volatile(MMA_SYNC("m16n8k16", "bf16", "%4,%5,%6,%7", "%8,%9")
                 : MMA_SUM : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_m16n8k8_f16(float* sum, const unsigned* a, const unsigned* b) {
    asm volatile(MMA_SYNC("m16n8k8", "f16", "%4,%5", "%6")
                 : MMA_SUM : "r"(a[0]), "r"(a[1]), "r"(b[0]));
}
__device__ __forceinline__ void mma_m16n8k8_tf32(float* sum, const unsigned* a, const unsigned* b) {
    asm volatile(MMA_SYNC("m16n8k8", "tf32", "%4,%5,%6,%7", "%8,%9")
                 : MMA_SUM : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The nearest float32 whose last 13 bits are 0, ties away from zero.
__device__ __forceinline__ unsigned to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}
#endif
