"""The tanh RNN of exercise 15.1. It is right, but it reads all of Wh at every step.

Change KERNEL so that the threads of a block together read each number of Wh once.
"""

H = 6

KERNEL = """
extern "C" __global__ void all_steps(const double* xg, const double* Wh, double* y,
        int T) {
    __shared__ double h[6];
    int row = blockIdx.x, j = threadIdx.x, H = 6;
    h[j] = 0;
    for (int t = 0; t < T; t++) {
        __syncthreads();  // all of h is there
        double a = xg[(row * T + t) * H + j];
        for (int k = 0; k < H; k++)
            a += h[k] * Wh[k * H + j];
        __syncthreads();  // all have read h
        h[j] = tanh(a);
        y[(row * T + t) * H + j] = h[j];
    }
}
"""
