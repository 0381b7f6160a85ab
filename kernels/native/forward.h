// Forward: each thread runs some rows (and, if there are few, some units) through the sequence.
//
//     for each step, each phase, each panel of COLS blocks of units, each tile of up to ROWS rows:
//         for each gate:  preact = bias + x_t Wx + h Wh     sums in registers, preact in the nearest cache
//         s, saved = cell(preact)
//
// With few rows the weights' way to the registers is narrow: x_t Wx is made for several steps at once.
#pragma once
#include "plan.h"

template <class Real> class Forward : Plan<Real> {
    using P = Plan<Real>;
    using P::B, P::I, P::H, P::G, P::blocks, P::padded, P::steps, P::row_parts, P::unit_parts;
    using P::cell, P::call, P::scratch;
    static constexpr int L = LANES<Real>, WIDTH = COLS * L;

    struct ThreadScratch {  // what one thread works on, and its scratch
        Range rows, blocks;
        Real* preact;  // [half][row of a tile][column][WIDTH]
        Real* x;       // [half][copy][row][I]
        Real* h;       // [half][copy][row][H]
        Real* xg;      // [row][step ahead][gate][padded]
        Real* row;     // before it is rounded
    };
    Real* W;                          // the packed weights
    Real* tW = nullptr;               // their tangents, packed alike
    Real *bias, *tbias = nullptr;     // [column][padded]
    Real* operands[MAX_PHASES] = {};  // by the phase whose product takes it
    Real* unread = nullptr;           // y of a step, where nobody asks for y
    int ahead;                        // steps for which x Wx is made in one go; 0: with each step
    ptrdiff_t preact_row, w_block;
    std::vector<ThreadScratch> thread_scratch;
    Stage packing, running;
    std::vector<std::unique_ptr<Barrier>> groups;
    std::vector<std::atomic<int>> reached;  // the step before which each part is
    const Tiles<Real> tiles;

  public:
    const Tape<Real> tape;

    explicit Forward(const Call& call)
        : Forward(call, call.states[0] && !call.recompute_every ? 0 : 1, false) {}

    // On the caller's tape, or (segment > 0) on one of its own for so many steps.
    Forward(const Call& call, int segment, bool save)
        : P(call), reached(P::parts()),
          tiles(P::tiles()),
          tape(segment ? Tape<Real>(call, cell, scratch, segment, save || cell.phases > 1, B * P::halves)
                       : Tape<Real>(call, cell)) {
        const int most_rows = P::most_rows(), halves = P::halves;
        const ptrdiff_t rows = ptrdiff_t(halves) * B;
        ahead = most_rows < cost::AHEAD && !call.dual ? std::min(steps, 24) : 0;
        preact_row = cell.columns() * WIDTH;
        w_block = ptrdiff_t(P::length(I) + P::length(H)) * L;
        W = take(G * blocks * w_block);
        bias = take(cell.columns() * padded);
        if (call.tWx || call.tWh) tW = take(G * blocks * w_block);
        if (call.dual) tbias = take(cell.columns() * padded);
        for (int phase = 1; phase < cell.phases; phase++) operands[phase] = take(rows * padded);
        if (!call.y) unread = take(rows * H);
        for (int i = 0; i < row_parts; i++) groups.emplace_back(new Barrier(unit_parts));
        const int height = P::height;
        const ptrdiff_t x_rows = std::max(most_rows, height);
        const ptrdiff_t h_rows = call.h_scale || P::rounded ? most_rows : 0;
        for (int id = 0; id < P::threads; id++) {
            Real* preact = take(halves * height * preact_row);
            std::fill(preact, preact + halves * height * preact_row, Real(0));
            thread_scratch.push_back({{}, {}, preact, take(halves * call.x_scale_gates * x_rows * P::row(I)),
                            take(halves * call.h_scale_gates * h_rows * P::row(H)),
                            take(ptrdiff_t(most_rows) * ahead * G * padded), take(std::max(I, H))});
        }
    }

    void run() {
        run_on_threads(P::threads, [this](int id) {
            packing.run(packs(), [this](int i) { pack(i); });
            running.run(P::pieces(steps), [&](int i) {
                const int part = i % P::parts(), begin = i / P::parts() * P::segment;
                for (SpinWait spin; reached[part].load(std::memory_order_acquire) < begin;) spin.wait();
                const int end = std::min(steps, begin + P::segment);
                sequence(own(id, part), *groups[part / unit_parts], {begin, end});
                reached[part].store(end, std::memory_order_release);
            });
            if (P::rounded) leave_tiles();
        });
    }

    void run_packed();  // for a stepper, and told in stepper.h
    // W[gate][block][k of x, then of h][lane]; bias[column][padded]: in so many pieces.
    int packs() const { return G * blocks; }
    void pack(int i) {
        const int gate = i / blocks, block = i % blocks;
        const int64_t usual[] = {ptrdiff_t(G) * H, 1};
        const auto pack = [&](Real* to, const void* given, const int64_t* stride, int K) {
            const Real* w = static_cast<const Real*>(given);
            if (!w) return;
            w += gate * H * stride[1];
            P::pack_weights(to + i * w_block, w, stride[0], stride[1], K, H, block);
        };
        pack(W, call.Wx, call.Wx_stride, I), pack(W + P::length(I) * L, call.Wh, call.Wh_stride, H);
        if (tW) pack(tW, call.tWx, usual, I), pack(tW + I * L, call.tWh, usual, H);
        if (i) return;
        add_biases(bias, static_cast<const Real*>(call.bx), static_cast<const Real*>(call.bh));
        if (tbias) add_biases(tbias, static_cast<const Real*>(call.tbx), static_cast<const Real*>(call.tbh));
    }

    // Run the steps between checkpoints k and k + 1 once more, in thread `id`.
    void recompute(int id, int part, int k) {
        const ThreadScratch own = this->own(id, part);
        Barrier& group = *groups[part / unit_parts];
        const int begin = k * int(call.recompute_every);
        for (int s = 0; s < cell.states; s++)
            copy_state(own, P::checkpoint(s, k), P::checkpoint_row(), tape.before(s, begin), tape.state_row);
        if (unit_parts > 1) group.arrive();
        run_steps(own, group, {begin, std::min(steps, begin + int(call.recompute_every))});
    }

  private:
    Real* take(ptrdiff_t count) { return scratch.template take<Real>(count); }

    void add_biases(Real* sum, const Real* bx, const Real* bh) const {
        std::fill(sum, sum + cell.columns() * padded, Real(0));
        for (int gate = 0; gate < G; gate++)
            for (int u = 0; u < H; u++) {
                if (bx) sum[gate * padded + u] += bx[gate * H + u];
                if (bh) sum[cell.recurrent_column(gate) * padded + u] += bh[gate * H + u];
            }
    }

    ThreadScratch own(int id, int part) const {
        ThreadScratch own = thread_scratch[id];
        own.rows = P::rows(part), own.blocks = P::own_blocks(part);
        return own;
    }

    void sequence(const ThreadScratch& own, Barrier& group, Range range) {
        for (int s = 0; s < cell.states && !range.begin; s++)
            copy_state(own, static_cast<const Real*>(call.initial[s]), H, tape.before(s, 0), tape.state_row);
        if (unit_parts > 1) group.arrive();
        const int every = call.recompute_every ? int(call.recompute_every) : steps;
        for (int begin = range.begin, end; begin < range.end; begin = end) {
            end = std::min(range.end, (begin / every + 1) * every);
            for (int s = 0; s < cell.states && call.recompute_every && begin % every == 0; s++)
                copy_state(own, tape.before(s, begin), tape.state_row, P::checkpoint(s, begin / every),
                           P::checkpoint_row());
            run_steps(own, group, {begin, end});
        }
        for (int s = 0; s < cell.states && range.end == steps; s++)
            copy_state(own, tape.after(s, steps - 1), tape.state_row, static_cast<Real*>(call.final[s]), H);
    }

    void run_steps(const ThreadScratch& own, Barrier& group, Range range) {
        for (int step = range.begin; step < range.end; step++) {
            ForwardStep<Real> at = step_at(step);
            const int place = ahead ? (step - range.begin) % ahead : 0;  // in xg
            if (!ahead && (P::rounded || !P::x_as_it_is())) copy_x_of_step(own, step);
            if (ahead && place == 0) project_ahead(own, {step, std::min(step + ahead, range.end)});
            for (int phase = 0; phase < cell.phases; phase++) {
                if (phase + 1 < cell.phases) at.operand = operands[phase + 1];
                if (call.h_scale || P::rounded) copy_h(own, at, phase);
                for (int j = own.blocks.begin; j < own.blocks.end; j += P::cols)
                    for (int b = own.rows.begin, n; b < own.rows.end; b += n) {
                        n = P::tile_rows(own.rows.end - b);
                        one_tile(own, at, step, place, phase, b, n, j, std::min(P::cols, own.blocks.end - j));
                    }
                if (unit_parts > 1) group.arrive();
            }
        }
    }

    void one_tile(const ThreadScratch& own, const ForwardStep<Real>& at, int step, int place, int phase,
                  int b, int n, int j, int cols);
    void left_sides(const ThreadScratch& own, const ForwardStep<Real>& at, int step, int phase, int gate,
                    int b, Part<Real>* parts) const;
    void tangents(const Part<Real>* parts, const Part<Real>* t_parts, int gate, int n, int j, int width,
                  Real* preact_x, Real* preact_h) const;
    void prefetch_results(const ForwardStep<Real>& at, int phase, ptrdiff_t b, int n, int u, int count) const;
    void copy_x_of_step(const ThreadScratch& own, int step) const;
    void copy_h(const ThreadScratch& own, const ForwardStep<Real>& at, int phase) const;
    void project_ahead(const ThreadScratch& own, Range range);
    ForwardStep<Real> step_at(int step) const {
        ForwardStep<Real> at{};
        at.B = B, at.H = H;
        for (int s = 0; s < cell.states; s++) {
            at.s_prev[s] = tape.before(s, step);
            at.s[s] = tape.after(s, step);
        }
        at.state_row = tape.state_row;
        at.saved = tape.saved_at(step);
        at.saved_row = tape.saved_row;
        at.y = unread ? unread : static_cast<Real*>(call.y) + step * call.y_stride[1];
        at.y_prev = step && !unread ? at.y - call.y_stride[1] : nullptr;
        at.y_row = unread ? H : call.y_stride[0];
        at.live = P::live(step);
        at.live_row = steps;
        at.zero_masked_outputs = call.zero_masked_outputs;
        at.p = static_cast<const Real*>(call.p), at.tp = static_cast<const Real*>(call.tp);
        at.operand_row = padded;
        return at;
    }

    void copy_state(const ThreadScratch& own, const Real* from, ptrdiff_t from_row, Real* to,
                    ptrdiff_t to_row) const {
        const int u0 = own.blocks.begin * L, u1 = std::min(H, own.blocks.end * L);
        for (int half = 0; half < P::halves; half++)
            for (int b = half * B + own.rows.begin; b < half * B + own.rows.end; b++)
                std::copy(from + b * from_row + u0, from + b * from_row + u1, to + b * to_row + u0);
    }
};

#include "forward_operands.h"
#include "forward_tile.h"
