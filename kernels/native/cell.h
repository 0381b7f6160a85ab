// A cell as the drivers see it: counts, and functions that apply it to some rows and units of one time step.
// The drivers know no cell. See pointwise.h for how the cell maths meets these arrays.
//
// Gate columns. The input side of gate g is column g. The recurrent side is the same column, but if the two
// sides are not shared (GRU, reset after) the last gate's recurrent side is column G. Backward puts the terms
// of dp after these.
#pragma once
#include <cstddef>
#include <cstdint>

#include "limits.h"
#include "simd.h"

template <class Real> struct ForwardStep {
    int B, H;  // where there are tangents, that of row b is row B + b
    const Real* s_prev[MAX_STATES];  // row b is at s_prev[s] + b * state_row
    Real* s[MAX_STATES];
    ptrdiff_t state_row;
    Real* saved;  // row b: [A, H]; null if nothing is kept
    ptrdiff_t saved_row;
    Real* y;             // null: not the last phase
    const Real* y_prev;  // the step before; null at the first
    ptrdiff_t y_row;
    const uint8_t* live;  // null: every row is
    ptrdiff_t live_row;
    bool zero_masked_outputs;
    const Real *p, *tp;  // [E, H], and its tangent or null
    Real* operand;  // of the next phase's product
    ptrdiff_t operand_row;
};

// The gradients of the gate columns in some rows, in panels [column][panel][row][PANEL]: so what a product
// with few columns reads is one stream. The panels do not begin at multiples of a power of two, which would
// crowd them into one corner of the cache.
//
// Where products take words of bfloat16 (bfloat16.h) the gradients are there twice more: as the left side of
// a product, [column][row][word of two units], and as the right side, [column][block of units][word of two
// live rows][LANES].
template <class Real> struct Gradients {
    Real* first;
    ptrdiff_t panel, column;  // from one to the next
    ptrdiff_t rows;
    Real *operands = nullptr, *pairs = nullptr;
    ptrdiff_t operand_row = 0, pairs_block = 0, pairs_column = 0;

    Gradients(Real* first, ptrdiff_t rows, int H)
        : first(first), panel(panel_size(rows)), column(panels(H) * panel), rows(rows) {}
    Real* operand(int c, ptrdiff_t row) const { return operands + (c * rows + row) * operand_row; }
    Real* pairs_at(int c, int block) const { return pairs + c * pairs_column + block * pairs_block; }
    static ptrdiff_t panels(int H) { return (H + PANEL<Real> - 1) / PANEL<Real>; }
    static ptrdiff_t panel_size(ptrdiff_t rows) { return rows * PANEL<Real> + LINE<Real>; }

    Real* at(int c, ptrdiff_t row, int u) const {
        return first + c * column + u / PANEL<Real> * panel + row * PANEL<Real> + u % PANEL<Real>;
    }
};

template <class Real> struct BackwardStep {
    int B, H;
    const Gradients<Real>* dgates;  // row b of the step is row dgates_row + b
    ptrdiff_t dgates_row, dgates_far;  // values from a row to that of its tangent
    const Real *s_prev[MAX_STATES], *s[MAX_STATES];
    ptrdiff_t state_row;
    const Real* saved;
    ptrdiff_t saved_row;
    const Real* dy;  // null: none
    ptrdiff_t dy_row;
    const uint8_t* live;
    ptrdiff_t live_row;
    const int* first_live;  // [B]: dy of the steps before it goes nowhere; null: of masked steps
    int step;
    const Real *p, *tp;
    // [B, padded H]: state gradients; and what the later phases have added to those of s_prev
    Real *ds[MAX_STATES], *parts[MAX_STATES];
    const Real* operand;  // [B, padded H]: gradient of the operand
    ptrdiff_t ds_row;
};

template <class Real> struct OperandRow {
    int B, H;
    const Real *saved, *s_prev[MAX_STATES];
    ptrdiff_t saved_row, state_row;
};

template <class Real> struct Cell {
    int gates, states, saved, extras, phases;
    int first[MAX_PHASES], count[MAX_PHASES];  // the gates of each phase
    bool shared;
    // rows b0 .. b0+rows, `blocks` blocks of units from u0 on; those of column c, block j:
    // preact + row * preact_row + (c * COLS + j) * LANES
    void (*forward[MAX_PHASES])(const ForwardStep<Real>&, int b0, int rows, int u0, int blocks,
                                const Real* preact, ptrdiff_t preact_row);
    void (*backward[MAX_PHASES])(const BackwardStep<Real>&, int b0, int b1, int u0, int u1);
    // by the phase whose product takes it, from 1 on; units u0 .. u1 of row b
    void (*operand[MAX_PHASES])(const OperandRow<Real>&, int b, Real* out, int u0, int u1);
    const Cell* dual;  // the same on numbers that carry tangents (dual.h)

    int recurrent_column(int gate) const { return shared || gate + 1 < gates ? gate : gates; }
    int columns() const { return shared ? gates : gates + 1; }
};
