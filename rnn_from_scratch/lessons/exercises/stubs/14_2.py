"""db [H]: the sums of the columns of da [N,H]. Block j has column j; its THREADS threads share the work.

It has a bug, which a GPU would only sometimes show. Mend KERNEL.
"""

THREADS = 8

KERNEL = """
extern "C" __global__ void column_sum(const double* da, double* db, int N, int H) {
    __shared__ double part[8];
    int j = blockIdx.x, lane = threadIdx.x;
    double sum = 0;
    for (int row = lane; row < N; row += 8)
        sum += da[row * H + j];
    part[lane] = sum;
    if (lane == 0) {
        for (int k = 1; k < 8; k++)
            sum += part[k];
        db[j] = sum;
    }
}
"""
