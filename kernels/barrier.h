// Counting barriers between blocks, by release and acquire of gpu scope. The emulator has its own.
//
// Whoever waits looks with relaxed loads, and fences once when it has seen what it waited for: a fence at
// every look would throw the level 1 cache away each time.
#ifndef EMULATOR
__device__ __forceinline__ void add_release(unsigned* counter, unsigned value) {
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(counter), "r"(value) : "memory");
}

__device__ __forceinline__ unsigned load_relaxed(const unsigned* counter) {
    unsigned value;
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
    return value;
}

__device__ __forceinline__ void fence_acquire() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
#endif
