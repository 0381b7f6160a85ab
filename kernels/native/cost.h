// What a call costs on a grid of threads: the rows in parts, and the units in parts. Where more than two
// threads pay, plan.h takes the cheapest grid. ../../bench/scaling_model.py says the same in Python, and
// predicts with it; `make scaling` measures it, and fits the constants.
#pragma once
#include <unistd.h>

#include <algorithm>

#include "bfloat16.h"

namespace cost {

// Nanoseconds, and bytes for each of them. Measured on two cores of an Intel Xeon with AVX-512 and AMX, but
// for what is called a guess: of more threads than two nothing was measured.
constexpr double MULTIPLY = 0.21;         // a multiply-add of a vector
constexpr double MULTIPLY_VECTORS = 0.7;  // the same of words, by AVX512-BF16
constexpr double MULTIPLY_TILES = 0.1;    // and by AMX
constexpr double IN_FLIGHT = 8;           // multiply-adds at work at once: fewer sums in a tile take as long
constexpr double TILE = 30;               // what each product of a tile takes besides
constexpr double EQUATIONS = 5;           // the cell's equations, for a vector of units of one gate
constexpr double EACH_STEP = 200;         // what each step takes besides
constexpr double PACK = 8;                // bytes of weights that are packed
constexpr double NEAR = 140;              // bytes from a core's own second-level cache
constexpr double FAR = 25;       // from the third; that threads do not slow each other there is a guess
constexpr double MEMORY = 100;   // from memory, to all threads together: a guess
constexpr double BARRIER = 500;  // a barrier of two threads at a step, with the wait for the later one
constexpr double ARRIVAL = 70;   // each thread more: a guess, what a barrier of two takes in an empty loop
constexpr double START = 850;    // a call, for each thread but one; with more than two a guess

constexpr int AHEAD = 4;  // with fewer rows x Wx is made for several steps at once

// Bytes of a core's own cache of the second level, and of the third, which the cores share.
struct Caches {
    double near = 1 << 20, far = 32 << 20;  // where the system does not tell

    static const Caches& here() {
        static const Caches caches = [] {
            Caches found;
#if defined(_SC_LEVEL3_CACHE_SIZE)
            if (const long size = sysconf(_SC_LEVEL2_CACHE_SIZE); size > 0) found.near = double(size);
            if (const long size = sysconf(_SC_LEVEL3_CACHE_SIZE); size > 0) found.far = double(size);
#endif
            return found;
        }();
        return caches;
    }
};

inline double multiply_time(Precision precision) {
    return precision == BY_TILES ? MULTIPLY_TILES : precision == BY_VECTORS ? MULTIPLY_VECTORS : MULTIPLY;
}

struct Work {
    int rows, steps, pairs;  // pairs of vectors of units
    int gates, phases, inputs, units;
    int x_terms, h_terms;  // of a sum, as the products take them
    int height;            // rows in a tile, at most
    int bytes;             // of a number
    double multiply;       // MULTIPLY, or that of words
    Caches caches;

    static double barrier(int threads) { return threads > 1 ? BARRIER + (threads - 2) * ARRIVAL : 0; }

    // One step of forward, in the thread that has most to do.
    double step(int row_parts, int unit_parts) const {
        const int own_rows = ceil_div(rows, row_parts), blocks = 2 * ceil_div(pairs, unit_parts);
        const int tiles = ceil_div(own_rows, height);
        // x Wx of several steps at once is made at full speed.
        const bool ahead = own_rows < AHEAD;
        const int terms = ahead ? h_terms : x_terms + h_terms;
        const double before = ahead ? double(gates) * x_terms * own_rows * blocks * multiply : 0;
        const double high = double(own_rows) / tiles;
        const double sums = std::max(high * blocks, IN_FLIGHT * ceil_div(blocks, COLS));
        const double products = gates * (terms * sums * multiply + ceil_div(blocks, COLS) * TILE);
        // The first tile of a panel waits for its weights; the others find them near.
        const double weights = double(gates) * terms * BYTES;
        double rate = NEAR;
        if (weights * blocks > caches.near) rate = FAR;
        if (weights * 2 * pairs > caches.far) rate = std::min(FAR, MEMORY / (row_parts * unit_parts));
        const double tiled = std::max(products, weights * blocks / rate) + (tiles - 1) * products;
        // The others' units come from their caches.
        const double others = double(own_rows) * units * bytes * (unit_parts - 1) / unit_parts;
        return EACH_STEP + before + tiled + own_rows * EQUATIONS * gates * blocks +
                phases * barrier(unit_parts) + others / FAR;
    }

    // The recurrence forward and backward, which is about as much; and what all threads share evenly: the
    // packing of weights, and the other products of backward.
    double call(int row_parts, int unit_parts) const {
        const int threads = row_parts * unit_parts;
        const double vectors = 2.0 * pairs * gates;
        const double shared = vectors * (x_terms + h_terms) * BYTES / PACK +
                vectors * rows * steps * (2.0 * inputs + units) * multiply;
        return 2.0 * steps * step(row_parts, unit_parts) + shared / threads + START * (threads - 1);
    }
};

}  // namespace cost
