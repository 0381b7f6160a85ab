// Small kernels, one for each feature of the emulator. test_emulator.py runs them against NumPy, and plants
// faults in them. A line of dashes begins a piece that is compiled alone when a fault is planted in it.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// ----
template <class T>
__device__ __forceinline__ T sigmoid(T x) {
    return 1 / (1 + exp(-x));
}

template <class T>
__device__ void gates(const T* a, const T* c_prev, T* h, T* c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    c[i] = sigmoid(a[n + i]) * c_prev[i] + sigmoid(a[i]) * tanh(a[2 * n + i]);
    h[i] = sigmoid(a[3 * n + i]) * tanh(c[i]);
}
extern "C" __global__ void gates_float(const float* a, const float* c_prev, float* h, float* c, int n) {
    gates(a, c_prev, h, c, n);
}
extern "C" __global__ void gates_double(const double* a, const double* c_prev, double* h, double* c, int n) {
    gates(a, c_prev, h, c, n);
}

// ----
extern "C" __global__ void product(const float* A, const float* B, float* C, int M, int N, int K) {
    __shared__ float As[16][16];
    __shared__ float Bs[16][17];
    int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
    float sum = 0;
    for (int k = 0; k < K; k += 16) {
        As[y][x] = row < M && k + x < K ? A[row * K + k + x] : 0;
        Bs[y][x] = column < N && k + y < K ? B[(k + y) * N + column] : 0;
        __syncthreads();  // after load
        for (int i = 0; i < 16; i++) sum += As[y][i] * Bs[i][x];
        __syncthreads();  // after use
    }
    if (row < M && column < N) C[row * N + column] = sum;
}

// ----
extern "C" __global__ void transpose(const float* x, float* y, int rows, int columns) {
    __shared__ float tile[32][33];
    int r = blockIdx.y * 32 + threadIdx.y, c = blockIdx.x * 32 + threadIdx.x;
    if (r < rows && c < columns) tile[threadIdx.y][threadIdx.x] = x[r * columns + c];
    __syncthreads();
    int out_r = blockIdx.x * 32 + threadIdx.y, out_c = blockIdx.y * 32 + threadIdx.x;
    if (out_r < columns && out_c < rows) y[out_r * rows + out_c] = tile[threadIdx.x][threadIdx.y];
}

// ----
__device__ float warp_sum(float v) {
    for (int offset = 16; offset > 0; offset /= 2) v += __shfl_down_sync(0xffffffffu, v, offset);
    return v;
}
extern "C" __global__ void block_sums(const float* x, float* sums, int n) {
    __shared__ float part[32];
    float v = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += x[i];
    v = warp_sum(v);
    int lane = threadIdx.x & 31, warp = threadIdx.x / 32;
    if (lane == 0) part[warp] = v;
    __syncthreads();  // the parts are there
    if (warp == 0) {
        v = warp_sum(lane < int(blockDim.x / 32) ? part[lane] : 0);
        if (lane == 0) sums[blockIdx.x] = v;
    }
}

// The block that comes last adds up what the others left.
extern "C" __global__ void total(const float* x, float* sums, float* out, unsigned* arrived, int n) {
    __shared__ bool last;
    float v = blockIdx.x * blockDim.x + threadIdx.x < n ? x[blockIdx.x * blockDim.x + threadIdx.x] : 0;
    v = warp_sum(v);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = v;
        __threadfence();  // before the count
        last = atomicAdd(arrived, 1u) == gridDim.x - 1;
        __threadfence();  // after the count
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float all = 0;
        for (int b = 0; b < int(gridDim.x); b++) all += sums[b];
        out[0] = all;
    }
}

// ----
extern "C" __global__ void warps(const float* x, float* softmax, double* halves, unsigned* positive,
                                 int* largest, int rows) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x & 31;
    if (row >= rows) return;
    float v = x[row * 32 + lane], top = v;
    for (int bits = 16; bits; bits /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, bits));
    float e = expf(v - top), sum = e;
    for (int bits = 16; bits; bits /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, bits);
    softmax[row * 32 + lane] = e / sum;
    double d = v;
    for (int offset = 8; offset; offset /= 2) d += __shfl_down_sync(0xffffffffu, d, offset, 16);
    if ((lane & 15) == 0) halves[row * 2 + lane / 16] = d;
    unsigned ballot = __ballot_sync(0xffffffffu, v > 0);
    float first = __shfl_sync(0xffffffffu, v, 0);
    if (lane == 0) {
        positive[row] = ballot;
        atomicMax(largest, int(first * 1000));
    }
}

// ----
// Neighbours in a warp swap through shared memory.
extern "C" __global__ void swap(const int* x, int* y) {
    __shared__ int s[32];
    int lane = threadIdx.x;
    s[lane] = x[lane];
    __syncwarp();
    y[lane] = s[lane ^ 1];
}

// ----
template <class T>
__device__ void scan_row(const T* x, T* y, int n) {
    extern __shared__ __align__(16) unsigned char raw[];
    T* s = reinterpret_cast<T*>(raw);
    int t = threadIdx.x;
    s[t] = t < n ? x[blockIdx.x * n + t] : T(0);
    __syncthreads();
    for (int step = 1; step < n; step *= 2) {
        T v = t >= step ? s[t - step] : T(0);
        __syncthreads();  // read before written
        s[t] += v;
        __syncthreads();  // written before read
    }
    if (t < n) y[blockIdx.x * n + t] = s[t];
}
extern "C" __global__ void scan_float(const float* x, float* y, int n) { scan_row(x, y, n); }
extern "C" __global__ void scan_long(const long long* x, long long* y, int n) { scan_row(x, y, n); }

// ----
// Every block sees what all others wrote in the step before: a barrier of the whole grid, by counting.
extern "C" __global__ void diffuse(float* x, unsigned* arrived, int steps) {
    int n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int step = 0; step < steps; step++) {
        const float* from = x + size_t(step) * n;
        x[size_t(step + 1) * n + i] = (from[(i + n - 1) % n] + from[i] + from[(i + 1) % n]) / 3;
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            atomicAdd(arrived, 1u);
            while (*(volatile unsigned*)arrived < (step + 1) * gridDim.x) {
            }
            __threadfence();
        }
        __syncthreads();
    }
}

// ----
// The same with release and acquire, as sequence kernels do it.
extern "C" __global__ void diffuse_acquire(float* x, unsigned* arrived, int steps) {
    int n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int step = 0; step < steps; step++) {
        const float* from = x + size_t(step) * n;
        x[size_t(step + 1) * n + i] = (from[(i + n - 1) % n] + from[i] + from[(i + 1) % n]) / 3;
        __syncthreads();
        if (threadIdx.x == 0) {
            add_release(arrived, 1u);
            while (load_relaxed(arrived) < (step + 1) * gridDim.x) {
            }
            fence_acquire();
        }
        __syncthreads();
    }
}

// ----
extern "C" __global__ void wide(const float4* x, float4* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 v = __ldg(x + i);
    y[i] = make_float4(v.w, 2 * v.z, v.y * v.x + 1, rsqrtf(fabsf(v.x) + 1));
}

// ----
extern "C" __global__ void halves(const __half* a, const __half* b, __half* y, float* z, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    y[i] = __hmul(a[i], __hadd(a[i], b[i]));
    z[i] = __half2float(__float2half(__half2float(a[i]) * 3)) + (__hgt(a[i], b[i]) ? 1 : 0);
}

// ----
// All bits of both kinds to float, and floats to both kinds.
extern "C" __global__ void conversions(const __half* h, const __nv_bfloat16* b, const float* x, float* from_h,
                                       float* from_b, __half* to_h, __nv_bfloat16* to_b, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        from_h[i] = __half2float(h[i]);
        from_b[i] = __bfloat162float(b[i]);
        to_h[i] = __float2half(x[i]);
        to_b[i] = __float2bfloat16(x[i]);
    }
}

// ----
extern "C" __global__ void bfloats(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __float2bfloat16(__bfloat162float(a[i]) * __bfloat162float(b[i]) + 0.5f);
}

// ----
extern "C" __global__ void histogram(const unsigned char* x, int* counts, int* seen, int n) {
    int i = (blockIdx.z * gridDim.y + blockIdx.y) * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(&counts[x[i]], 1);
    int inside = __syncthreads_count(i < n);
    if (threadIdx.x == 0) seen[blockIdx.z * gridDim.y + blockIdx.y] = inside;
}
