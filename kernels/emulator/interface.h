// What a kernel's text calls in the machine.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace emu {

struct Dim {
    unsigned x, y, z;
};
Dim thread_index(), block_index(), block_size(), grid_size();
unsigned lane();

// A barrier of the block; returns how many of its threads brought a value that is not 0.
int block_barrier(int value, const char* file, int line);

// All lanes of the mask meet: each gets the value of lane `source`, or the ballot of all values if source is
// -1. `ordered` (of __syncwarp) makes their memory accesses known to each other; a shuffle does not.
uint64_t warp_exchange(unsigned mask, uint64_t value, int source, bool ordered, const char* file, int line);

// All 32 lanes of a warp meet and multiply the matrices of their fragments: ../mma.h says which lane holds
// what.
enum Format { F16, BF16, TF32 };
void mma(Format format, int depth, float* sum, const uint32_t* a, const uint32_t* b, const char* file,
         int line);

enum Order { RELAXED = 0, RELEASE = 1 };
void fence();
void pause();
long long clock();  // the accesses of this thread so far: the same at every run
void before_atomic(const void* p, size_t bytes, bool write, const void* pc);
void after_atomic(const void* p, bool write, bool changed, Order order);

template <class V> constexpr char KIND = V(1) / 2 == V(0) ? 'i' : 'f';  // of an element, as NumPy writes it
void* shared_array(int number, size_t bytes, size_t element, char kind, const char* name);
void* dynamic_shared(size_t element, char kind, const char* name);

}  // namespace emu
