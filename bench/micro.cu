// What a launch and a barrier cost: kernels that do nothing else.
extern "C" __global__ void nothing(int n) {}

// All blocks of a cooperative launch wait for each other `rounds` times. arrived begins at 0 and only grows.
extern "C" __global__ void barrier(unsigned* arrived, int rounds) {
    for (unsigned round = 1; round <= unsigned(rounds); round++) {
        __syncthreads();
        if (threadIdx.x == 0) {
            add_release(arrived, 1u);
            while (load_relaxed(arrived) < round * gridDim.x * gridDim.y) {
            }
            fence_acquire();
        }
        __syncthreads();
    }
}
