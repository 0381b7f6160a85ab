// Kernels that the static checks must refuse. Behind each line of dashes: a name, and what the complaint
// says.
// ---- spill | spills: LDL|bytes of stack
extern "C" __global__ void __launch_bounds__(1024) k(float* x) {
    float a[96];
#pragma unroll
    for (int i = 0; i < 96; i++) a[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 96; i++) x[threadIdx.x * 96 + i] = a[95 - i] * a[i * 7 % 96];
}
// ---- an array indexed at run time | bytes of stack
extern "C" __global__ void k(float* x, int n) {
    float a[64];
    for (int i = 0; i < 64; i++) a[i * n & 63] = x[i];
    x[0] = a[n];
}
// ---- float atomic | a float atomic
extern "C" __global__ void k(float* x) { atomicAdd(x, 1.0f); }
// ---- fast exp | fast math: __expf
extern "C" __global__ void k(float* x) { x[0] = __expf(x[1]); }
// ---- fast tanh | an inexact tanh
extern "C" __global__ void k(float* x) { asm("tanh.approx.f32 %0, %1;" : "=f"(x[0]) : "f"(x[1])); }
// ---- double by accident | float64 in a float32 kernel
extern "C" __global__ void k(float* x) { x[0] = x[1] * 0.1; }
// ---- too much shared memory | bytes of shared memory|refused
extern "C" __global__ void k(float* x, int n) {
    __shared__ float s[13000];
    s[n] = 1;
    __syncthreads();
    x[0] = s[0];
}
// ---- a warning | never referenced
extern "C" __global__ void k(float* x) { int unused; }
