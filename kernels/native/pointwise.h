// Where a cell of ../cells meets memory: one phase of one step, forward and backward, for some rows and units.
#pragma once
#include "cell.h"
#include "math.h"

// One row, one pair of blocks of units from u on.
template <class C, int K, class T, class Lanes>
RNN_FN void forward_pair(const ForwardStep<T>& at, ptrdiff_t b, int u, bool live, const T* z, Lanes lanes) {
    using V = Pair<T>;
    constexpr int GATES = C::template COUNT<K>;
    constexpr bool LAST = K == C::PHASES - 1;
    V s_prev[C::STATES], s[C::STATES], saved[C::SAVED + 1], xg[GATES], hg[GATES], p[C::EXTRAS + 1];
    T* kept = at.saved ? at.saved + b * at.saved_row + u : nullptr;
    for (int i = 0; i < C::STATES; i++) s_prev[i] = lanes.load(at.s_prev[i] + b * at.state_row + u);
    if (live) {
        for (int i = 0; i < C::EXTRAS; i++) p[i] = lanes.load(at.p + i * at.H + u);
        for (int i = 0; i < GATES; i++) {
            xg[i] = load_pair(z + i * COLS * LANES<T>);
            hg[i] = {splat(T(-0.0)), splat(T(-0.0))};  // already in xg; adding -0 changes nothing
        }
        if constexpr (!C::SHARED) hg[GATES - 1] = load_pair(z + GATES * COLS * LANES<T>);
        if constexpr (K > 0)
            for (int i = 0; i < C::template FIRST<K>; i++) saved[i] = lanes.load(kept + i * at.H);
        C::template forward<K>(xg, hg, s_prev, saved, p, s);
    } else {
        for (int i = 0; i < C::STATES; i++) s[i] = LAST ? s_prev[i] : V{};
        for (int i = 0; i < C::SAVED; i++) saved[i] = V{};
    }
    constexpr int FROM = C::PHASES > 1 ? C::template FIRST<K> : 0, TO = C::PHASES > 1 ? FROM + GATES : C::SAVED;
    if (kept)
        for (int i = FROM; i < TO; i++) lanes.store(kept + i * at.H, saved[i]);
    if constexpr (!LAST) return store_pair(at.operand + b * at.operand_row + u, s[0]);
    for (int i = 0; i < C::STATES; i++) lanes.store(at.s[i] + b * at.state_row + u, s[i]);
    if (!live) s[0] = at.zero_masked_outputs || !at.y_prev ? V{} : lanes.load(at.y_prev + b * at.y_row + u);
    lanes.store(at.y + b * at.y_row + u, s[0]);
}

template <class C, int K, class T, class Lanes>
RNN_FN void backward_pair(const BackwardStep<T>& at, ptrdiff_t b, int u, bool live, bool dy_used, Lanes lanes) {
    using V = Pair<T>;
    constexpr int GATES = C::template COUNT<K>, COLUMNS = C::SHARED ? C::GATES : C::GATES + 1;
    constexpr bool LAST = K == C::PHASES - 1;
    V d[C::STATES + 1], saved[C::SAVED + 1], s_prev[C::STATES], s[C::STATES], p[C::EXTRAS + 1];
    V dxg[GATES], dhg[GATES], ds_prev[C::STATES], dp[C::EXTRAS + 1];
    const ptrdiff_t place = b * at.ds_row + u;
    T *ds = at.ds[0] + place, *D = at.D->at(0, at.D_row + b, u);
    d[0] = load_pair(ds);
    if (dy_used) d[0] = d[0] + lanes.load(at.dy + b * at.dy_row + u);
    if (live) {
        for (int i = 1; i < C::STATES; i++) d[i] = load_pair(at.ds[i] + place);
        if constexpr (!LAST) d[C::STATES] = load_pair(at.operand + place);
        for (int i = 0; i < C::SAVED; i++) saved[i] = lanes.load(at.saved + b * at.saved_row + i * at.H + u);
        for (int i = 0; i < C::STATES; i++) {
            s_prev[i] = lanes.load(at.s_prev[i] + b * at.state_row + u);
            s[i] = lanes.load(at.s[i] + b * at.state_row + u);
        }
        for (int i = 0; i < C::EXTRAS; i++) p[i] = lanes.load(at.p + i * at.H + u);
        C::template backward<K>(d, saved, s_prev, s, p, dxg, dhg, ds_prev, dp);
    } else {
        for (int i = 0; i < GATES; i++) dxg[i] = dhg[i] = V{};
        for (int i = 0; i < C::EXTRAS; i++) dp[i] = V{};
        ds_prev[0] = d[0];
    }
    for (int i = 0; i < GATES; i++) store_pair(D + (C::template FIRST<K> + i) * at.D->column, dxg[i]);
    if constexpr (!C::SHARED) store_pair(D + C::GATES * at.D->column, dhg[GATES - 1]);
    for (int i = 0; i < C::EXTRAS; i++) store_pair(D + (COLUMNS + i) * at.D->column, dp[i]);
    if constexpr (C::PHASES == 1) {
        store_pair(ds, ds_prev[0]);
    } else if constexpr (LAST) {
        store_pair(ds, d[0]);
        store_pair(at.part + place, ds_prev[0]);
    } else {
        store_pair(ds, live ? load_pair(at.part + place) + ds_prev[0] : d[0]);
    }
    if (live)
        for (int i = 1; i < C::STATES; i++) store_pair(at.ds[i] + place, ds_prev[i]);
}

template <class C, int K, class T>
void forward_rows(const ForwardStep<T>& at, int b0, int rows, int u0, int blocks, const T* z, ptrdiff_t z_row) {
    for (int b = b0; b < b0 + rows; b++, z += z_row) {
        const bool live = !at.live || at.live[b * at.live_row];
        for (int j = 0; j < blocks; j += 2) {
            const int u = u0 + j * LANES<T>;
            if (u + 2 * LANES<T> <= at.H) forward_pair<C, K>(at, b, u, live, z + j * LANES<T>, AllLanes{});
            else forward_pair<C, K>(at, b, u, live, z + j * LANES<T>, FirstLanes{at.H - u});
        }
    }
}

template <class C, int K, class T>
void backward_rows(const BackwardStep<T>& at, int b0, int b1, int u0, int u1) {
    for (int b = b0; b < b1; b++) {
        const bool live = !at.live || at.live[b * at.live_row];
        const bool dy_used = K == C::PHASES - 1 && at.dy && (at.first_live ? at.step >= at.first_live[b] : live);
        for (int u = u0; u < u1; u += 2 * LANES<T>)
            if (u + 2 * LANES<T> <= at.H) backward_pair<C, K>(at, b, u, live, dy_used, AllLanes{});
            else backward_pair<C, K>(at, b, u, live, dy_used, FirstLanes{at.H - u});
    }
}

// The operand of the second phase's product, units u0 .. u1 of one row; `out` is written on to the end of the last pair.
template <class C, class T>
void operand_row(const T* saved, const T* const* s_prev, T* out, int H, int u0, int u1) {
    for (int u = u0; u < u1; u += 2 * LANES<T>) {
        Pair<T> gates[C::SAVED], states[C::STATES];
        for (int i = 0; i < C::SAVED; i++) gates[i] = load_pair(saved + i * H + u, u1 - u);
        for (int i = 0; i < C::STATES; i++) states[i] = load_pair(s_prev[i] + u, u1 - u);
        store_pair(out + u, C::template operand<0>(gates, states));
    }
}
