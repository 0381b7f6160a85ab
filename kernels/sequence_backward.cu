// The way back of sequence.cu, where the lesson is: all steps in one launch, last step first, last phase
// first.

extern "C" __global__ void __launch_bounds__(THREADS, 1)
backward(const STORE* saved, const STORE* tape0, const STORE* tape1, const STORE* tape2, const STORE* tape3,
         const REAL* Wh, const REAL* p, const REAL* dy, REAL* ds, REAL* dxg, REAL* dhg, REAL* dp,
         OPERAND* exchange, const REAL* scale, const unsigned char* live, const int* first_live,
         unsigned* arrived, volatile int* failed, int B, int T, int scales, int rev, int zero_masked) {
    extern __shared__ __align__(16) REAL memory[];
    Products<BackwardProduct> products;
    REAL *tile = memory + products.WEIGHTS, *sums = tile + products.TILE;

    // Our rows of Wh: what all units' gates send back to ours.
    REAL* room = memory;
    auto load_weights = [&](auto which) {
        constexpr int K = decltype(which)::value;
        auto& product = products.template of<K>();
        product.load(room, [&](int part, int k, int column) {
            int gate = Cell::template FIRST<K> + (PER_GATE ? part : k / PADDED);
            int unit = k % PADDED, j = SLICE * OWN + column;
            return unit < H && j < H ? Wh[(size_t(j) * G + gate) * H + unit] : 0;
        });
        room += product.WEIGHTS;
    };
    each_phase(load_weights);

    bool lost = gridDim.y != BLOCKS || gridDim.z * ROWS < B;  // as in forward
    if (lost) *failed = 1;
    constexpr int LINE = products.LINE;
    size_t slot = size_t(B) * LINE;

    REAL factor[PAIRS][PER_GATE ? G : 1];

    // The way back through publish: what phase K's product sends back to its operand at pair i.
    auto operand_gradient = [&](auto which, int i, int row, int unit) {
        constexpr int K = decltype(which)::value;
        auto& product = products.template of<K>();
        if (lost) return not_a_number();
        if constexpr (!PER_GATE) {
            return product.total(sums, 0, row, unit) * factor[i][0];
        } else {
            REAL sum = 0;
            for (int part = 0; part < product.PARTS; part++)
                sum += product.total(sums, part, row, unit) * factor[i][Cell::template FIRST<K> + part];
            return sum;
        }
    };

    // Of each pair: the gradient of its states, what goes on to s_prev, sums over all steps; the tape at a
    // step.
    REAL d[PAIRS][S + 1], ds_sum[PAIRS][S], dps[PAIRS][ROOM<E>], extras[PAIRS][ROOM<E>];
    REAL s_prev[PAIRS][S], s_new[PAIRS][S], kept[PAIRS][ROOM<A>], dy_step[PAIRS];
    bool on[PAIRS], later[PAIRS];
    const STORE* tapes[] = {tape0, tape1, tape2, tape3};
    each_pair(B, [&](int i, int, int, int b, int j) {
        for (int k = 0; k < S; k++) {
            d[i][k] = ds[(size_t(k) * B + b) * H + j];
            s_prev[i][k] = load(&tapes[k][(size_t(b) * (T + 1) + (rev ? 0 : T)) * H + j]);
        }
        for (int e = 0; e < E; e++) extras[i][e] = p[e * H + j], dps[i][e] = 0;
        load_factors(factor[i], scale, scales, B, b, j);
        on[i] = false;
    });

    // The tape, mask and dy of a step: nobody else writes them, so they are on their way while we wait.
    auto fetch_step = [&](int step) {
        int t = rev ? T - 1 - step : step, before = rev ? t + 1 : t;
        each_pair(B, [&](int i, int, int, int b, int j) {
            for (int k = 0; k < S; k++) {
                s_new[i][k] = s_prev[i][k];
                s_prev[i][k] = load(&tapes[k][(size_t(b) * (T + 1) + before) * H + j]);
            }
            for (int a = 0; a < A; a++) kept[i][a] = load(&saved[((size_t(b) * T + t) * A + a) * H + j]);
            later[i] = on[i];
            on[i] = is_live(live, b, step, T, rev);
            // A masked step repeats the last live output, so its dy goes there; before the first one,
            // nowhere.
            bool dy_used = !live || on[i] || (!zero_masked && step >= first_live[b]);
            dy_step[i] = dy && dy_used ? dy[(size_t(b) * T + step) * H + j] : 0;
        });
    };
    fetch_step(T - 1);

    unsigned round = 0;
    for (int step = T - 1; step >= 0; step--) {
        int t = rev ? T - 1 - step : step;
        auto run = [&](auto which) {
            constexpr int K = decltype(which)::value;
            constexpr int FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
            auto& product = products.template of<K>();

            each_pair(B, [&](int i, int row, int unit, int b, int j) {
                REAL ds_prev[S], dxgs[COUNT], dhgs[COUNT], dp_step[ROOM<E>] = {};
                if constexpr (K == LAST) {
                    if (later[i]) d[i][0] += operand_gradient(Phase<0>{}, i, row, unit);
                    d[i][0] += dy_step[i];
                    d[i][S] = 0;
                } else {
                    d[i][S] = operand_gradient(Phase<K + 1>{}, i, row, unit);
                }

                Cell::template backward<K>(d[i], kept[i], s_prev[i], s_new[i], extras[i], dxgs, dhgs, ds_prev,
                                           dp_step);

                for (int g = 0; g < COUNT; g++) {
                    size_t at = ((size_t(b) * T + t) * G + FIRST + g) * H + j;
                    REAL dx = on[i] ? dxgs[g] : 0, dh = dx;
                    if constexpr (!Cell::SHARED) dhg[at] = dh = on[i] ? dhgs[g] : 0;
                    dxg[at] = dx;
                    size_t place = round % 2 * slot + size_t(b) * LINE + g * PADDED + j;
                    if (!lost) put_operand(&exchange[place], dh);
                }
                for (int e = 0; e < E; e++)
                    if (on[i]) dps[i][e] += dp_step[e];
                for (int k = 0; k < S; k++) {
                    REAL sum = ds_prev[k];
                    if constexpr (K < LAST) sum += ds_sum[i][k];
                    ds_sum[i][k] = sum;
                    if (K == 0 && on[i]) d[i][k] = sum;  // a masked step copies s
                }
            });
            if (!lost) arrive(arrived + GROUP * 32);
            if (K == 0 && step > 0) fetch_step(step - 1);
            round++;
            lost = lost || !all_arrived(arrived + GROUP * 32, round, failed);
            if (!lost) product.run(exchange + (round - 1) % 2 * slot, LINE, tile, sums, GROUP * ROWS, B);
        };
        each_phase_back(run);
    }
    each_pair(B, [&](int i, int row, int unit, int b, int j) {
        if (on[i]) d[i][0] += operand_gradient(Phase<0>{}, i, row, unit);
        for (int k = 0; k < S; k++) ds[(size_t(k) * B + b) * H + j] = d[i][k];
        for (int e = 0; e < E; e++) dp[(size_t(e) * B + b) * H + j] = dps[i][e];
    });
}
