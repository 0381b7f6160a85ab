// A cell as the drivers see it: counts, and functions that apply it to some rows and units of one time step. The drivers
// know no cell. See pointwise.h for how the cell maths meets these arrays.
//
// Gate columns. The input side of gate g is column g. The recurrent side is the same column, but if the two sides are not
// shared (GRU, reset after) the last gate's recurrent side is column G. Backward puts the terms of dp after these.
#pragma once
#include <cstddef>
#include <cstdint>

#include "simd.h"

template <class T> struct ForwardStep {
    int H;
    const T* s_prev[2];  // row b is at s_prev[s] + b * state_row
    T* s[2];
    ptrdiff_t state_row;
    T* saved;  // row b: [A, H]; null if nothing is kept
    ptrdiff_t saved_row;
    T* y;             // null: not the last phase
    const T* y_prev;  // the step before; null at the first
    ptrdiff_t y_row;
    const uint8_t* live;  // null: every row is
    ptrdiff_t live_row;
    bool zero_masked_outputs;
    const T* p;  // [E, H]
    T* operand;  // of the next phase's product
    ptrdiff_t operand_row;
};

// The gradients of the gate columns in some rows, in panels [column][panel][row][PANEL]: so what a product with few columns reads
// is one stream. The panels do not begin at multiples of a power of two, which would crowd them into one corner of the cache.
template <class T> struct Gradients {
    T* first;
    ptrdiff_t panel, column;  // from one to the next

    Gradients(T* first, ptrdiff_t rows, int H) : first(first), panel(panel_size(rows)), column(panels(H) * panel) {}
    static ptrdiff_t panels(int H) { return (H + PANEL<T> - 1) / PANEL<T>; }
    static ptrdiff_t panel_size(ptrdiff_t rows) { return rows * PANEL<T> + LINE<T>; }

    T* at(int c, ptrdiff_t row, int u) const { return first + c * column + u / PANEL<T> * panel + row * PANEL<T> + u % PANEL<T>; }
};

template <class T> struct BackwardStep {
    int H;
    const Gradients<T>* D;  // row b of the step is row D_row + b
    ptrdiff_t D_row;
    const T *s_prev[2], *s[2];
    ptrdiff_t state_row;
    const T* saved;
    ptrdiff_t saved_row;
    const T* dy;  // null: none
    ptrdiff_t dy_row;
    const uint8_t* live;
    ptrdiff_t live_row;
    const int* first_live;  // [B]: dy of the steps before it goes nowhere; null: of masked steps
    int step;
    const T* p;
    T *ds[2], *part;        // [B, padded H]: state gradients, and what the later phases have added to that of h_prev
    const T* operand;       // [B, padded H]: gradient of the operand
    ptrdiff_t ds_row;
};

template <class T> struct Cell {
    int gates, states, saved, extras, phases, first[2], count[2];
    bool shared;
    // rows b0 .. b0+rows, `blocks` blocks of units from u0 on; sums of column c, block j: z + row * z_row + (c * COLS + j) * LANES
    void (*forward[2])(const ForwardStep<T>&, int b0, int rows, int u0, int blocks, const T* z, ptrdiff_t z_row);
    void (*backward[2])(const BackwardStep<T>&, int b0, int b1, int u0, int u1);
    // units u0 .. u1 of one row; null if there is one phase
    void (*operand)(const T* saved, const T* const* s_prev, T* out, int H, int u0, int u1);

    int recurrent_column(int gate) const { return shared || gate + 1 < gates ? gate : gates; }
    int columns() const { return shared ? gates : gates + 1; }
};
