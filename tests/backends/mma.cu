// mma.sync in small: one warp multiplies c [16,8] = a [16,K] b [K,8]. A row of a and a column of b is `words`
// words of 32 bits. test_mma.py runs these kernels against NumPy, and plants faults in them.
template <int WORDS, class F>  // of a row in one instruction
__device__ __forceinline__ void product(const unsigned* a, const unsigned* b, float* c, int words,
                                        F multiply) {
    __shared__ unsigned as[16][8];
    __shared__ unsigned bs[8][8];
    int lane = threadIdx.x, g = lane / 4, t = lane % 4;
    float sum[4] = {0, 0, 0, 0};
    for (int from = 0; from < words; from += WORDS) {
        for (int e = lane; e < 16 * WORDS; e += 32) {
            int row = e / WORDS, word = e % WORDS;
            as[row][word] = a[row * words + from + word];
            if (row < 8) bs[row][word] = b[row * words + from + word];
        }
        __syncwarp();  // after load
        unsigned fa[4], fb[2];
        for (int i = 0; i < WORDS / 2; i++) fa[i] = as[g + 8 * (i % 2)][t + 4 * (i / 2)];
        for (int i = 0; i < WORDS / 4; i++) fb[i] = bs[g][t + 4 * i];
        multiply(sum, fa, fb);
        __syncwarp();  // after use
    }
    for (int i = 0; i < 4; i++) c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = sum[i];
}

extern "C" __global__ void f16(const unsigned* a, const unsigned* b, float* c, int words) {
    product<8>(a, b, c, words, [](auto* s, auto* x, auto* y) { mma_m16n8k16_f16(s, x, y); });
}
extern "C" __global__ void f16_k8(const unsigned* a, const unsigned* b, float* c, int words) {
    product<4>(a, b, c, words, [](auto* s, auto* x, auto* y) { mma_m16n8k8_f16(s, x, y); });
}
extern "C" __global__ void bf16(const unsigned* a, const unsigned* b, float* c, int words) {
    product<8>(a, b, c, words, [](auto* s, auto* x, auto* y) { mma_m16n8k16_bf16(s, x, y); });
}
extern "C" __global__ void tf32(const unsigned* a, const unsigned* b, float* c, int words) {
    product<8>(a, b, c, words, [](auto* s, auto* x, auto* y) { mma_m16n8k8_tf32(s, x, y); });
}

extern "C" __global__ void rounded(const float* x, unsigned* y, int n) {
    for (int i = threadIdx.x; i < n; i += 32) y[i] = to_tf32(x[i]);
}
