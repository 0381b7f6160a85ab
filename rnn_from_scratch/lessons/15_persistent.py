# %% [markdown]
# # 15. Why one launch for all steps?
#
# **20 minutes.** You need: lesson 14, Linux, and g++. You need no GPU.
#
# **Afterwards you can explain** what a persistent kernel is, which memory traffic it
# saves, and what it costs.
#
# The steps of a sequence come one after the other: a step needs all of the state before
# it. The obvious way is one **launch** (one start of a kernel) for each step. But then
# each launch begins with nothing. What a thread held in its registers is gone, so every
# step reads the recurrent weights `Wh` from memory again.

# %%
import os
import re
import sys
import textwrap
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import cells, forward, init_params
from rnn_from_scratch.backends.emulator import EmulatedDevice, EmulatorError, available

usable, why_not = available()
if not usable:
    print(f"lesson 15: {why_not}", file=sys.stderr)
    sys.exit(2)

STEP = """#line 1 "step.cu"
#define H 8
extern "C" __global__ void step(const double* xg, const double* Wh, double* y,
        int T, int t) {
    int row = blockIdx.x, j = threadIdx.x;
    double a = xg[(row * T + t) * H + j];
    for (int k = 0; t > 0 && k < H; k++)
        a += y[(row * T + t - 1) * H + k] * Wh[k * H + j];
    y[(row * T + t) * H + j] = tanh(a);
}
"""

# %% [markdown]
# `xg = x Wx + b` is made for all steps at once, before the loop: it needs no state. The
# state before the first step is 0.
#
# ## One launch for all steps
#
# Now the loop moves into the kernel. A thread reads its column of `Wh` once and keeps
# it in an array of its own (on a GPU: in registers). The state lies in shared memory.
# Such a kernel is **persistent**: its threads stay until the sequence is over.

# %%
ALL_STEPS = """#line 1 "all_steps.cu"
#define H 8
extern "C" __global__ void all_steps(const double* xg, const double* Wh, double* y,
        int T) {
    __shared__ double h[H];
    int row = blockIdx.x, j = threadIdx.x;
    double column[H];
    for (int k = 0; k < H; k++) column[k] = Wh[k * H + j];
    h[j] = 0;
    for (int t = 0; t < T; t++) {
        __syncthreads();  // all of h is there
        double a = xg[(row * T + t) * H + j];
        for (int k = 0; k < H; k++) a += h[k] * column[k];
        __syncthreads();  // all have read h
        h[j] = tanh(a);
        y[(row * T + t) * H + j] = h[j];
    }
}
"""
B, H = 2, 8


def inputs(seed, T):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((B, T, H)), rng.standard_normal((H, H)) / np.sqrt(H)


def run(text, xg, Wh, thread=0, seed=0):
    """y [B,T,H] by one launch, or one a step; and what a thread of block 0 did."""
    name, T = "step" if text == STEP else "all_steps", xg.shape[1]
    device = EmulatedDevice(seed, (name, (0, 0, 0), (thread, 0, 0)))
    args = [device.put(xg), device.put(Wh), device.empty(xg.shape, "float64")]
    args.append(np.int32(T))
    for more in [[np.int32(t)] for t in range(T)] if name == "step" else [[]]:
        device.launch(text, name, (B, 1, 1), (H, 1, 1), args + more)
    return device.get(args[2]), device.trace


def numpy_loop(xg, Wh):
    h, y = np.zeros((B, H)), []
    for t in range(xg.shape[1]):
        h = np.tanh(xg[:, t] + h @ Wh)
        y.append(h)
    return np.stack(y, axis=1)


xg, Wh = inputs(0, T=20)
many, once = run(STEP, xg, Wh)[0], run(ALL_STEPS, xg, Wh)[0]
print("difference to NumPy:", np.abs(once - numpy_loop(xg, Wh)).max())
print("20 launches and 1 give the same bits:", np.array_equal(many, once))

# %% [markdown] tags=["predict"]
# **Predict.** The emulator counts what the threads of one block read from the GPU's
# memory. `Wh` has 64 numbers. In 20 steps the persistent kernel reads of it...
#
# - **a** 64 numbers.
# - **b** 20 times 64: every step needs all of `Wh`.
# - **c** 8 times 64: each of the 8 threads needs all of `Wh`.

# %%
ACCESS = re.compile(r"(?:reads |writes) (xg|Wh|y)\[")


def traffic(text, T):
    """How often all threads of block 0 read or write an element of each array."""
    xg, Wh = inputs(0, T)
    names = [n for j in range(H) for n in ACCESS.findall(run(text, xg, Wh, j)[1])]
    return {name: names.count(name) for name in ("xg", "Wh", "y")}


LENGTHS = (1, 5, 10, 20)
moved = {
    "a launch for each step": [traffic(STEP, T) for T in LENGTHS],
    "one launch": [traffic(ALL_STEPS, T) for T in LENGTHS],
}
for name, found in moved.items():
    print(f"{name}, {LENGTHS[-1]} steps:", found[-1])

# %% [markdown] tags=["answer"]
# **Answer: a.** Thread `j` needs column `j` only, and keeps it. Together the threads of
# a block read `Wh` once. A launch for each step reads it at every step (but the first,
# where the state is 0), and the old state, too, which the persistent kernel keeps in
# shared memory.

# %%
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
for (name, found), style in zip(moved.items(), ("o-", "s--")):
    axes.plot(LENGTHS, [8 * sum(f.values()) / 1000 for f in found], style, label=name)
axes.set(xlabel="steps T", ylabel="kB moved by one block", xticks=LENGTHS)
axes.legend()
figure.set_label(
    "Kilobytes that one block reads and writes, against the number of steps. With a"
    " launch for each step the line is steep: about 1 kB more for every step. With"
    " one launch for all it is nearly flat, since the weights are read only once."
)
plt.show()

# %% [markdown]
# For a real layer `Wh` is large. An LSTM of 256 units has 1 MB of recurrent weights in
# float32, and 100 steps read 100 MB. Its states are 2 kB a row.
#
# ## What it costs
#
# Nobody may be ahead. The threads wait twice in a step: until the new state is there,
# and until all have read the old one. Without either barrier some thread meets a state
# that is half new, half old. The emulator tries 10 orders:

# %%
start, middle, end = ALL_STEPS.split("__syncthreads();")
HASTY = {
    "first barrier": start + middle + "__syncthreads();" + end,
    "second barrier": start + "__syncthreads();" + middle + end,
}


def fault(text, seed):
    """What the emulator says; nothing if all is well."""
    try:
        run(text, *inputs(seed, T=5), seed=seed)
    except EmulatorError as error:
        return str(error)
    return ""


faults = {name: [fault(text, n) for n in range(10)] for name, text in HASTY.items()}
for name, found in faults.items():
    print(textwrap.fill(f"without the {name}: {found[0]}", 76))

# %% [markdown]
# And a barrier holds within one block. Weights that do not fit into one block have to
# be divided among several, which wait for each other through memory. The package does
# that for any cell: `kernels/sequence.md` has a picture, and `layer.explain()` says
# when it pays. Those times come from a *model*. The traffic here was counted.

# %%
cell = cells.LSTM()
params = init_params(cell, inputs=3, units=H, rng=0, dtype="float64")
x = np.random.default_rng(0).standard_normal((B, 6, 3))
tiers = {}
for tier in ("step", "sequence"):
    with mock.patch.dict(os.environ, RNN_GPU_TIER=tier):
        tiers[tier] = forward(cell, params, x, backend="emulated")[0]
off = np.abs(tiers["step"] - tiers["sequence"]).max()
print("an LSTM of the package, both ways: difference", off)

# %% [markdown]
# The last digit may differ, since NumPy makes the products of one, the kernel those of
# the other, and they add in another order.
#
# ## What this lesson claims

# %%
for seed in range(5):
    xg, Wh = inputs(seed, T=20)
    many, once = run(STEP, xg, Wh)[0], run(ALL_STEPS, xg, Wh, seed=seed)[0]
    assert np.array_equal(many, once)
    assert np.abs(once - numpy_loop(xg, Wh)).max() < 1e-13
for T, many, once in zip(LENGTHS, *moved.values()):
    assert many["Wh"] == (T - 1) * H * H and once["Wh"] == H * H
    assert many["xg"] == once["xg"] == once["y"] == T * H
    assert many["y"] == T * H + (T - 1) * H * H
for found in faults.values():
    assert all("race" in words or "uninitialised" in words for words in found)
assert not any(fault(text, seed) for text in (STEP, ALL_STEPS) for seed in range(10))
assert off < 1e-14
