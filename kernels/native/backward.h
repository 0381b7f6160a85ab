// Backward, last step first, in chunks of steps. For each chunk
//
//     each thread runs some rows (and units):     dgates = cell(dh, dc);  dh += dgates Wh^T
//     then they share out among themselves:       dx = dgates Wx^T,  db += sum of dgates,
//                                                 dWx += x^T dgates,  dWh += h_prev^T dgates
//
// so dgates, the gate gradients, never leaves the cache, and no sum depends on the number of threads: see
// weight_gradients.h.
#pragma once
#include "forward.h"
#include "input_gradient.h"
#include "weight_gradients.h"

template <class Real> class Backward : Plan<Real> {
    using P = Plan<Real>;
    using P::B, P::I, P::H, P::G, P::blocks, P::padded, P::steps, P::row_parts, P::unit_parts;
    using P::cell, P::call, P::scratch;
    static constexpr int L = LANES<Real>, WIDTH = COLS * L;

    struct ThreadScratch {  // what one thread works on, and its scratch
        Range rows, blocks;
        Real* product;
    };
    Real* W;                      // the packed weights
    Real* tW = nullptr;           // and their tangents
    Real* zeros;                  // [WIDTH]
    Real* ds[MAX_STATES] = {};    // [B, padded], of each half of the rows: the gradients of the states
    Real* sums[MAX_STATES] = {};  // [B, padded]: with several phases, what they have added to ds so far
    Real* d_operand = nullptr;    // [B, padded]
    int* first_live = nullptr;    // [B]
    int chunk;                    // steps
    const Gradients<Real> dgates;  // of a chunk: row (step - first step) * B + b
    std::vector<Real*> product;    // of each thread: [row of a tile][WIDTH]
    std::vector<Stage> stages;
    std::vector<std::unique_ptr<Barrier>> groups;
    std::vector<std::atomic<int>> reached;  // the step after which each part is
    std::unique_ptr<Forward<Real>> again;  // if the tape is to be recomputed
    const Tape<Real> tape;
    InputGradient<Real> input;
    WeightGradients<Real> weights;
    const Tiles<Real> tiles;

  public:
    explicit Backward(const Call& call)
        : P(call), chunk(chunk_steps()), dgates(gradients()), stages(count_stages()), reached(P::parts()),
          again(call.recompute_every ? new Forward<Real>(call, int(call.recompute_every), true) : nullptr),
          tape(again ? again->tape : Tape<Real>(call, cell)), input(*this), weights(*this, tape, chunk),
          tiles(P::tiles()) {
        P::cut_time(chunk, 4);
        W = take(ptrdiff_t(blocks) * G * P::length(H) * L);
        if (call.tWh) tW = take(ptrdiff_t(blocks) * G * H * L);
        zeros = take(WIDTH);
        std::fill(zeros, zeros + WIDTH, Real(0));
        const ptrdiff_t states = ptrdiff_t(P::halves) * B * padded;
        for (int s = 0; s < cell.states; s++) ds[s] = take(states);
        for (int s = 0; s < cell.states && cell.phases > 1; s++) sums[s] = take(states);
        if (cell.phases > 1) d_operand = take(states);
        if (call.live && !call.zero_masked_outputs) first_live = scratch.template take<int>(B);
        for (int i = 0; i < row_parts; i++) groups.emplace_back(new Barrier(unit_parts));
        for (int id = 0; id < P::threads; id++) {
            product.push_back(take(P::height * WIDTH));
            std::fill(product[id], product[id] + P::height * WIDTH, Real(0));
        }
        for (auto& step : reached) step = steps;
    }

    void run() {
        run_on_threads(P::threads, [this](int id) {
            Stage* stage = stages.data();  // each thread goes through all of them
            stage++->run(packs(), [&](int i) { pack(i); });
            for (int end = steps; end > 0; end -= chunk) {
                const Range now = {std::max(0, end - chunk), end};
                weights.list_rows(id, now);
                for (Range piece = now; piece.end > now.begin; piece.end = piece.begin) {
                    if (again) piece.begin = std::max(now.begin, recompute(id, stage, piece.end));
                    const int count = P::pieces(piece.size());
                    stage++->run(count, [&](int i) { some_steps(id, i, piece, now); });
                    if (again) stage++->run(P::threads, [&](int i) { weights.keep(id, i, now, piece); });
                }
                if (P::rounded || weights.drops_masked()) {
                    const int count = weights.pairings();
                    stage++->run(count + input.pieces(), [&](int i) {
                        if (i < count) weights.pair_rows(id, i, dgates);
                        else input.run(id, i - count, now, dgates);
                    });
                    if (weights.drops_masked())
                        stage++->run(P::threads, [&](int i) { weights.drop_masked(id, i, dgates); });
                    stage++->run(weights.pieces(), [&](int i) { weights.run(id, i, now, dgates); });
                } else {  // the smaller pieces last
                    const int count = weights.pieces();
                    stage++->run(count + input.pieces(), [&](int i) {
                        if (i < count) weights.run(id, i, now, dgates);
                        else input.run(id, i - count, now, dgates);
                    });
                }
            }
            if (P::rounded) leave_tiles();
        });
    }

  private:
    Real* take(ptrdiff_t count) { return scratch.template take<Real>(count); }

    // At most 2 MiB of dgates (or one step), so that it stays in the cache; chunks of nearly equal size.
    int chunk_steps() const {
        const double rows = double(P::halves) * B, columns = cell.columns() + cell.extras;
        const double step_bytes = rows * columns * padded * sizeof(Real);
        const int most = int(std::max(1.0, std::min<double>(steps, (2 << 20) / std::max(1.0, step_bytes))));
        return ceil_div(steps, ceil_div(steps, most));
    }

    Gradients<Real> gradients() {
        const ptrdiff_t rows = ptrdiff_t(P::halves) * chunk * B;
        const ptrdiff_t panels = (cell.columns() + cell.extras) * Gradients<Real>::panels(H);
        Gradients<Real> made = {take(panels * Gradients<Real>::panel_size(rows)), rows, H};
        if (!P::rounded) return made;
        made.operand_row = P::row(H), made.pairs_block = P::length(int(rows)) * L;
        made.operands = take(cell.columns() * rows * made.operand_row);
        made.pairs_column = blocks * made.pairs_block;
        made.pairs = take(cell.columns() * made.pairs_column);
        return made;
    }

    // At most: one for the weights, three for each chunk, three for each piece of a chunk.
    int count_stages() const {
        const int chunks = ceil_div(steps, chunk);
        const int segments = call.recompute_every ? ceil_div(steps, int(call.recompute_every)) : 0;
        return 1 + 3 * chunks + 3 * (chunks + segments);
    }

    // W[block][k: the units of gate 0, of gate 1, ...][lane]: Wh transposed; and what the others pack.
    int packs() const { return blocks + input.packs() + (again ? again->packs() : 0); }
    void pack(int i) {
        const int64_t usual[] = {ptrdiff_t(G) * H, 1};
        const auto pack = [&](Real* to, const void* w, const int64_t* stride) {
            const Real* Wh = static_cast<const Real*>(w);
            P::pack_transposed(to, Wh, stride, H, i);
        };
        if (i < blocks) {
            pack(W, call.Wh, call.Wh_stride);
            if (tW) pack(tW, call.tWh, usual);
        } else if (i < blocks + input.packs()) input.pack(i - blocks);
        else again->pack(i - blocks - input.packs());
    }

    // Piece i of the steps of `range`: some of them, the last ones first, for one part.
    void some_steps(int id, int i, Range range, Range chunk) {
        const int part = i % P::parts(), end = range.end - i / P::parts() * P::segment;
        const int begin = std::max(range.begin, end - P::segment);
        const ThreadScratch own = {P::rows(part), P::own_blocks(part), product[id]};
        for (SpinWait spin; reached[part].load(std::memory_order_acquire) > end;) spin.wait();
        if (end == steps) {
            start(own);
            if (unit_parts > 1) groups[part / unit_parts]->arrive();
        }
        for (int step = end - 1; step >= begin; step--)
            one_step(own, *groups[part / unit_parts], step, chunk);
        if (begin == 0) finish(own);
        reached[part].store(begin, std::memory_order_release);
    }

    void start(const ThreadScratch& own) {
        const int u0 = own.blocks.begin * L, u1 = std::min(H, own.blocks.end * L);
        for (int b = own.rows.begin; b < own.rows.end; b++) {
            for (int s = 0; s < cell.states; s++) {
                Real* d = ds[s] + ptrdiff_t(b) * padded;
                const ptrdiff_t end = ceil_div(own.blocks.end, 2) * 2 * L;
                std::fill(d + u0, d + end, Real(0));
                if (call.dual) d += ptrdiff_t(B) * padded, std::fill(d + u0, d + end, Real(0));
                const Real* given = static_cast<const Real*>(call.dfinal[s]);
                if (given) std::copy(given + ptrdiff_t(b) * H + u0, given + ptrdiff_t(b) * H + u1, d + u0);
            }
            if (first_live && !own.blocks.begin) {
                int step = 0;
                while (step < steps && !P::live(step)[ptrdiff_t(b) * steps]) step++;
                first_live[b] = step;
            }
        }
    }

    void finish(const ThreadScratch& own) {
        const int u0 = own.blocks.begin * L, u1 = std::min(H, own.blocks.end * L);
        for (int s = 0; s < cell.states; s++)
            for (ptrdiff_t b = own.rows.begin; b < own.rows.end && call.dinitial[s]; b++)
                std::copy(ds[s] + b * padded + u0, ds[s] + b * padded + u1,
                        static_cast<Real*>(call.dinitial[s]) + b * H + u0);
    }

    // Make the tape before step `end` good again, if it is that of the segment behind. Returns where it
    // begins.
    int recompute(int id, Stage*& stage, int end) {
        const int every = int(call.recompute_every), k = (end - 1) / every;
        if (end == steps || end % every == 0)
            stage++->run(P::parts(), [&](int part) { again->recompute(id, part, k); });
        return k * every;
    }

    void one_step(const ThreadScratch& own, Barrier& group, int step, Range chunk) {
        const BackwardStep<Real> at = step_at(step, chunk);
        for (int phase = cell.phases - 1; phase >= 0; phase--) {
            cell.backward[phase](at, own.rows.begin, own.rows.end, own.blocks.begin * L, own.blocks.end * L);
            if (P::rounded) round_gradients(own, at, phase);
            if (unit_parts > 1) group.arrive();
            for (int j = own.blocks.begin; j < own.blocks.end; j += P::cols)
                for (int b = own.rows.begin, n; b < own.rows.end; b += n) {
                    n = P::tile_rows(own.rows.end - b);
                    if (!phase && step && j == own.blocks.begin) prefetch_rows(own, step - 1, b, n);
                    const int rows = P::rows_to_last_live(step, b, n);  // the others' dgates are 0
                    if (rows) one_tile(own, at, phase, b, rows, j, std::min(P::cols, own.blocks.end - j));
                }
        }
    }

    void round_gradients(const ThreadScratch& own, const BackwardStep<Real>& at, int phase) const;
    void prefetch_rows(const ThreadScratch& own, int step, ptrdiff_t b, int n) const;
    void one_tile(const ThreadScratch& own, const BackwardStep<Real>& at, int phase, int b, int n, int j,
                  int cols);
    BackwardStep<Real> step_at(int step, Range chunk) const {
        BackwardStep<Real> at{};
        at.B = B, at.H = H;
        at.dgates = &dgates;
        at.dgates_row = ptrdiff_t(step - chunk.begin) * B;
        at.dgates_far = ptrdiff_t(chunk.size()) * B * PANEL<Real>;
        at.step = step;
        for (int s = 0; s < cell.states; s++) {
            at.s_prev[s] = tape.before(s, step);
            at.s[s] = tape.after(s, step);
            at.ds[s] = ds[s];
            at.parts[s] = sums[s];
        }
        at.state_row = tape.state_row;
        at.saved = tape.saved_at(step);
        at.saved_row = tape.saved_row;
        at.dy = call.dy ? static_cast<const Real*>(call.dy) + step * call.dy_stride[1] : nullptr;
        at.dy_row = call.dy_stride[0];
        at.live = P::live(step);
        at.live_row = steps;
        at.first_live = first_live;
        at.p = static_cast<const Real*>(call.p), at.tp = static_cast<const Real*>(call.tp);
        at.operand = d_operand;
        at.ds_row = padded;
        return at;
    }
};

#include "backward_tile.h"
