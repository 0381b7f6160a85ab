// One time step of any cell, forward and backward, and the little kernels around the time loop. The host
// (per_step.py) runs the loop: for each step and phase one matrix product, then one launch here, so a step of
// a cell with one phase is two launches and nothing else.
//
// One thread owns one unit j of one batch row b, at every step: it may read what it wrote at the last one.
// Arrays are batch-major, T steps inside B rows:
//     xg [B,T,W,H]         x Wx, without the bias; W = max(G, A); gates take its place from phase to phase
//     dxg, dhg [B,T,G,H]   its gradient, and hg's
//     saved [B,T,A,H]      what the cell saves; may be xg itself
//     tape0..3 [B,T+1,H]   the states, slot t+1 after x[:,t]; null where the cell has no such state
//     s, ds [S,B,H]        the states and their gradients, carried from step to step
//     hg [B,Gk,H]          the recurrent product of this phase, null if it was added to xg
//     scale [N,B,H]        dropout of the operands; N = scales: 0 (none, null), 1, or one for each gate
//     live [B,T]           0 at masked steps, null without any: left out by selection, not by a factor
// Steps count in processing order: step 0 is t = 0, or t = T-1 if rev. Every sum has one order, no atomics.

// So many of them run on one multiprocessor: at most 64 registers a thread, 128 for double.
constexpr int BLOCKS = sizeof(REAL) == 4 ? 4 : 2;
#define ROW (blockIdx.x * blockDim.y + threadIdx.y)
#define COLUMN (blockIdx.y * blockDim.x + threadIdx.x)

// The operands of phase K's product: h (or what the phase before returned) times each gate's scale.
template <int K>
RNN_FN void put_operands(REAL h, REAL* operand, const REAL* scale, int scales, size_t unit, size_t BH) {
    if (!operand) return;
    if (scales <= 1) {
        operand[unit] = scales ? h * scale[unit] : h;
    } else {
        for (int i = 0; i < Cell::template COUNT<K>; i++)
            operand[i * BH + unit] = h * scale[(Cell::template FIRST<K> + i) * BH + unit];
    }
}

// The way back through put_operands: the gradient of h, or of what the phase before returned.
template <int K>
RNN_FN REAL operand_gradient(const REAL* back, const REAL* scale, int scales, size_t unit, size_t BH) {
    if (scales <= 1) return scales ? back[unit] * scale[unit] : back[unit];
    REAL sum = 0;
    for (int i = 0; i < Cell::template COUNT<K>; i++)
        sum += back[i * BH + unit] * scale[(Cell::template FIRST<K> + i) * BH + unit];
    return sum;
}

extern "C" __global__ void __launch_bounds__(256, BLOCKS)
forward(REAL* xg, const REAL* hg, const REAL* bx, const REAL* bh, const REAL* p, REAL* s, STORE* saved,
        STORE* tape0, STORE* tape1, STORE* tape2, STORE* tape3, REAL* operand, const REAL* scale, STORE* y,
        const unsigned char* live, int phase, int step, int B, int T, int H, int scales, int rev,
        int zero_masked) {
    int b = ROW, j = COLUMN;
    if (b >= B || j >= H) return;
    int t = rev ? T - 1 - step : step, after = rev ? t : t + 1;
    bool on = is_live(live, b, step, T, rev);
    size_t row = size_t(b) * T + t, slots = size_t(b) * (T + 1) * H + j;
    size_t unit = size_t(b) * H + j, BH = size_t(B) * H;
    STORE* tapes[] = {tape0, tape1, tape2, tape3};

    in_phase(phase, [&](auto which) {
        constexpr int K = decltype(which)::value;
        constexpr int FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
        REAL xgs[COUNT], hgs[COUNT];
        REAL s_prev[S], s_new[S];
        REAL kept[ROOM<A>], extras[ROOM<E>];
        for (int i = 0; i < COUNT; i++) {
            xgs[i] = xg[(row * W + FIRST + i) * H + j] + (bx ? bx[(FIRST + i) * H + j] : 0);
            hgs[i] = (hg ? hg[(size_t(b) * COUNT + i) * H + j] : 0) + (bh ? bh[(FIRST + i) * H + j] : 0);
        }
        for (int k = 0; k < S; k++) s_prev[k] = s[k * BH + unit];
        for (int a = 0; a < FIRST; a++) kept[a] = xg[(row * W + a) * H + j];  // made by earlier phases
        for (int e = 0; e < E; e++) extras[e] = p[e * H + j];

        Cell::template forward<K>(xgs, hgs, s_prev, kept, extras, s_new);

        if constexpr (K < LAST)
            for (int a = FIRST; a < FIRST + COUNT; a++) xg[(row * W + a) * H + j] = kept[a];
        if (saved) {
            constexpr int END = K == LAST ? A : FIRST + COUNT;
            for (int a = FIRST; a < END; a++) store(&saved[(row * A + a) * H + j], on ? kept[a] : 0);
        }
        if constexpr (K < LAST) {
            put_operands<K + 1>(s_new[0], operand, scale, scales, unit, BH);
        } else {
            for (int k = 0; k < S; k++) {
                REAL value = on ? s_new[k] : s_prev[k];
                s[k * BH + unit] = value;
                if (tapes[k]) store(&tapes[k][slots + size_t(after) * H], value);
                if (k == 0) put_operands<0>(value, operand, scale, scales, unit, BH);
            }
            size_t out = (size_t(b) * T + step) * H + j;
            REAL masked = zero_masked || step == 0 ? 0 : load(&y[out - H]);  // repeats the output before it
            store(&y[out], on ? s_new[0] : masked);
        }
    });
}

// Before the loop: the first slot of the tape, and the operands of the first product.
extern "C" __global__ void __launch_bounds__(256, BLOCKS)
begin(const REAL* s, STORE* tape0, STORE* tape1, STORE* tape2, STORE* tape3, REAL* operand, const REAL* scale,
      int B, int T, int H, int scales, int rev) {
    int b = ROW, j = COLUMN;
    if (b >= B || j >= H) return;
    size_t unit = size_t(b) * H + j, BH = size_t(B) * H;
    put_operands<0>(s[unit], operand, scale, scales, unit, BH);
    STORE* tapes[] = {tape0, tape1, tape2, tape3};
    for (int k = 0; k < S; k++)
        if (tapes[k]) store(&tapes[k][(size_t(b) * (T + 1) + (rev ? T : 0)) * H + j], s[k * BH + unit]);
}

// For each row the step of its first live x, T if there is none: no output before it depends on anything.
extern "C" __global__ void __launch_bounds__(256, BLOCKS)
first_live(const unsigned char* live, int* first, int B, int T, int rev) {
    int b = COLUMN, step = 0;
    if (b >= B) return;
    while (step < T && !is_live(live, b, step, T, rev)) step++;
    first[b] = step;
}

// back: what the product of the phase after this one sent back to its operands; ds: the rest of the states'
// gradient. In a cell of several phases ds stays the whole gradient until phase 0, and ds_sum [S,B,H] gathers
// what goes on to s_prev.
extern "C" __global__ void __launch_bounds__(256, BLOCKS)
backward(const STORE* saved, const STORE* tape0, const STORE* tape1, const STORE* tape2, const STORE* tape3,
         const REAL* p, const REAL* dy, REAL* ds, REAL* ds_sum, const REAL* back, const REAL* scale,
         REAL* dxg, REAL* dhg, REAL* dp, const unsigned char* live, const int* first, int phase, int step,
         int B, int T, int H, int scales, int rev, int zero_masked) {
    int b = ROW, j = COLUMN;
    if (b >= B || j >= H) return;
    int t = rev ? T - 1 - step : step, before = rev ? t + 1 : t, after = rev ? t : t + 1;
    bool on = is_live(live, b, step, T, rev);
    size_t row = size_t(b) * T + t, slots = size_t(b) * (T + 1) * H + j;
    size_t unit = size_t(b) * H + j, BH = size_t(B) * H;
    const STORE* tapes[] = {tape0, tape1, tape2, tape3};

    in_phase(phase, [&](auto which) {
        constexpr int K = decltype(which)::value;
        constexpr int FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
        REAL d[S + 1], s_prev[S], s_new[S], ds_prev[S];
        REAL kept[ROOM<A>], extras[ROOM<E>];
        REAL dxgs[COUNT], dhgs[COUNT], dps[ROOM<E>] = {};
        for (int k = 0; k < S; k++) {
            s_prev[k] = load(&tapes[k][slots + size_t(before) * H]);
            s_new[k] = load(&tapes[k][slots + size_t(after) * H]);
            d[k] = ds[k * BH + unit];
        }
        for (int a = 0; a < A; a++) kept[a] = load(&saved[(row * A + a) * H + j]);
        for (int e = 0; e < E; e++) extras[e] = p[e * H + j];
        if constexpr (K == LAST) {
            if (step + 1 < T && is_live(live, b, step + 1, T, rev))
                d[0] += operand_gradient<0>(back, scale, scales, unit, BH);
            // A masked step repeats the last live output, so its dy goes there; before the first one it goes
            // nowhere.
            bool dy_used = !live || on || (!zero_masked && step >= first[b]);
            if (dy && dy_used) d[0] += dy[(size_t(b) * T + step) * H + j];
            d[S] = 0;
        } else {
            d[S] = operand_gradient<K + 1>(back, scale, scales, unit, BH);
        }

        Cell::template backward<K>(d, kept, s_prev, s_new, extras, dxgs, dhgs, ds_prev, dps);

        for (int i = 0; i < COUNT; i++) {
            size_t at = (row * G + FIRST + i) * H + j;
            dxg[at] = on ? dxgs[i] : 0;
            if constexpr (!Cell::SHARED) dhg[at] = on ? dhgs[i] : 0;
        }
        for (int e = 0; e < E; e++)
            if (on) dp[e * BH + unit] += dps[e];
        for (int k = 0; k < S; k++) {
            REAL sum = ds_prev[k];
            if constexpr (K < LAST) sum += ds_sum[k * BH + unit];
            if constexpr (K > 0) ds_sum[k * BH + unit] = sum;
            ds[k * BH + unit] = K == 0 && on ? sum : d[k];  // a masked step copies s
        }
    });
}

// After the loop: what step 0's product sent back belongs to the initial h.
extern "C" __global__ void __launch_bounds__(256, BLOCKS)
end(REAL* ds, const REAL* back, const REAL* scale, const unsigned char* live, int B, int T, int H, int scales,
    int rev) {
    int b = ROW, j = COLUMN;
    if (b >= B || j >= H || !is_live(live, b, 0, T, rev)) return;
    ds[size_t(b) * H + j] += operand_gradient<0>(back, scale, scales, size_t(b) * H + j, size_t(B) * H);
}

// The operands of a weight product, one row for each (b, t): [B*T,N], times scale [B,N] if given, 0 at masked
// steps.
extern "C" __global__ void __launch_bounds__(256, BLOCKS)
input_rows(const REAL* x, const REAL* scale, const unsigned char* live, REAL* rows, int B, int T, int N) {
    size_t row = ROW;
    int n = COLUMN;
    if (row >= size_t(B) * T || n >= N) return;
    REAL value = !live || live[row] ? x[row * N + n] : 0;
    rows[row * N + n] = scale ? value * scale[row / T * N + n] : value;
}

// What the product of phase K takes.
template <int K, class C = Cell>
RNN_FN REAL operand_of(const REAL* kept, const REAL* s_prev) {
    if constexpr (K > 0) return C::template operand<K - 1>(kept, s_prev);
    else return s_prev[0];
}

extern "C" __global__ void __launch_bounds__(256, BLOCKS)
operand_rows(const STORE* tape0, const STORE* tape1, const STORE* tape2, const STORE* tape3,
             const STORE* saved, const REAL* scale, const unsigned char* live, REAL* rows, int phase, int B,
             int T, int H, int rev) {
    size_t row = ROW, b = row / T;
    int j = COLUMN, before = int(row % T) + (rev ? 1 : 0);
    if (row >= size_t(B) * T || j >= H) return;
    const STORE* tapes[] = {tape0, tape1, tape2, tape3};
    REAL s_prev[S], kept[ROOM<A>], value = 0;
    for (int k = 0; k < S; k++) s_prev[k] = load(&tapes[k][(b * (T + 1) + before) * H + j]);
    for (int a = 0; a < A; a++) kept[a] = load(&saved[(row * A + a) * H + j]);
    in_phase(phase, [&](auto which) { value = operand_of<decltype(which)::value>(kept, s_prev); });
    if (live && !live[row]) value = 0;
    rows[row * H + j] = scale ? value * scale[b * H + j] : value;
}

// dx from one product for each scale: dx [B*T,N] = sum over k of parts[k] * scale[k][b].
extern "C" __global__ void __launch_bounds__(256, BLOCKS)
scaled_sum(const REAL* parts, const REAL* scale, REAL* dx, int scales, int B, int T, int N) {
    size_t row = ROW, rows = size_t(B) * T;
    int n = COLUMN;
    if (row >= rows || n >= N) return;
    REAL sum = 0;
    for (int k = 0; k < scales; k++)
        sum += parts[(k * rows + row) * N + n] * scale[(size_t(k) * B + row / T) * N + n];
    dx[row * N + n] = sum;
}
