// CUDA C++ as g++ reads it. A kernel's text is put behind this header, compiled with -fsanitize=thread (so
// that every load and store it makes calls memory.cpp) and linked with the machine. No CUDA header is needed.
#pragma once
#include <math.h>
#include <string.h>

#include "half.h"
#include "interface.h"

#define EMULATOR 1
#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define threadIdx (emu::thread_index())
#define blockIdx (emu::block_index())
#define blockDim (emu::block_size())
#define gridDim (emu::grid_size())
#define warpSize 32
#define WHERE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define UNCHECKED __attribute__((noinline, no_sanitize("thread")))  // the machine checks, not the hooks

namespace emu {
template <class Value>
UNCHECKED Value shuffle(unsigned mask, Value value, int source, int line, const char* file) {
    uint64_t bits = 0;
    static_assert(sizeof(Value) <= 8, "a shuffle moves at most 8 bytes");
    memcpy(&bits, &value, sizeof value);
    bits = warp_exchange(mask, bits, source, false, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <class Value, class F>
UNCHECKED Value atomic(Value* p, F next, Order order) {
    before_atomic(p, sizeof(Value), true, __builtin_return_address(0));
    Value old = *p;
    Value now = next(old);
    *p = now;
    after_atomic(p, true, memcmp(&old, &now, sizeof now) != 0, order);
    return old;
}
}  // namespace emu

inline void __syncthreads(WHERE) { emu::block_barrier(0, file, line); }
inline int __syncthreads_count(int predicate, WHERE) {
    return emu::block_barrier(predicate != 0, file, line);
}
inline int __syncthreads_or(int predicate, WHERE) {
    return emu::block_barrier(predicate != 0, file, line) > 0;
}
inline int __syncthreads_and(int predicate, WHERE) {
    return emu::block_barrier(predicate == 0, file, line) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, WHERE) { emu::warp_exchange(mask, 0, 0, true, file, line); }
inline void __threadfence() { emu::fence(); }
inline long long clock64() { return emu::clock(); }
inline void __threadfence_block() { emu::fence(); }
inline void __nanosleep(unsigned) { emu::pause(); }

template <class Value>
Value __shfl_sync(unsigned mask, Value v, int source, int width = 32, WHERE) {
    int base = int(emu::lane()) & ~(width - 1);
    return emu::shuffle(mask, v, base + (source & (width - 1)), line, file);
}
template <class Value>
Value __shfl_down_sync(unsigned mask, Value v, unsigned delta, int width = 32, WHERE) {
    int lane = int(emu::lane()), within = lane & (width - 1);
    return emu::shuffle(mask, v, within + int(delta) < width ? lane + int(delta) : lane, line, file);
}
template <class Value>
Value __shfl_up_sync(unsigned mask, Value v, unsigned delta, int width = 32, WHERE) {
    int lane = int(emu::lane()), within = lane & (width - 1);
    return emu::shuffle(mask, v, within >= int(delta) ? lane - int(delta) : lane, line, file);
}
template <class Value>
Value __shfl_xor_sync(unsigned mask, Value v, int bits, int width = 32, WHERE) {
    int lane = int(emu::lane()), source = lane ^ bits;
    return emu::shuffle(mask, v, source < (lane & ~(width - 1)) + width ? source : lane, line, file);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, WHERE) {
    return unsigned(emu::warp_exchange(mask, predicate != 0, -1, false, file, line));
}
inline int __any_sync(unsigned mask, int predicate, WHERE) {
    return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, WHERE) {
    return __ballot_sync(mask, !predicate, file, line) == 0;
}

// Atomics are relaxed, as in CUDA: what they publish is what a __threadfence before them has made ready.
#define EMU_ATOMIC(name, result)                                                                    \
    template <class Value, class U>                                                                 \
    UNCHECKED Value name(Value* p, U value) {                                                       \
        Value v = Value(value);                                                                     \
        return emu::atomic(p, [v](Value old) { return Value(result); }, emu::RELAXED);              \
    }
EMU_ATOMIC(atomicAdd, old + v)
EMU_ATOMIC(atomicSub, old - v)
EMU_ATOMIC(atomicMax, old > v ? old : v)
EMU_ATOMIC(atomicMin, old < v ? old : v)
EMU_ATOMIC(atomicExch, v)
EMU_ATOMIC(atomicAnd, old & v)
EMU_ATOMIC(atomicOr, old | v)
EMU_ATOMIC(atomicXor, old ^ v)
template <class Value>
UNCHECKED Value atomicCAS(Value* p, Value expected, Value desired) {
    return emu::atomic(p, [=](Value old) { return old == expected ? desired : old; }, emu::RELAXED);
}

// What kernels write in PTX on a GPU: a load, an addition and a fence, of gpu scope.
template <class Value>
UNCHECKED Value load_relaxed(const Value* p) {
    emu::before_atomic(p, sizeof(Value), false, __builtin_return_address(0));
    Value value = *p;
    emu::after_atomic(p, false, false, emu::RELAXED);
    return value;
}
inline void fence_acquire() { __threadfence(); }
template <class Value>
UNCHECKED void add_release(Value* p, Value value) {
    emu::atomic(p, [value](Value old) { return Value(old + value); }, emu::RELEASE);
}

template <class Value> Value __ldg(const Value* p) { return *p; }
template <class Value> Value __ldcg(const Value* p) { return *p; }
template <class Value> void __stcg(Value* p, Value value) { *p = value; }
template <class Value> Value min(Value a, Value b) { return b < a ? b : a; }
template <class Value> Value max(Value a, Value b) { return a < b ? b : a; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __float_as_int(float x) { int bits; memcpy(&bits, &x, 4); return bits; }
inline float __int_as_float(int x) { float value; memcpy(&value, &x, 4); return value; }

#include "mma.h"

#define EMU_VECTOR(Value, name)                                                                     \
    struct __align__(2 * sizeof(Value)) name##2 { Value x, y; };                                    \
    struct __align__(sizeof(Value) == 8 ? 16 : 4 * sizeof(Value)) name##4 { Value x, y, z, w; };    \
    inline name##2 make_##name##2(Value x, Value y) { return {x, y}; }                              \
    inline name##4 make_##name##4(Value x, Value y, Value z, Value w) { return {x, y, z, w}; }
EMU_VECTOR(float, float)
EMU_VECTOR(double, double)
EMU_VECTOR(int, int)
EMU_VECTOR(unsigned, uint)
