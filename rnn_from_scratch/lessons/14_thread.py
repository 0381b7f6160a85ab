# %% [markdown]
# # 14. What does one CUDA thread do?
#
# **20 minutes.** You need: lesson 2, Linux, and g++. You need no GPU.
#
# **Afterwards you can explain** threads, blocks and shared memory, which thread reads
# what in one step of a network, and what a barrier is for.
#
# A GPU (graphics processor) runs one small program in thousands of copies. A copy is a
# **thread**; the program is a **kernel**. All threads run the same lines. They differ
# in their numbers only: threads stand in **blocks**, `blockIdx` says in which block a
# thread is, and `threadIdx` which one it is there. CUDA is the kind of C++ that
# kernels are written in.
#
# Here g++ compiles kernels for the CPU, and an **emulator** runs every thread of them.
# It watches each access to memory.

# %%
import re
import sys
import textwrap

import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import cells, forward, init_params
from rnn_from_scratch.backends.emulator import EmulatedDevice, EmulatorError, available

usable, why_not = available()
if not usable:
    print(f"lesson 14: {why_not}", file=sys.stderr)
    sys.exit(2)

# %% [markdown]
# ## One step of the tanh RNN
#
# `h = tanh(x Wx + h_prev Wh + b)`. There are `B` rows and `H` units, so `B * H`
# numbers to make. **One thread makes one of them.** A block has one row; thread `j` of
# it has unit `j`. Arrays are flat in memory: `Wh[k, j]` lies at `Wh[k * H + j]`.

# %%
STEP = """#line 1 "step.cu"
extern "C" __global__ void step(const double* x, const double* h_prev,
        const double* Wx, const double* Wh, const double* b, double* h,
        int I, int H) {
    int row = blockIdx.x, j = threadIdx.x;
    if (j >= H) return;  // blocks may have more threads than there are units
    double a = b[j];
    for (int i = 0; i < I; i++)
        a += x[row * I + i] * Wx[i * H + j];
    for (int k = 0; k < H; k++)
        a += h_prev[row * H + k] * Wh[k * H + j];
    h[row * H + j] = tanh(a);
}
"""
B, I, H, THREADS = 2, 3, 4, 8
SHAPES = {"x": (B, I), "h_prev": (B, H), "Wx": (I, H), "Wh": (H, H), "b": (H,)}


def inputs(seed):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}


def step(arrays, text=STEP, block=0, thread=0):
    """The new state, and what one thread read and wrote on the way."""
    device = EmulatedDevice(traced=("step", (block, 0, 0), (thread, 0, 0)))
    args = [device.put(array) for array in arrays.values()]
    args += [device.empty((B, H), "float64"), np.int32(I), np.int32(H)]
    device.launch(text, "step", (B, 1, 1), (THREADS, 1, 1), args)
    return device.get(args[5]), device.trace


def by_numpy(x, h_prev, Wx, Wh, b):
    return np.tanh(x @ Wx + h_prev @ Wh + b)


arrays = inputs(0)
h, trace = step(arrays, block=0, thread=1)
print(trace.partition("\n")[2])
print("difference to NumPy:", np.abs(h - by_numpy(**arrays)).max())

# %% [markdown] tags=["predict"]
# **Predict.** Above you see all that thread 1 of block 0 did. It owns unit 1 of row 0.
# How many threads read `h_prev[0,2]`, unit 2 of the state before?
#
# - **a** One: thread 2, which owns unit 2.
# - **b** All that own a unit of row 0.
# - **c** All threads of both blocks.

# %%
FOUND = re.compile(r"(reads|writes) +(\w+)\[([\d,]+)\] = (\S+)")


def touched(block, thread):
    """What a thread does: rows of (reads or writes, array, index, value)."""
    rows = FOUND.findall(step(arrays, STEP, block, thread)[1])
    return [(*a[:2], tuple(map(int, a[2].split(","))), float(a[3])) for a in rows]


logs = {(b, t): touched(b, t) for b in range(B) for t in range(THREADS)}
old_state = ("reads", "h_prev", (0, 2))
readers = [who for who, log in logs.items() if old_state in {a[:3] for a in log}]
print("(block, thread) that read h_prev[0,2]:", readers)

# %% [markdown] tags=["answer"]
# **Answer: b.** Each unit's sum has a term for *every* old state of its row. The other
# row has states of its own. So a step can only begin when all threads of a row are
# through with the one before. That is what makes networks with a loop hard for a GPU:
# lesson 15.

# %%
figure, axes = plt.subplots(figsize=(6.6, 1.8), layout="constrained")
place = 0
for name, shape in {**SHAPES, "h": (B, H)}.items():
    for n, at in enumerate(np.ndindex(shape)):
        for thread in range(H):
            did = {a[0] for a in logs[0, thread] if a[1:3] == (name, at)}
            colour = "C1" if "writes" in did else "C0" if did else "none"
            axes.barh(thread, 1, 0.8, place + n, color=colour, ec="0.6", lw=0.5)
            if "writes" in did:
                axes.text(place + n + 0.5, thread, "w", ha="center", size=8)
    axes.text(place + n / 2, -0.7, name, ha="center")
    place += n + 2
axes.set(yticks=range(H), xticks=[], ylim=(H - 0.5, -1.4), xlim=(-0.3, place))
axes.set_yticklabels([f"thread {thread}" for thread in range(H)])
axes.set_xlabel("elements, as they lie in memory; filled: read; w: written")
axes.grid(False)
figure.set_label(
    "Four threads of block 0, and the elements of all arrays side by side. Every"
    " thread reads row 0 of x and h_prev. Of Wx and Wh each reads every fourth"
    " element, its own column, and of b one. Each writes one element of h."
)
plt.show()

# %% [markdown]
# Two things to see. A column of `Wh` is read by one thread. And at any moment the four
# threads stand at the same line, so they read four elements that lie *side by side*:
# memory hands those out in one go.
#
# ## When threads make one number together
#
# The gradient of `b` is a sum over all rows. Here 8 threads share the work for a unit:
# each adds every eighth row, and leaves its part in **shared memory**, which the
# threads of a block have in common. Then thread 0 adds the parts. It has to wait until
# they are there. `__syncthreads()` is a **barrier**: no thread goes on before all
# threads of its block have come to it.

# %%
COLUMN_SUM = """#line 1 "column_sum.cu"
extern "C" __global__ void column_sum(const double* da, double* db, int N, int H) {
    __shared__ double part[8];
    int j = blockIdx.x, lane = threadIdx.x;
    double sum = 0;
    for (int row = lane; row < N; row += 8) sum += da[row * H + j];
    part[lane] = sum;
    __syncthreads();
    if (lane == 0) {
        for (int k = 1; k < 8; k++) sum += part[k];
        db[j] = sum;
    }
}
"""


def column_sum(seed, text=COLUMN_SUM):
    """Sum and inputs; the seed also decides in which order the threads run."""
    da = np.random.default_rng(seed).standard_normal((50, H))
    device = EmulatedDevice(seed)
    args = [device.put(da), device.empty((H,), "float64"), np.int32(50), np.int32(H)]
    device.launch(text, "column_sum", (H, 1, 1), (8, 1, 1), args)
    return device.get(args[1]), da


def fault(call, *args):
    """What the emulator says of a launch; nothing if all is well."""
    try:
        call(*args)
    except EmulatorError as error:
        return str(error)
    return ""


HASTY = COLUMN_SUM.replace("__syncthreads();", "")
faults = [fault(column_sum, seed, HASTY) for seed in range(10)]
print(textwrap.fill(faults[0], 76))
print("without the barrier, faults in 10 orders:", sum(map(bool, faults)))

# %% [markdown]
# A GPU would say nothing. It would now and then hand out a wrong sum. The emulator runs
# the threads in another order for each seed, and reports what two threads did to one
# place with no barrier between. It also reports a thread that leaves its array:

# %%
UNGUARDED = STEP.replace("if (j >= H) return;", "")
print(textwrap.fill(fault(step, arrays, UNGUARDED), 76))

# %% [markdown]
# ## The real kernels
#
# Those of the package (`kernels/step.cu`) do the same for any cell, and
# `backend="emulated"` runs them here. To follow one thread of an LSTM:
#
#     python -m rnn_from_scratch.backends.emulator --trace lstm_forward --thread 1,0,0
#
# ## What this lesson claims

# %%
for seed in range(5):
    assert np.abs(step(inputs(seed))[0] - by_numpy(**inputs(seed))).max() < 1e-15
accesses = [access for log in logs.values() for access in log]
reads = [access[1:] for access in accesses if access[0] == "reads"]
assert all(abs(arrays[name][at] - value) < 1e-8 for name, at, value in reads)
writes = [access[1:3] for access in accesses if access[0] == "writes"]
assert sorted(writes) == [("h", (row, j)) for row in range(B) for j in range(H)]
assert readers == [(0, thread) for thread in range(H)]
own = {(t, a[2][1]) for (_, t), log in logs.items() for a in log if a[1] == "Wh"}
assert own == {(j, j) for j in range(H)}  # thread j, column j
assert not any(logs[b, t] for b in range(B) for t in range(H, THREADS))
assert "out of bounds" in fault(step, arrays, UNGUARDED)
for seed in range(10):
    db, da = column_sum(seed)
    assert np.abs(db - da.sum(axis=0)).max() < 1e-13
    assert "race" in faults[seed] or "uninitialised" in faults[seed]
for seed in range(5):
    params = init_params(cells.LSTM(), I, H, rng=seed, dtype="float64")
    batch = np.random.default_rng(seed).standard_normal((B, 6, I))
    y_kernel = forward(cells.LSTM(), params, batch, backend="emulated")[0]
    y_numpy = forward(cells.LSTM(), params, batch, backend="reference")[0]
    assert np.abs(y_kernel - y_numpy).max() < 1e-15
