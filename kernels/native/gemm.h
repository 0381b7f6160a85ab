// The one matrix product: a tile of R x C vectors of sums stays in registers while k runs.
//
//     out[r, :] = init[r, :] + sum over the parts, and over k in each part, of A[r, k] * B[k, :]
//
// B is packed: one array [K][LANES] for each of the C blocks of LANES columns, with the k of all parts in a row. Every sum
// runs over k in one fixed order, whatever R and C are: so a result does not depend on how rows and columns were dealt out.
// Within a part, runs of RUN terms are summed on their own and then put together: one long float32 sum would be less exact.
#pragma once
#include "simd.h"

constexpr int RUN = 128;

template <class T> struct Part {
    const T* a;        // A[r, k] = a[r * stride + k], or if PACKED a[k * ROWS + r]
    ptrdiff_t stride;
    int k;
};

template <class T, int R, int C, bool PACKED>
void tile(const Part<T>* parts, int count, const T* b, ptrdiff_t b_stride, const T* init, ptrdiff_t init_stride, T* out, ptrdiff_t out_stride) {
    constexpr int L = LANES<T>;
    Vec<T> sums[R][C];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) sums[r][c] = load(init + r * init_stride + c * L);
    for (const Part<T>* part = parts; part < parts + count; part++) {
        const T* a = part->a;
        const ptrdiff_t row = PACKED ? 1 : part->stride, step = PACKED ? ROWS : 1;
        for (int k = 0; k < part->k;) {
            const int end = part->k - k > RUN ? k + RUN : part->k;
            for (; k < end; k++, a += step, b += L) {
                Vec<T> w[C];
                for (int c = 0; c < C; c++) w[c] = load(b + c * b_stride);
                for (int r = 0; r < R; r++)
                    for (int c = 0; c < C; c++) sums[r][c] += a[r * row] * w[c];
            }
            if (part->k <= RUN) break;
            for (int r = 0; r < R; r++)
                for (int c = 0; c < C; c++) {
                    T* total = out + r * out_stride + c * L;
                    if (end > RUN) sums[r][c] += load(total);
                    if (end < part->k) store(total, sums[r][c]), sums[r][c] = Vec<T>{};
                }
        }
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) store(out + r * out_stride + c * L, sums[r][c]);
}

template <class T>
using TileFn = void (*)(const Part<T>*, int, const T*, ptrdiff_t, const T*, ptrdiff_t, T*, ptrdiff_t);

// The tile of `rows` x `cols` vectors: 1 <= rows <= ROWS, 1 <= cols <= COLS.
template <class T, bool PACKED, int N = ROWS * COLS>
TileFn<T> tile_for(int rows, int cols) {
    constexpr int R = (N - 1) / COLS + 1, C = (N - 1) % COLS + 1;
    if (rows == R && cols == C) return tile<T, R, C, PACKED>;
    if constexpr (N > 1) return tile_for<T, PACKED, N - 1>(rows, cols);
    return nullptr;
}

template <class T, bool PACKED> struct Tiles {
    TileFn<T> of[ROWS][COLS];
    Tiles() {
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < COLS; c++) of[r][c] = tile_for<T, PACKED>(r + 1, c + 1);
    }
};

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

// How many rows the next tile takes when `left` are left: tiles of nearly equal height, none above ROWS.
inline int tile_rows(int left) { return ceil_div(left, ceil_div(left, ROWS)); }

// W[k, n] = w[k * k_stride + n * n_stride], K x N, into block `block` of B: packed[k][lane], 0 beyond N.
template <class T>
void pack_block(T* packed, const T* w, ptrdiff_t k_stride, ptrdiff_t n_stride, int K, int N, int block) {
    constexpr int L = LANES<T>;
    const int lanes = N - block * L < L ? N - block * L : L;
    w += block * L * n_stride;
    if (n_stride == 1) {
        for (int k = 0; k < K; k++) store(packed + k * L, load(w + k * k_stride, lanes));
        return;
    }
    for (int lane = 0; lane < L; lane++)
        for (int k = 0; k < K; k++) packed[k * L + lane] = lane < lanes ? w[k * k_stride + lane * n_stride] : T(0);
}
