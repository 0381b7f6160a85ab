// Products of operands that are rounded to bfloat16: their sums, and all else, stay float32.
//
// A word of 32 bits holds two bfloat16, neighbours along k, in the place of one float. So a product of K
// terms is one of K / 2 words: what gemm.h says of a term holds of a word, and only multiply-and-add is
// another instruction, which adds two products to a float32. Words are taken by the STEP: both sides are
// filled up with zeros.
#pragma once
#include "gemm.h"

// What Call::precision says: the operands are as they are; words, by AVX512-BF16; words, by AMX.
enum Precision { AS_THEY_ARE, BY_VECTORS, BY_TILES };

constexpr int STEP = 16;
inline int words(int n) { return ceil_div(n, 2 * STEP) * STEP; }

// What this processor (and its system) has of it: the best of Precision.
Precision best_precision();

// to[i] = (from[2 i], from[2 i + 1]) for n values; zeros follow, up to words(n).
void round_row(float* to, const float* from, int n);

// to[i] = (a[i], b[i]) for n values; zeros follow to the end of the vector. A row that is null is one of
// zeros.
void round_rows(float* to, const float* a, const float* b, int n);

// to[i][j] = from[j][i] for STEP values j and the first `rows` values i, at most STEP.
void transpose_words(float* to, ptrdiff_t to_row, const float* from, ptrdiff_t from_row, int rows);

// As pack_block, in words: packed[word of k][lane], words(K) of them.
void pack_words(float* packed, const float* w, ptrdiff_t k_stride, ptrdiff_t n_stride, int K, int N,
                int block);

// The tile of gemm.h in words: how many rows it takes at most, and the function, null for AS_THEY_ARE.
inline int tile_height(Precision precision) { return precision == BY_TILES ? 2 * STEP : ROWS; }
AnyTile<float> words_tile(Precision precision);

// A thread that has called a product says when it will not soon call another one.
void leave_tiles();
