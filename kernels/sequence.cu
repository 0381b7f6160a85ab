// The whole time loop of any cell in one launch: the recurrent weights never leave the chip.
//
// Why. step.cu needs two launches for each step, and each product reads all of Wh again. For a layer of a few
// hundred units that takes longer than the arithmetic: some 18 us a step, of which the sums take one. But Wh
// is the same at every step, and all multiprocessors together have room for it. So every block takes its
// share of Wh once, keeps it, and runs all steps.
//
// Who owns what (sequence.png). Rows of a batch never need each other; units do, since each needs the h of
// all. So the batch falls into row groups of ROWS rows, and a row group into BLOCKS blocks, each with OWN
// units:
//
//     block (SLICE, GROUP)   units SLICE*OWN .. +OWN-1, with all their gates, of rows GROUP*ROWS .. +ROWS-1
//     thread                 PAIRS pairs of a row and a unit: their states, biases, gates stay in registers
//
// One step forward, phase by phase (an LSTM has one phase, a GRU that resets before has two):
//
//     1. arrive                       our h is published
//     2. fetch xg of our own pairs    nobody else writes it, so it is on its way while we wait
//     3. all_arrived                  all blocks of the row group have published their h
//     4. product (product.h)          of the exchange [ROWS,H] and our weights [H, gates*OWN]
//     5. the cell's own forward       one call per pair, the same text as step.cu runs: cells/*.h
//     6. publish the new h            times its dropout scale, in the exchange
//
// One step backward: the cell's backward makes the gradient dhg of our units' gates; we publish it, wait, and
// the product of the exchange [ROWS, gates*H] with our rows of Wh comes back to our h, at the step before.
//
// The exchange has two slots, used by turns: who writes slot 1 has waited for everybody after they read it
// last. That is all the order there is between blocks, one barrier for each product: a counter that only
// grows, raised with release (what the block has published comes before) and read with acquire (what others
// published is seen). For that all blocks must run at the same time, which a cooperative launch guarantees. A
// block that waits in vain gives up: it raises `failed`, its results become NaN, and the host raises an
// error: a hung GPU is worse.
//
// Masked rows are computed like others and then left out by selection, so that NaN or inf in them stays
// there. No atomics on numbers, every sum in one order: the same bits every time, and those of step.cu where
// its product adds up in the same order. Arrays are those of step.cu. exchange [2, B, LINE], zeroed: each row
// has a line of its own, since row groups do not wait for each other. arrived: a counter for each row group,
// 32 apart, zeroed. T, B and flags are arguments; the rest is compiled in.

extern "C" __global__ void __launch_bounds__(THREADS, 1)
forward(REAL* xg, const REAL* Wh, const REAL* bx, const REAL* bh, const REAL* p, REAL* s, STORE* saved,
        STORE* tape0, STORE* tape1, STORE* tape2, STORE* tape3, OPERAND* exchange, const REAL* scale,
        STORE* y, const unsigned char* live, unsigned* arrived, volatile int* failed, int B, int T,
        int scales, int rev, int zero_masked) {
    extern __shared__ __align__(16) REAL memory[];
    Products<ForwardProduct> products;
    REAL *tile = memory + products.WEIGHTS, *sums = tile + products.TILE;

    // Our columns of Wh: all gates of our units.
    REAL* room = memory;
    auto load_weights = [&](auto which) {
        constexpr int K = decltype(which)::value;
        auto& product = products.template of<K>();
        product.load(room, [&](int part, int k, int column) {
            int gate = Cell::template FIRST<K> + (PER_GATE ? part : column / OWN);
            int j = SLICE * OWN + column % OWN;
            return k < H && j < H ? Wh[(size_t(k) * G + gate) * H + j] : 0;
        });
        room += product.WEIGHTS;
    };
    each_phase(load_weights);

    bool lost = gridDim.y != BLOCKS || gridDim.z * ROWS < B;  // blocks are missing: NaN, and nobody waits
    if (lost) *failed = 1;
    constexpr int LINE = products.LINE;
    size_t slot = size_t(B) * LINE;

    REAL state[PAIRS][S], kept[PAIRS][ROOM<A>], last_output[PAIRS];
    REAL bias[PAIRS][G], bias_h[PAIRS][G], extras[PAIRS][ROOM<E>], factor[PAIRS][PER_GATE ? G : 1];
    bool on[PAIRS];
    STORE* tapes[] = {tape0, tape1, tape2, tape3};

    // What pair i gives to the product of that round, phase K's: h, or what the phase before returned.
    auto publish = [&](auto which, unsigned round, REAL value, int i, int b, int j) {
        constexpr int K = decltype(which)::value;
        OPERAND* line = exchange + round % 2 * slot + size_t(b) * LINE;
        if (lost) return;
        for (int part = 0; part < PARTS<K>; part++)
            put_operand(&line[part * PADDED + j],
                        value * factor[i][PER_GATE ? Cell::template FIRST<K> + part : 0]);
    };

    each_pair(B, [&](int i, int, int, int b, int j) {
        for (int k = 0; k < S; k++) {
            state[i][k] = s[(size_t(k) * B + b) * H + j];
            if (tapes[k]) store(&tapes[k][(size_t(b) * (T + 1) + (rev ? T : 0)) * H + j], state[i][k]);
        }
        for (int g = 0; g < G; g++) {
            bias[i][g] = bx ? bx[g * H + j] : 0;
            bias_h[i][g] = bh ? bh[g * H + j] : 0;
        }
        for (int e = 0; e < E; e++) extras[i][e] = p[e * H + j];
        load_factors(factor[i], scale, scales, B, b, j);
        last_output[i] = 0;
        publish(Phase<0>{}, 0, state[i][0], i, b, j);
    });

    unsigned round = 0;
    for (int step = 0; step < T; step++) {
        int t = rev ? T - 1 - step : step, after = rev ? t : t + 1;
        auto run = [&](auto which) {
            constexpr int K = decltype(which)::value;
            constexpr int FIRST = Cell::template FIRST<K>, COUNT = Cell::template COUNT<K>;
            auto& product = products.template of<K>();

            if (!lost) arrive(arrived + GROUP * 32);
            REAL xgs[PAIRS][COUNT];
            each_pair(B, [&](int i, int, int, int b, int j) {
                for (int g = 0; g < COUNT; g++) xgs[i][g] = xg[((size_t(b) * T + t) * W + FIRST + g) * H + j];
                if (K == LAST) on[i] = is_live(live, b, step, T, rev);
            });
            lost = lost || !all_arrived(arrived + GROUP * 32, round + 1, failed);
            if (!lost) product.run(exchange + round % 2 * slot, LINE, tile, sums, GROUP * ROWS, B);
            round++;

            each_pair(B, [&](int i, int row, int unit, int b, int j) {
                REAL hgs[COUNT], s_new[S];
                for (int g = 0; g < COUNT; g++) {
                    REAL dot = not_a_number();
                    int part = PER_GATE ? g : 0, column = PER_GATE ? unit : g * OWN + unit;
                    if (!lost) dot = product.total(sums, part, row, column);
                    if constexpr (Cell::SHARED) {
                        xgs[i][g] = xgs[i][g] + dot + bias[i][FIRST + g];
                        hgs[g] = 0;
                    } else {
                        xgs[i][g] += bias[i][FIRST + g];
                        hgs[g] = dot + bias_h[i][FIRST + g];
                    }
                }

                Cell::template forward<K>(xgs[i], hgs, state[i], kept[i], extras[i], s_new);

                if constexpr (K < LAST) {
                    publish(Phase<K + 1>{}, round, s_new[0], i, b, j);
                } else {
                    if (saved)
                        for (int a = 0; a < A; a++)
                            store(&saved[((size_t(b) * T + t) * A + a) * H + j], on[i] ? kept[i][a] : 0);
                    for (int k = 0; k < S; k++) {
                        state[i][k] = on[i] ? s_new[k] : state[i][k];
                        if (tapes[k]) store(&tapes[k][(size_t(b) * (T + 1) + after) * H + j], state[i][k]);
                    }
                    last_output[i] = on[i] ? s_new[0] : zero_masked ? 0 : last_output[i];
                    store(&y[(size_t(b) * T + step) * H + j], last_output[i]);
                    publish(Phase<0>{}, round, state[i][0], i, b, j);
                }
            });
        };
        each_phase(run);
    }
    each_pair(B, [&](int i, int, int, int b, int j) {
        for (int k = 0; k < S; k++) s[(size_t(k) * B + b) * H + j] = state[i][k];
    });
}
