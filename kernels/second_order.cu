// One time step of any cell on numbers that carry tangents (dual.h), forward and backward: forward mode and
// gradients of gradients. The text of step.cu stands before it, and says what the arrays are.
//
// The host (second_order.py) runs a batch of twice the rows: those of the numbers, and B rows on, those of
// their tangents. What is linear does not notice: begin, end and the rows of the weight products are those of
// step.cu. One thread here owns unit j of the numbers' row b and of the tangents' row B + b.
//
// An array of gradients (ds, ds_sum, back, dxg, dhg) has both gradients of such a pair: by the tangent, in
// row B + b, that is the gradient of first order; by the number, in row b, it is the tangent of that. So one
// product over all rows, x^T dxg + x'^T dxg', is what Wx has. dy [B,T,H] is of first order, and held fixed;
// dp [E,B,H] has tangents alone.

using Number = Dual<REAL>;

constexpr int DUAL_BLOCKS = 2;  // of them run on one multiprocessor: at most 128 registers a thread

// A value whose tangent lies `far` values on.
RNN_FN Number load(const REAL* p, size_t far) { return {p[0], p[far]}; }
RNN_FN void store(REAL* p, size_t far, Number x) { p[0] = x.v, p[far] = x.d; }
RNN_FN Number load_gradient(const REAL* p, size_t far) { return {p[far], p[0]}; }
RNN_FN void store_gradient(REAL* p, size_t far, Number x) { p[far] = x.v, p[0] = x.d; }

// A parameter whose tangent is elsewhere; null pointers are 0.
RNN_FN Number parameter(const REAL* p, const REAL* tangent, size_t at) {
    return {p ? p[at] : 0, tangent ? tangent[at] : 0};
}

template <int K>
RNN_FN void put_operands(Number h, REAL* operand, const REAL* scale, int scales, size_t unit, size_t BH) {
    put_operands<K>(h.v, operand, scale, scales, unit, 2 * BH);
    put_operands<K>(h.d, operand, scale, scales, unit + BH, 2 * BH);
}

template <int K>
RNN_FN Number operand_gradients(const REAL* back, const REAL* scale, int scales, size_t unit, size_t BH) {
    return {operand_gradient<K>(back, scale, scales, unit + BH, 2 * BH),
            operand_gradient<K>(back, scale, scales, unit, 2 * BH)};
}

extern "C" __global__ void __launch_bounds__(256, DUAL_BLOCKS)
dual_forward(REAL* xg, const REAL* hg, const REAL* bx, const REAL* bh, const REAL* p, const REAL* tbx,
             const REAL* tbh, const REAL* tp, REAL* s, REAL* saved, REAL* tape0, REAL* tape1, REAL* tape2,
             REAL* tape3, REAL* operand, const REAL* scale, REAL* y, const unsigned char* live, int phase,
             int step, int B, int T, int H, int scales, int rev, int zero_masked) {
    int b = ROW, j = COLUMN;
    if (b >= B || j >= H) return;
    int t = rev ? T - 1 - step : step, after = rev ? t : t + 1;
    bool on = is_live(live, b, step, T, rev);
    size_t row = size_t(b) * T + t, slots = size_t(b) * (T + 1) * H + j;
    size_t unit = size_t(b) * H + j, BH = size_t(B) * H;
    REAL* tapes[] = {tape0, tape1, tape2, tape3};

    in_phase(phase, [&](auto which) {
        constexpr int K = decltype(which)::value;
        constexpr int FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
        Number xgs[COUNT], hgs[COUNT], s_prev[S], s_new[S], kept[ROOM<A>], extras[ROOM<E>];
        for (int i = 0; i < COUNT; i++) {
            size_t gate = (FIRST + i) * H + j;
            xgs[i] = load(&xg[row * W * H + gate], BH * T * W) + parameter(bx, tbx, gate);
            hgs[i] = parameter(bh, tbh, gate);
            if (hg) hgs[i] = hgs[i] + load(&hg[(size_t(b) * COUNT + i) * H + j], BH * COUNT);
        }
        for (int k = 0; k < S; k++) s_prev[k] = load(&s[2 * k * BH + unit], BH);
        for (int a = 0; a < FIRST; a++) kept[a] = load(&xg[(row * W + a) * H + j], BH * T * W);
        for (int e = 0; e < E; e++) extras[e] = parameter(p, tp, e * H + j);

        Cell::template forward<K>(xgs, hgs, s_prev, kept, extras, s_new);

        if constexpr (K < LAST)
            for (int a = FIRST; a < FIRST + COUNT; a++)
                store(&xg[(row * W + a) * H + j], BH * T * W, kept[a]);
        if (saved) {  // nobody reads what masked steps leave there
            constexpr int END = K == LAST ? A : FIRST + COUNT;
            for (int a = FIRST; a < END; a++) store(&saved[(row * A + a) * H + j], BH * T * A, kept[a]);
        }
        if constexpr (K < LAST) {
            put_operands<K + 1>(s_new[0], operand, scale, scales, unit, BH);
        } else {
            for (int k = 0; k < S; k++) {
                Number value = on ? s_new[k] : s_prev[k];
                store(&s[2 * k * BH + unit], BH, value);
                if (tapes[k]) store(&tapes[k][slots + size_t(after) * H], BH * (T + 1), value);
                if (k == 0) put_operands<0>(value, operand, scale, scales, unit, BH);
            }
            size_t out = (size_t(b) * T + step) * H + j;
            Number masked = zero_masked || step == 0 ? Number{} : load(&y[out - H], BH * T);
            store(&y[out], BH * T, on ? s_new[0] : masked);
        }
    });
}

extern "C" __global__ void __launch_bounds__(256, DUAL_BLOCKS)
dual_backward(const REAL* saved, const REAL* tape0, const REAL* tape1, const REAL* tape2, const REAL* tape3,
              const REAL* p, const REAL* tp, const REAL* dy, REAL* ds, REAL* ds_sum, const REAL* back,
              const REAL* scale, REAL* dxg, REAL* dhg, REAL* dp, const unsigned char* live, const int* first,
              int phase, int step, int B, int T, int H, int scales, int rev, int zero_masked) {
    int b = ROW, j = COLUMN;
    if (b >= B || j >= H) return;
    int t = rev ? T - 1 - step : step, before = rev ? t + 1 : t, after = rev ? t : t + 1;
    bool on = is_live(live, b, step, T, rev);
    size_t row = size_t(b) * T + t, slots = size_t(b) * (T + 1) * H + j;
    size_t unit = size_t(b) * H + j, BH = size_t(B) * H;
    const REAL* tapes[] = {tape0, tape1, tape2, tape3};

    in_phase(phase, [&](auto which) {
        constexpr int K = decltype(which)::value;
        constexpr int FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
        Number d[S + 1], s_prev[S], s_new[S], ds_prev[S], kept[ROOM<A>], extras[ROOM<E>];
        Number dxgs[COUNT], dhgs[COUNT], dps[ROOM<E>] = {};
        for (int k = 0; k < S; k++) {
            s_prev[k] = load(&tapes[k][slots + size_t(before) * H], BH * (T + 1));
            s_new[k] = load(&tapes[k][slots + size_t(after) * H], BH * (T + 1));
            d[k] = load_gradient(&ds[2 * k * BH + unit], BH);
        }
        for (int a = 0; a < A; a++) kept[a] = load(&saved[(row * A + a) * H + j], BH * T * A);
        for (int e = 0; e < E; e++) extras[e] = parameter(p, tp, e * H + j);
        if constexpr (K == LAST) {
            if (step + 1 < T && is_live(live, b, step + 1, T, rev))
                d[0] = d[0] + operand_gradients<0>(back, scale, scales, unit, BH);
            bool dy_used = !live || on || (!zero_masked && step >= first[b]);  // as in step.cu
            if (dy && dy_used) d[0].v += dy[(size_t(b) * T + step) * H + j];
            d[S] = Number{};
        } else {
            d[S] = operand_gradients<K + 1>(back, scale, scales, unit, BH);
        }

        Cell::template backward<K>(d, kept, s_prev, s_new, extras, dxgs, dhgs, ds_prev, dps);

        for (int i = 0; i < COUNT; i++) {
            size_t at = (row * G + FIRST + i) * H + j;
            store_gradient(&dxg[at], BH * T * G, on ? dxgs[i] : Number{});
            if constexpr (!Cell::SHARED) store_gradient(&dhg[at], BH * T * G, on ? dhgs[i] : Number{});
        }
        for (int e = 0; e < E; e++)
            if (on) dp[e * BH + unit] += dps[e].d;
        for (int k = 0; k < S; k++) {
            size_t at = 2 * k * BH + unit;
            Number sum = ds_prev[k];
            if constexpr (K < LAST) sum = sum + load_gradient(&ds_sum[at], BH);
            if constexpr (K > 0) store_gradient(&ds_sum[at], BH, sum);
            store_gradient(&ds[at], BH, K == 0 && on ? sum : d[k]);  // a masked step copies s
        }
    });
}

template <int K, class C = Cell>
RNN_FN Number operand_of(const Number* kept, const Number* s_prev) {
    if constexpr (K > 0) return C::template operand<K - 1>(kept, s_prev);
    else return s_prev[0];
}

extern "C" __global__ void __launch_bounds__(256, DUAL_BLOCKS)
dual_operand_rows(const REAL* tape0, const REAL* tape1, const REAL* tape2, const REAL* tape3,
                  const REAL* saved, const REAL* scale, const unsigned char* live, REAL* rows, int phase,
                  int B, int T, int H, int rev) {
    size_t row = ROW, b = row / T, BH = size_t(B) * H;
    int j = COLUMN, before = int(row % T) + (rev ? 1 : 0);
    if (row >= size_t(B) * T || j >= H) return;
    const REAL* tapes[] = {tape0, tape1, tape2, tape3};
    Number s_prev[S], kept[ROOM<A>], value{};
    for (int k = 0; k < S; k++)
        s_prev[k] = load(&tapes[k][(b * (T + 1) + before) * H + j], BH * (T + 1));
    for (int a = 0; a < A; a++) kept[a] = load(&saved[(row * A + a) * H + j], BH * T * A);
    in_phase(phase, [&](auto which) { value = operand_of<decltype(which)::value>(kept, s_prev); });
    if (live && !live[row]) value = Number{};
    REAL factor = scale ? scale[b * H + j] : 1;
    store(&rows[row * H + j], BH * T, {value.v * factor, value.d * factor});
}
