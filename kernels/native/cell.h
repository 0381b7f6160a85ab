// A cell as the drivers see it: counts, and functions that apply it to some rows and units of one time step. The drivers
// know no cell; the cell maths of ../cells meets memory only here.
//
// Gate columns. The input side of gate g is column g. The recurrent side is the same column, but if the two sides are not
// shared (GRU, reset after) the last gate's recurrent side is column G. Backward puts the terms of dp after these.
#pragma once
#include "math.h"

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

template <class T> struct BackwardStep {
    int H;
    const T *s_prev[2], *s[2];
    ptrdiff_t state_row;
    const T* saved;
    ptrdiff_t saved_row;
    const T* dy;  // null: none
    ptrdiff_t dy_row, dy_unit;
    const uint8_t* live;
    ptrdiff_t live_row;
    const int* first_live;  // [B]: dy of the steps before it goes nowhere; null: of masked steps
    int step;
    const T* p;
    T *ds[2], *part;        // [B, padded H]: state gradients, and what the later phases have added to that of h_prev
    const T* operand;       // [B, padded H]: gradient of the operand
    ptrdiff_t ds_row;
    T* D;  // gate columns of row b at D + b * D_row
    ptrdiff_t D_row, D_column;
};

template <class T> struct Cell {
    int gates, states, saved, extras, phases, first[2], count[2];
    bool shared;
    // rows b0 .. b0+rows, blocks of units from unit u0 on; the sums of column c and block j at z + row * z_row + (c * COLS + j) * LANES
    void (*forward[2])(const ForwardStep<T>&, int b0, int rows, int u0, int blocks, const T* z, ptrdiff_t z_row);
    void (*backward[2])(const BackwardStep<T>&, int b0, int b1, int u0, int u1);
    void (*operand)(const T* saved, const T* const* s_prev, T* out, int H);  // one row; null if there is one phase

    int recurrent_column(int gate) const { return shared || gate + 1 < gates ? gate : gates; }
    int columns() const { return shared ? gates : gates + 1; }
};

// The cell called by its numbers in Call. Defined in cells.cpp.
template <class T> Cell<T> find_cell(int64_t cell, int64_t activation, int64_t recurrent_activation);

// One row, one block of units from u on; WHOLE: all its lanes are units.
template <class C, int K, bool WHOLE, class T>
RNN_FN void forward_block(const ForwardStep<T>& at, ptrdiff_t b, int u, bool live, const T* z) {
    using V = Vec<T>;
    constexpr int L = LANES<T>, GATES = C::template COUNT<K>;
    constexpr bool LAST = K == C::PHASES - 1;
    const int n = at.H - u;
    V s_prev[C::STATES], s[C::STATES], saved[C::SAVED + 1], xg[GATES], hg[GATES], p[C::EXTRAS + 1];
    T* kept = at.saved + (at.saved ? b * at.saved_row + u : 0);
    for (int i = 0; i < C::STATES; i++) s_prev[i] = load<WHOLE>(at.s_prev[i] + b * at.state_row + u, n);
    if (live) {
        for (int i = 0; i < C::EXTRAS; i++) p[i] = load<WHOLE>(at.p + i * at.H + u, n);
        for (int i = 0; i < GATES; i++) {
            xg[i] = load(z + i * COLS * L);
            hg[i] = splat(T(-0.0));  // already in xg; adding -0 changes nothing
        }
        if constexpr (!C::SHARED) hg[GATES - 1] = load(z + GATES * COLS * L);
        if constexpr (K > 0)
            for (int i = 0; i < C::template FIRST<K>; i++) saved[i] = load<WHOLE>(kept + i * at.H, n);
        C::template forward<K>(xg, hg, s_prev, saved, p, s);
    } else {
        for (int i = 0; i < C::STATES; i++) s[i] = LAST ? s_prev[i] : V{};
        for (int i = 0; i < C::SAVED; i++) saved[i] = V{};
    }
    if (at.saved) {
        constexpr int FROM = C::PHASES > 1 ? C::template FIRST<K> : 0, TO = C::PHASES > 1 ? FROM + GATES : C::SAVED;
        for (int i = FROM; i < TO; i++) store<WHOLE>(kept + i * at.H, saved[i], n);
    }
    if constexpr (!LAST) return store(at.operand + b * at.operand_row + u, s[0]);
    for (int i = 0; i < C::STATES; i++) store<WHOLE>(at.s[i] + b * at.state_row + u, s[i], n);
    V y = s[0];
    if (!live) y = at.zero_masked_outputs || !at.y_prev ? V{} : load<WHOLE>(at.y_prev + b * at.y_row + u, n);
    store<WHOLE>(at.y + b * at.y_row + u, y, n);
}

template <class C, int K, class T>
void forward_rows(const ForwardStep<T>& at, int b0, int rows, int u0, int blocks, const T* z, ptrdiff_t z_row) {
    for (int r = 0; r < rows; r++) {
        const bool live = !at.live || at.live[(b0 + r) * at.live_row];
        for (int j = 0; j < blocks; j++) {
            const int u = u0 + j * LANES<T>;
            const T* from = z + r * z_row + j * LANES<T>;
            if (at.H - u >= LANES<T>) forward_block<C, K, true>(at, b0 + r, u, live, from);
            else forward_block<C, K, false>(at, b0 + r, u, live, from);
        }
    }
}

template <class C, int K, bool WHOLE, class T>
RNN_FN void backward_block(const BackwardStep<T>& at, ptrdiff_t b, int u, bool live, bool heard) {
    using V = Vec<T>;
    constexpr int GATES = C::template COUNT<K>, COLUMNS = C::SHARED ? C::GATES : C::GATES + 1;
    constexpr bool LAST = K == C::PHASES - 1;
    const int n = at.H - u;
    T *ds = at.ds[0] + b * at.ds_row + u, *part = at.part + (C::PHASES > 1 ? b * at.ds_row + u : 0), *D = at.D + b * at.D_row + u;
    V d[C::STATES + 1], saved[C::SAVED + 1], s_prev[C::STATES], s[C::STATES], p[C::EXTRAS + 1];
    V dxg[GATES], dhg[GATES], ds_prev[C::STATES], dp[C::EXTRAS + 1];
    d[0] = load(ds);
    if (heard) d[0] += load<WHOLE>(at.dy + b * at.dy_row + u * at.dy_unit, n, at.dy_unit);
    if (live) {
        for (int i = 1; i < C::STATES; i++) d[i] = load(at.ds[i] + b * at.ds_row + u);
        if constexpr (!LAST) d[C::STATES] = load(at.operand + b * at.ds_row + u);
        for (int i = 0; i < C::SAVED; i++) saved[i] = load<WHOLE>(at.saved + b * at.saved_row + i * at.H + u, n);
        for (int i = 0; i < C::STATES; i++) {
            s_prev[i] = load<WHOLE>(at.s_prev[i] + b * at.state_row + u, n);
            s[i] = load<WHOLE>(at.s[i] + b * at.state_row + u, n);
        }
        for (int i = 0; i < C::EXTRAS; i++) p[i] = load<WHOLE>(at.p + i * at.H + u, n);
        C::template backward<K>(d, saved, s_prev, s, p, dxg, dhg, ds_prev, dp);
    } else {
        for (int i = 0; i < GATES; i++) dxg[i] = dhg[i] = V{};
        for (int i = 0; i < C::EXTRAS; i++) dp[i] = V{};
        ds_prev[0] = d[0];
    }
    for (int i = 0; i < GATES; i++) store(D + (C::template FIRST<K> + i) * at.D_column, dxg[i]);
    if constexpr (!C::SHARED) store(D + C::GATES * at.D_column, dhg[GATES - 1]);
    for (int i = 0; i < C::EXTRAS; i++) store(D + (COLUMNS + i) * at.D_column, dp[i]);
    if constexpr (C::PHASES == 1) {
        store(ds, ds_prev[0]);
    } else if constexpr (LAST) {
        store(ds, d[0]);
        store(part, ds_prev[0]);
    } else {
        store(ds, live ? load(part) + ds_prev[0] : d[0]);
    }
    if (live)
        for (int i = 1; i < C::STATES; i++) store(at.ds[i] + b * at.ds_row + u, ds_prev[i]);
}

template <class C, int K, class T>
void backward_rows(const BackwardStep<T>& at, int b0, int b1, int u0, int u1) {
    for (int b = b0; b < b1; b++) {
        const bool live = !at.live || at.live[b * at.live_row];
        const bool heard = K == C::PHASES - 1 && at.dy && (at.first_live ? at.step >= at.first_live[b] : live);
        for (int u = u0; u < u1; u += LANES<T>)
            if (at.H - u >= LANES<T>) backward_block<C, K, true>(at, b, u, live, heard);
            else backward_block<C, K, false>(at, b, u, live, heard);
    }
}

template <class C, class T>
void operand_row(const T* saved, const T* const* s_prev, T* out, int H) {
    for (int u = 0; u < H; u += LANES<T>) {
        Vec<T> gates[C::SAVED], states[C::STATES];
        for (int i = 0; i < C::SAVED; i++) gates[i] = load(saved + i * H + u, H - u);
        for (int i = 0; i < C::STATES; i++) states[i] = load(s_prev[i] + u, H - u);
        store(out + u, C::template operand<0>(gates, states));
    }
}
