"""A tanh RNN in one launch: y[:, t] = tanh(xg[:, t] + y[:, t - 1] @ Wh), and 0 before the first step.

xg [B,T,H], Wh [H,H], y [B,T,H]. Block r has row r, thread j unit j. It has a bug that depends on the order in which the
threads run. Mend KERNEL.
"""

H = 6

KERNEL = """
extern "C" __global__ void all_steps(const double* xg, const double* Wh, double* y,
        int T) {
    __shared__ double h[6];
    int row = blockIdx.x, j = threadIdx.x, H = 6;
    double column[6];
    for (int k = 0; k < H; k++)
        column[k] = Wh[k * H + j];
    h[j] = 0;
    for (int t = 0; t < T; t++) {
        __syncthreads();
        double a = xg[(row * T + t) * H + j];
        for (int k = 0; k < H; k++)
            a += h[k] * column[k];
        h[j] = tanh(a);
        y[(row * T + t) * H + j] = h[j];
    }
}
"""
