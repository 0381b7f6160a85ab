// Where a cell of ../cells meets memory: one phase of one step, forward and backward, for some rows and
// units.
#pragma once
#include "cell.h"
#include "dual.h"

// One row (with its tangents, if V has them), one pair of blocks of units from u on.
template <class C, int K, class V, class Real, class Lanes>
RNN_FN void forward_pair(const ForwardStep<Real>& at, ptrdiff_t b, int u, bool live, const Real* preact,
                         ptrdiff_t preact_far, Lanes lanes) {
    using In = InRows<V>;
    const ptrdiff_t state_far = at.B * at.state_row, saved_far = at.B * at.saved_row;
    constexpr int GATES = C::template COUNT<K>;
    constexpr bool LAST = K == C::PHASES - 1;
    V s_prev[C::STATES], s[C::STATES], saved[C::SAVED + 1], xg[GATES], hg[GATES], p[C::EXTRAS + 1];
    Real* kept = at.saved ? at.saved + b * at.saved_row + u : nullptr;
    for (int i = 0; i < C::STATES; i++)
        s_prev[i] = In::load(lanes, at.s_prev[i] + b * at.state_row + u, state_far);
    if (live) {
        for (int i = 0; i < C::EXTRAS; i++)
            p[i] = In::alone(lanes, at.p + i * at.H + u, at.tp ? at.tp + i * at.H + u : nullptr);
        for (int i = 0; i < GATES; i++) {
            xg[i] = In::load(AllLanes{}, preact + i * COLS * LANES<Real>, preact_far);
            hg[i] = -V{};  // already in xg; adding -0 changes nothing
        }
        if constexpr (!C::SHARED)
            hg[GATES - 1] = In::load(AllLanes{}, preact + GATES * COLS * LANES<Real>, preact_far);
        if constexpr (K > 0)
            for (int i = 0; i < C::template FIRST<K>; i++)
                saved[i] = In::load(lanes, kept + i * at.H, saved_far);
        C::template forward<K>(xg, hg, s_prev, saved, p, s);
    } else {
        for (int i = 0; i < C::STATES; i++) s[i] = LAST ? s_prev[i] : V{};
        for (int i = 0; i < C::SAVED; i++) saved[i] = V{};
    }
    constexpr int FROM = C::PHASES > 1 ? C::template FIRST<K> : 0;
    constexpr int TO = C::PHASES > 1 ? FROM + GATES : C::SAVED;
    if (kept)
        for (int i = FROM; i < TO; i++) In::store(lanes, kept + i * at.H, saved_far, saved[i]);
    if constexpr (!LAST)
        return In::store(AllLanes{}, at.operand + b * at.operand_row + u, at.B * at.operand_row, s[0]);
    for (int i = 0; i < C::STATES; i++)
        In::store(lanes, at.s[i] + b * at.state_row + u, state_far, s[i]);
    const bool no_output = at.zero_masked_outputs || !at.y_prev;
    if (!live) s[0] = no_output ? V{} : In::load(lanes, at.y_prev + b * at.y_row + u, at.B * at.y_row);
    In::store(lanes, at.y + b * at.y_row + u, at.B * at.y_row, s[0]);
}

template <class C, int K, class V, class Real, class Lanes>
RNN_FN void backward_pair(const BackwardStep<Real>& at, ptrdiff_t b, int u, bool live, bool dy_used,
                          Lanes lanes) {
    using In = InRows<V>;
    constexpr int GATES = C::template COUNT<K>, COLUMNS = C::SHARED ? C::GATES : C::GATES + 1;
    constexpr bool LAST = K == C::PHASES - 1;
    V d[C::STATES + 1], saved[C::SAVED + 1], s_prev[C::STATES], s[C::STATES], p[C::EXTRAS + 1];
    V dxg[GATES], dhg[GATES], ds_prev[C::STATES], dp[C::EXTRAS + 1];
    const ptrdiff_t place = b * at.ds_row + u, far = at.B * at.ds_row;
    const ptrdiff_t state_far = at.B * at.state_row, saved_far = at.B * at.saved_row;
    Real *ds = at.ds[0] + place, *dgates = at.dgates->at(0, at.dgates_row + b, u);
    d[0] = In::load_gradient(ds, far);
    if (dy_used) d[0] = d[0] + In::alone(lanes, at.dy + b * at.dy_row + u, nullptr);
    if (live) {
        for (int i = 1; i < C::STATES; i++) d[i] = In::load_gradient(at.ds[i] + place, far);
        if constexpr (!LAST) d[C::STATES] = In::load_gradient(at.operand + place, far);
        for (int i = 0; i < C::SAVED; i++)
            saved[i] = In::load(lanes, at.saved + b * at.saved_row + i * at.H + u, saved_far);
        for (int i = 0; i < C::STATES; i++) {
            s_prev[i] = In::load(lanes, at.s_prev[i] + b * at.state_row + u, state_far);
            s[i] = In::load(lanes, at.s[i] + b * at.state_row + u, state_far);
        }
        for (int i = 0; i < C::EXTRAS; i++)
            p[i] = In::alone(lanes, at.p + i * at.H + u, at.tp ? at.tp + i * at.H + u : nullptr);
        C::template backward<K>(d, saved, s_prev, s, p, dxg, dhg, ds_prev, dp);
    } else {
        for (int i = 0; i < GATES; i++) dxg[i] = dhg[i] = V{};
        for (int i = 0; i < C::EXTRAS; i++) dp[i] = V{};
    }
    for (int i = 0; i < GATES; i++)
        In::store_gradient(dgates + (C::template FIRST<K> + i) * at.dgates->column, at.dgates_far, dxg[i]);
    if constexpr (!C::SHARED)
        In::store_gradient(dgates + C::GATES * at.dgates->column, at.dgates_far, dhg[GATES - 1]);
    for (int i = 0; i < C::EXTRAS; i++) {
        Real* to = dgates + (COLUMNS + i) * at.dgates->column;
        In::store_gradient(to, at.dgates_far, LAST ? dp[i] : In::load_gradient(to, at.dgates_far) + dp[i]);
    }
    // ds as it was serves all phases; the parts of ds_prev are added up, and phase 0 puts the sum in its
    // place
    if constexpr (LAST && K > 0) In::store_gradient(ds, far, d[0]);
    if (live) {
        for (int i = 0; i < C::STATES; i++) {
            if constexpr (!LAST) ds_prev[i] = In::load_gradient(at.parts[i] + place, far) + ds_prev[i];
            In::store_gradient((K > 0 ? at.parts[i] : at.ds[i]) + place, far, ds_prev[i]);
        }
    } else if constexpr (K == 0) {
        In::store_gradient(ds, far, d[0]);
    }
}

template <class C, int K, class V, class Real>
void forward_rows(const ForwardStep<Real>& at, int b0, int rows, int u0, int blocks, const Real* preact,
                  ptrdiff_t preact_row) {
    for (int b = b0; b < b0 + rows; b++, preact += preact_row) {
        const bool live = !at.live || at.live[b * at.live_row];
        for (int j = 0; j < blocks; j += 2) {
            const int u = u0 + j * LANES<Real>;
            const Real* here = preact + j * LANES<Real>;
            if constexpr (!InRows<V>::DUAL)  // else the compiler takes long: one copy for all lanes
                if (u + 2 * LANES<Real> <= at.H) {
                    forward_pair<C, K, V>(at, b, u, live, here, 0, AllLanes{});
                    continue;
                }
            forward_pair<C, K, V>(at, b, u, live, here, ROWS * preact_row, FirstLanes{at.H - u});
        }
    }
}

template <class C, int K, class V, class Real>
void backward_rows(const BackwardStep<Real>& at, int b0, int b1, int u0, int u1) {
    for (int b = b0; b < b1; b++) {
        const bool live = !at.live || at.live[b * at.live_row];
        const bool dy_used = K == C::PHASES - 1 && at.dy &&
                             (at.first_live ? at.step >= at.first_live[b] : live);
        for (int u = u0; u < u1; u += 2 * LANES<Real>) {
            if constexpr (!InRows<V>::DUAL)
                if (u + 2 * LANES<Real> <= at.H) {
                    backward_pair<C, K, V>(at, b, u, live, dy_used, AllLanes{});
                    continue;
                }
            backward_pair<C, K, V>(at, b, u, live, dy_used, FirstLanes{at.H - u});
        }
    }
}

// The operand of phase K's product, units u0 .. u1 of row b; `out` is written on to the end of the last
// pair. Of a row of tangents it is the tangent.
template <class C, int K, class V, class Real>
void operand_row(const OperandRow<Real>& at, int b, Real* out, int u0, int u1) {
    using In = InRows<V>;
    const bool tangent = In::DUAL && b >= at.B;
    const ptrdiff_t number = tangent ? b - at.B : b;
    for (int u = u0; u < u1; u += 2 * LANES<Real>) {
        const FirstLanes lanes = {u1 - u};
        V gates[C::SAVED], states[C::STATES];
        for (int i = 0; i < C::SAVED; i++)
            gates[i] = In::load(lanes, at.saved + number * at.saved_row + i * at.H + u, at.B * at.saved_row);
        for (int i = 0; i < C::STATES; i++)
            states[i] = In::load(lanes, at.s_prev[i] + number * at.state_row + u, at.B * at.state_row);
        const V operand = C::template operand<K - 1>(gates, states);
        if constexpr (In::DUAL) store_pair(out + u, tangent ? operand.d : operand.v);
        else store_pair(out + u, operand);
    }
}
