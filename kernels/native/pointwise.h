// Where a cell of ../cells meets memory: one phase of one step, forward and backward, for some rows and
// units.
#pragma once
#include "cell.h"
#include "math.h"

// One row, one pair of blocks of units from u on.
template <class C, int K, class Real, class Lanes>
RNN_FN void forward_pair(const ForwardStep<Real>& at, ptrdiff_t b, int u, bool live, const Real* preact,
                         Lanes lanes) {
    using V = Pair<Real>;
    constexpr int GATES = C::template COUNT<K>;
    constexpr bool LAST = K == C::PHASES - 1;
    V s_prev[C::STATES], s[C::STATES], saved[C::SAVED + 1], xg[GATES], hg[GATES], p[C::EXTRAS + 1];
    Real* kept = at.saved ? at.saved + b * at.saved_row + u : nullptr;
    for (int i = 0; i < C::STATES; i++) s_prev[i] = lanes.load(at.s_prev[i] + b * at.state_row + u);
    if (live) {
        for (int i = 0; i < C::EXTRAS; i++) p[i] = lanes.load(at.p + i * at.H + u);
        for (int i = 0; i < GATES; i++) {
            xg[i] = load_pair(preact + i * COLS * LANES<Real>);
            hg[i] = {splat(Real(-0.0)), splat(Real(-0.0))};  // already in xg; adding -0 changes nothing
        }
        if constexpr (!C::SHARED) hg[GATES - 1] = load_pair(preact + GATES * COLS * LANES<Real>);
        if constexpr (K > 0)
            for (int i = 0; i < C::template FIRST<K>; i++) saved[i] = lanes.load(kept + i * at.H);
        C::template forward<K>(xg, hg, s_prev, saved, p, s);
    } else {
        for (int i = 0; i < C::STATES; i++) s[i] = LAST ? s_prev[i] : V{};
        for (int i = 0; i < C::SAVED; i++) saved[i] = V{};
    }
    constexpr int FROM = C::PHASES > 1 ? C::template FIRST<K> : 0;
    constexpr int TO = C::PHASES > 1 ? FROM + GATES : C::SAVED;
    if (kept)
        for (int i = FROM; i < TO; i++) lanes.store(kept + i * at.H, saved[i]);
    if constexpr (!LAST) return store_pair(at.operand + b * at.operand_row + u, s[0]);
    for (int i = 0; i < C::STATES; i++) lanes.store(at.s[i] + b * at.state_row + u, s[i]);
    if (!live) s[0] = at.zero_masked_outputs || !at.y_prev ? V{} : lanes.load(at.y_prev + b * at.y_row + u);
    lanes.store(at.y + b * at.y_row + u, s[0]);
}

template <class C, int K, class Real, class Lanes>
RNN_FN void backward_pair(const BackwardStep<Real>& at, ptrdiff_t b, int u, bool live, bool dy_used,
                          Lanes lanes) {
    using V = Pair<Real>;
    constexpr int GATES = C::template COUNT<K>, COLUMNS = C::SHARED ? C::GATES : C::GATES + 1;
    constexpr bool LAST = K == C::PHASES - 1;
    V d[C::STATES + 1], saved[C::SAVED + 1], s_prev[C::STATES], s[C::STATES], p[C::EXTRAS + 1];
    V dxg[GATES], dhg[GATES], ds_prev[C::STATES], dp[C::EXTRAS + 1];
    const ptrdiff_t place = b * at.ds_row + u;
    Real *ds = at.ds[0] + place, *dgates = at.dgates->at(0, at.dgates_row + b, u);
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
    }
    for (int i = 0; i < GATES; i++)
        store_pair(dgates + (C::template FIRST<K> + i) * at.dgates->column, dxg[i]);
    if constexpr (!C::SHARED) store_pair(dgates + C::GATES * at.dgates->column, dhg[GATES - 1]);
    for (int i = 0; i < C::EXTRAS; i++) {
        Real* to = dgates + (COLUMNS + i) * at.dgates->column;
        store_pair(to, LAST ? dp[i] : load_pair(to) + dp[i]);
    }
    // ds as it was serves all phases; the parts of ds_prev are added up, and phase 0 puts the sum in its
    // place
    if constexpr (LAST && K > 0) store_pair(ds, d[0]);
    if (live) {
        for (int i = 0; i < C::STATES; i++) {
            if constexpr (!LAST) ds_prev[i] = load_pair(at.parts[i] + place) + ds_prev[i];
            store_pair((K > 0 ? at.parts[i] : at.ds[i]) + place, ds_prev[i]);
        }
    } else if constexpr (K == 0) {
        store_pair(ds, d[0]);
    }
}

template <class C, int K, class Real>
void forward_rows(const ForwardStep<Real>& at, int b0, int rows, int u0, int blocks, const Real* preact,
                  ptrdiff_t preact_row) {
    for (int b = b0; b < b0 + rows; b++, preact += preact_row) {
        const bool live = !at.live || at.live[b * at.live_row];
        for (int j = 0; j < blocks; j += 2) {
            const int u = u0 + j * LANES<Real>;
            if (u + 2 * LANES<Real> <= at.H)
                forward_pair<C, K>(at, b, u, live, preact + j * LANES<Real>, AllLanes{});
            else forward_pair<C, K>(at, b, u, live, preact + j * LANES<Real>, FirstLanes{at.H - u});
        }
    }
}

template <class C, int K, class Real>
void backward_rows(const BackwardStep<Real>& at, int b0, int b1, int u0, int u1) {
    for (int b = b0; b < b1; b++) {
        const bool live = !at.live || at.live[b * at.live_row];
        const bool dy_used = K == C::PHASES - 1 && at.dy &&
                             (at.first_live ? at.step >= at.first_live[b] : live);
        for (int u = u0; u < u1; u += 2 * LANES<Real>)
            if (u + 2 * LANES<Real> <= at.H) backward_pair<C, K>(at, b, u, live, dy_used, AllLanes{});
            else backward_pair<C, K>(at, b, u, live, dy_used, FirstLanes{at.H - u});
    }
}

// The operand of phase K's product, units u0 .. u1 of one row; `out` is written on to the end of the last
// pair.
template <class C, int K, class Real>
void operand_row(const Real* saved, const Real* const* s_prev, Real* out, int H, int u0, int u1) {
    for (int u = u0; u < u1; u += 2 * LANES<Real>) {
        Pair<Real> gates[C::SAVED], states[C::STATES];
        for (int i = 0; i < C::SAVED; i++) gates[i] = load_pair(saved + i * H + u, u1 - u);
        for (int i = 0; i < C::STATES; i++) states[i] = load_pair(s_prev[i] + u, u1 - u);
        store_pair(out + u, C::template operand<K - 1>(gates, states));
    }
}
