// The whole time loop of any cell in one launch: the recurrent weights never leave the chip.
//
// Why. step.cu needs two launches for each step, and each product reads all of Wh again. For a layer of a few hundred units that
// takes longer than the arithmetic: some 18 us a step, of which the sums take one. But Wh is the same at every step, and all
// multiprocessors together have room for it. So every block takes its share of Wh once, keeps it, and runs all steps.
//
// Who owns what (sequence.png). Rows of a batch never talk to each other; units do, since each needs the h of all. So the batch
// falls into row groups of ROWS rows that know nothing of each other, and a row group into BLOCKS blocks, each with OWN units:
//
//     block (SLICE, GROUP)   units SLICE*OWN .. +OWN-1, with all their gates, of rows GROUP*ROWS .. +ROWS-1; weights [H, gates*OWN]
//     thread                 PAIRS pairs of a row and a unit: their states, biases and gates live in its registers from step to step
//
// One step forward, phase by phase (an LSTM has one phase, a GRU that resets before has two):
//
//     1. fetch xg of our own pairs              nobody else writes it, so it is on its way while we wait
//     2. meet                                   until all blocks of the row group have posted their h
//     3. product (product.h)                    mail [ROWS,H] times our weights
//     4. the cell's own forward                 one call per pair, the same text as step.cu runs: cells/*.h
//     5. post the new h to the mail             times its dropout scale
//
// One step backward: the cell's backward makes the gradient dhg of our units' gates; we post it, meet, and the product of the
// mail [ROWS, gates*H] with our rows of Wh is what comes back to our h, at the step before.
//
// The mail has two slots, used by turns: who writes slot 1 has met everybody after they read it last. That is all the order there
// is between blocks, one barrier for each product: a counter that only grows, raised with release (what the block has posted comes
// before) and read with acquire (what others posted is seen). For that all blocks must run at the same time, which a
// cooperative launch guarantees. A block that waits in vain gives up: it raises `failed`, its results become NaN, and the
// host raises an error, because a hung GPU is worse. If one block has room for all units, there is nobody to meet.
//
// Masked rows are computed like others and then left out by selection, so that NaN or inf in them stays there. No atomics on
// numbers, every sum in one order: the same bits every time, and those of step.cu where its product adds up in the same order.
//
// Arrays are those of step.cu. mail [2, parts, B, K], zeroed: PADDED units in a line. arrived: a counter for each row group, 32
// apart, zeroed. The grid is (1, BLOCKS, row groups). T, B and the flags are arguments; H and the tiles are compiled in.

extern "C" __global__ void __launch_bounds__(THREADS, 1)
forward(REAL* xg, const REAL* Wh, const REAL* bx, const REAL* bh, const REAL* p, REAL* s, STORE* saved, STORE* tape_h, STORE* tape_c,
        REAL* mail, const REAL* scale, STORE* y, const unsigned char* live, unsigned* arrived, volatile int* failed, int B, int T,
        int scales, int rev, int zero_masked) {
    extern __shared__ __align__(16) REAL memory[];
    ForwardProduct<0> first;
    ForwardProduct<LAST> last;
    constexpr int MORE = LAST ? last.WEIGHTS : 0, MAIL = most(PARTS<0>, PARTS<LAST>);
    REAL *tile = memory + first.WEIGHTS + MORE, *sums = tile + first.TILE;
    auto load_weights = [&](auto which, auto& product, REAL* room) {
        constexpr int FIRST = Cell::template FIRST<decltype(which)::value>;
        product.load(room, [&](int part, int k, int column) {
            int gate = FIRST + (PER_GATE ? part : column / OWN), j = SLICE * OWN + column % OWN;
            return k < H && j < H ? Wh[(size_t(k) * G + gate) * H + j] : 0;
        });
    };
    load_weights(Phase<0>{}, first, memory);
    if constexpr (LAST > 0) load_weights(Phase<LAST>{}, last, memory + first.WEIGHTS);

    bool lost = gridDim.y != BLOCKS || gridDim.z * ROWS < B;  // blocks are missing: what comes then is NaN, and nobody waits
    if (lost) *failed = 1;
    size_t slot = size_t(MAIL) * B * PADDED;
    auto post = [&](auto which, unsigned round, REAL value, int b, int j) {  // the operands of the product of that round
        constexpr int K = decltype(which)::value;
        REAL* box = mail + round % 2 * slot;
        if (lost) return;
        if (!PER_GATE) {
            box[size_t(b) * PADDED + j] = scales ? value * scale[size_t(b) * H + j] : value;
        } else {
            for (int i = 0; i < PARTS<K>; i++) {
                size_t line = size_t(Cell::template FIRST<K> + i) * B + b;
                box[(size_t(i) * B + b) * PADDED + j] = value * scale[line * H + j];
            }
        }
    };

    REAL state[PAIRS][S], bias[PAIRS][G], bias_h[PAIRS][G], extras[PAIRS][ROOM<E>], kept[PAIRS][ROOM<A>], shown[PAIRS];
    own(B, [&](int i, int, int, int b, int j) {
        for (int k = 0; k < S; k++) {
            state[i][k] = s[(size_t(k) * B + b) * H + j];
            if (STORE* tape = k == 0 ? tape_h : tape_c) store(&tape[(size_t(b) * (T + 1) + (rev ? T : 0)) * H + j], state[i][k]);
        }
        for (int g = 0; g < G; g++) bias[i][g] = bx ? bx[g * H + j] : 0, bias_h[i][g] = bh ? bh[g * H + j] : 0;
        for (int e = 0; e < E; e++) extras[i][e] = p[e * H + j];
        shown[i] = 0;
        post(Phase<0>{}, 0, state[i][0], b, j);
    });

    unsigned round = 0;
    for (int step = 0; step < T; step++) {
        int t = rev ? T - 1 - step : step, after = rev ? t : t + 1;
        auto run = [&](auto which, auto& product) {
            constexpr int K = decltype(which)::value, FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
            REAL xgs[PAIRS][COUNT];  // nobody else's affair, so fetched before the wait
            own(B, [&](int i, int, int, int b, int j) {
                for (int g = 0; g < COUNT; g++) xgs[i][g] = xg[((size_t(b) * T + t) * W + FIRST + g) * H + j];
            });
            lost = lost || !meet(arrived + GROUP * 32, round + 1, failed);
            if (!lost) product.run(mail + round % 2 * slot, tile, sums, GROUP * ROWS, B);
            round++;
            own(B, [&](int i, int row, int unit, int b, int j) {
                REAL hgs[COUNT], s_new[S];
                for (int g = 0; g < COUNT; g++) {
                    REAL dot = not_a_number();
                    if (!lost) dot = product.total(sums, PER_GATE ? g : 0, row, PER_GATE ? unit : g * OWN + unit);
                    if constexpr (Cell::SHARED) xgs[i][g] = xgs[i][g] + dot + bias[i][FIRST + g], hgs[g] = 0;
                    else xgs[i][g] += bias[i][FIRST + g], hgs[g] = dot + bias_h[i][FIRST + g];
                }

                Cell::template forward<K>(xgs[i], hgs, state[i], kept[i], extras[i], s_new);

                if constexpr (K < LAST) {
                    post(Phase<K + 1>{}, round, s_new[0], b, j);
                } else {
                    bool on = is_live(live, b, step, T, rev);
                    if (saved)
                        for (int a = 0; a < A; a++) store(&saved[((size_t(b) * T + t) * A + a) * H + j], on ? kept[i][a] : 0);
                    for (int k = 0; k < S; k++) {
                        state[i][k] = on ? s_new[k] : state[i][k];
                        if (STORE* tape = k == 0 ? tape_h : tape_c) store(&tape[(size_t(b) * (T + 1) + after) * H + j], state[i][k]);
                    }
                    shown[i] = on ? s_new[0] : zero_masked ? 0 : shown[i];
                    store(&y[(size_t(b) * T + step) * H + j], shown[i]);
                    post(Phase<0>{}, round, state[i][0], b, j);
                }
            });
        };
        run(Phase<0>{}, first);
        if constexpr (LAST > 0) run(Phase<LAST>{}, last);
    }
    own(B, [&](int i, int, int, int b, int j) {
        for (int k = 0; k < S; k++) s[(size_t(k) * B + b) * H + j] = state[i][k];
    });
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
backward(const STORE* saved, const STORE* tape_h, const STORE* tape_c, const REAL* Wh, const REAL* p, const REAL* dy, REAL* ds,
         REAL* dxg, REAL* dhg, REAL* dp, REAL* mail, const REAL* scale, const unsigned char* live, const int* first_live,
         unsigned* arrived, volatile int* failed, int B, int T, int scales, int rev, int zero_masked) {
    extern __shared__ __align__(16) REAL memory[];
    BackwardProduct<0> first;
    BackwardProduct<LAST> last;
    constexpr int MORE = LAST ? last.WEIGHTS : 0, MAIL = most(first.PARTS * first.K, last.PARTS * last.K);
    REAL *tile = memory + first.WEIGHTS + MORE, *sums = tile + most(first.TILE, last.TILE);
    auto load_weights = [&](auto which, auto& product, REAL* room) {
        constexpr int FIRST = Cell::template FIRST<decltype(which)::value>;
        product.load(room, [&](int part, int k, int column) {
            int gate = FIRST + (PER_GATE ? part : k / PADDED), unit = k % PADDED, j = SLICE * OWN + column;
            return unit < H && j < H ? Wh[(size_t(j) * G + gate) * H + unit] : 0;
        });
    };
    load_weights(Phase<0>{}, first, memory);
    if constexpr (LAST > 0) load_weights(Phase<LAST>{}, last, memory + first.WEIGHTS);

    bool lost = gridDim.y != BLOCKS || gridDim.z * ROWS < B;  // as in forward
    if (lost) *failed = 1;
    size_t slot = size_t(MAIL) * B;
    auto take_back = [&](auto which, auto& product, int row, int unit, int b, int j) {  // undoes post: the operands' gradient -> h's
        constexpr int FIRST = Cell::template FIRST<decltype(which)::value>;
        if (lost) return not_a_number();
        if constexpr (!PER_GATE) {
            REAL back = product.total(sums, 0, row, unit);
            return scales ? back * scale[size_t(b) * H + j] : back;
        } else {
            REAL sum = 0;
            for (int i = 0; i < product.PARTS; i++) {
                REAL back = product.total(sums, i, row, unit);
                sum += back * scale[(size_t(FIRST + i) * B + b) * H + j];
            }
            return sum;
        }
    };

    // of each pair: gradient of its states, what it adds up to the end, and the tape at a step
    REAL d[PAIRS][S + 1], part[PAIRS][S], dps[PAIRS][ROOM<E>], extras[PAIRS][ROOM<E>];
    REAL s_prev[PAIRS][S], s_new[PAIRS][S], kept[PAIRS][ROOM<A>], given[PAIRS];
    bool on[PAIRS], later[PAIRS];
    own(B, [&](int i, int, int, int b, int j) {
        for (int k = 0; k < S; k++) {
            d[i][k] = ds[(size_t(k) * B + b) * H + j];
            s_prev[i][k] = load(&(k == 0 ? tape_h : tape_c)[(size_t(b) * (T + 1) + (rev ? 0 : T)) * H + j]);
        }
        for (int e = 0; e < E; e++) extras[i][e] = p[e * H + j], dps[i][e] = 0;
        on[i] = false;
    });
    auto look = [&](int step) {  // nobody else's affair, so fetched before the wait
        int t = rev ? T - 1 - step : step, before = rev ? t + 1 : t;
        own(B, [&](int i, int, int, int b, int j) {
            for (int k = 0; k < S; k++) {
                s_new[i][k] = s_prev[i][k];
                s_prev[i][k] = load(&(k == 0 ? tape_h : tape_c)[(size_t(b) * (T + 1) + before) * H + j]);
            }
            for (int a = 0; a < A; a++) kept[i][a] = load(&saved[((size_t(b) * T + t) * A + a) * H + j]);
            later[i] = on[i];
            on[i] = is_live(live, b, step, T, rev);
            bool dy_used = !live || on[i] || (!zero_masked && step >= first_live[b]);  // by y: a masked step repeats the last live output
            given[i] = dy && dy_used ? dy[(size_t(b) * T + step) * H + j] : 0;
        });
    };
    look(T - 1);

    unsigned round = 0;
    for (int step = T - 1; step >= 0; step--) {
        int t = rev ? T - 1 - step : step;
        auto run = [&](auto which, auto& product) {
            constexpr int K = decltype(which)::value, FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
            own(B, [&](int i, int row, int unit, int b, int j) {
                REAL ds_prev[S], dxgs[COUNT], dhgs[COUNT], dp_step[ROOM<E>];
                if constexpr (K == LAST) {
                    if (later[i]) d[i][0] += take_back(Phase<0>{}, first, row, unit, b, j);
                    d[i][0] += given[i];
                    d[i][S] = 0;
                } else {
                    d[i][S] = take_back(Phase<K + 1>{}, last, row, unit, b, j);
                }

                Cell::template backward<K>(d[i], kept[i], s_prev[i], s_new[i], extras[i], dxgs, dhgs, ds_prev, dp_step);

                for (int g = 0; g < COUNT; g++) {
                    size_t at = ((size_t(b) * T + t) * G + FIRST + g) * H + j;
                    REAL dx = on[i] ? dxgs[g] : 0, dh = dx;
                    if constexpr (!Cell::SHARED) dhg[at] = dh = on[i] ? dhgs[g] : 0;
                    dxg[at] = dx;
                    size_t line = PER_GATE ? size_t(g) * B + b : size_t(b) * COUNT + g;
                    if (!lost) mail[round % 2 * slot + line * PADDED + j] = dh;
                }
                for (int e = 0; e < E; e++)
                    if (on[i]) dps[i][e] += dp_step[e];
                for (int k = 0; k < S; k++) {
                    REAL sum = ds_prev[k];
                    if constexpr (K < LAST) sum += part[i][k];
                    part[i][k] = sum;
                    if (K == 0 && on[i]) d[i][k] = sum;  // a masked step copies s
                }
            });
            if (K == 0 && step > 0) look(step - 1);
            round++;
            lost = lost || !meet(arrived + GROUP * 32, round, failed);
            if (!lost) product.run(mail + (round - 1) % 2 * slot, tile, sums, GROUP * ROWS, B);
        };
        if constexpr (LAST > 0) run(Phase<LAST>{}, last);
        run(Phase<0>{}, first);
    }
    own(B, [&](int i, int row, int unit, int b, int j) {
        if (on[i]) d[i][0] += take_back(Phase<0>{}, first, row, unit, b, j);
        for (int k = 0; k < S; k++) ds[(size_t(k) * B + b) * H + j] = d[i][k];
        for (int e = 0; e < E; e++) dp[(size_t(e) * B + b) * H + j] = dps[i][e];
    });
}
