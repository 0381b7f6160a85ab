// Column sums in one fixed order, for biases and extras: x [N,C] -> sums [ceil(N/256),C], each of at most 256
// rows; the host launches it again on its own result until one row is left. The same bits every time, and
// short sums of short sums are more exact than a long one.
//
// A block of 32 x 8 threads owns 32 columns of one chunk. Thread (x, y) adds rows y, y+8, y+16, ...; then
// thread (x, 0) adds the eight parts of a column, which lie in shared memory.

extern "C" __global__ void __launch_bounds__(256) column_sum(const REAL* x, REAL* sums, long long N, int C) {
    __shared__ REAL part[8][32];
    int column = blockIdx.y * 32 + threadIdx.x, lane = threadIdx.y;
    long long begin = blockIdx.x * 256LL, end = begin + 256 < N ? begin + 256 : N;
    REAL sum = 0;
    if (column < C)
        for (long long row = begin + lane; row < end; row += 8) sum += x[row * C + column];
    part[lane][threadIdx.x] = sum;
    __syncthreads();
    if (lane == 0 && column < C) {
        for (int k = 1; k < 8; k++) sum += part[k][threadIdx.x];
        sums[size_t(blockIdx.x) * C + column] = sum;
    }
}
