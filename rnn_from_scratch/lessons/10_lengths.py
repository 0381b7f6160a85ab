# %% [markdown]
# # 10. What happens behind the end of a short sequence?
#
# **15 minutes.** You need: lesson 2.
#
# **Afterwards you can explain** padding, lengths and masks, and how to see whether a
# program gets them right.
#
# Sentences differ in length. An array does not. So the short ones are filled up with
# something, often zeros. This is **padding**. Someone has to tell the network where
# each sequence ends. Otherwise it reads the padding as if it meant something.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward, init_params

B, T, I, H = 3, 9, 3, 5
LENGTHS = [9, 5, 2]
cell = cells.GRU()


def batch(seed, fill):
    """x [B,T,I]: three sequences of different lengths, filled up with `fill`."""
    x = np.random.default_rng(seed).standard_normal((B, T, I))
    for row, length in enumerate(LENGTHS):
        x[row, length:] = fill
    return x


# %% [markdown] tags=["predict"]
# **Predict.** We fill up with zeros and say nothing about lengths. The last state of
# the sequence of length 2 is then...
#
# - **a** the state after its step 2: zeros add nothing.
# - **b** another state: the network goes on for seven more steps.
# - **c** zero.

# %%
params = init_params(cell, I, H, rng=0, dtype="float64")
x = batch(0, fill=0.0)
alone, last_alone, tape = forward(cell, params, x[2:, :2])
unaware, last_unaware, tape = forward(cell, params, x)
print("the sequence alone:   ", last_alone[0][0].round(3))
print("padded, no lengths:   ", last_unaware[0][2].round(3))
aware, last_aware, tape = forward(cell, params, x, lengths=LENGTHS)
print("padded, with lengths: ", last_aware[0][2].round(3))

# %% [markdown] tags=["answer"]
# **Answer: b.** An input of zero is an input. The state still goes through `Wh`, seven
# times. Whoever reads the last state reads something that the sequence never said. With
# `lengths` the state stops at the end of each sequence.

# %% [markdown]
# ## A hard test: padding with NaN
#
# NaN (not a number) poisons whatever it touches: every sum or product with it is NaN.
# So fill up with NaN. If the network looks at the padding anywhere, we shall see.

# %%
poisoned = batch(0, fill=np.nan)
y, state, tape = forward(
    cell, params, poisoned, lengths=LENGTHS, zero_masked_outputs=True
)
grads = backward(tape, np.ones_like(y))
for row, length in enumerate(LENGTHS):
    single = forward(cell, params, poisoned[row : row + 1, :length])[0]
    off = np.abs(single[0] - y[row, :length]).max()
    print(f"length {length}: largest difference from running it alone: {off:.0e}")
finite = all(np.isfinite(g).all() for g in grads.params.values())
print("all gradients are numbers:", finite)

# %% [markdown]
# The native kernels give the same bits. NumPy's product of matrices may round the
# last digit otherwise when there are more rows. This works because the padding is
# *left out*, and not multiplied by 0: NaN times 0 is NaN. The gradient by `x` is
# exactly 0 there.

# %%
figure, panels = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained", sharey=True)
shown = {"norm of y": y, "norm of dL/dx": grads.x}
for axes, (name, values) in zip(panels, shown.items()):
    norms = np.linalg.norm(values, axis=2)
    axes.pcolormesh(range(T), range(B), norms, cmap="Greys", vmin=0)
    for row, length in enumerate(LENGTHS):
        for t in range(length, T):
            axes.text(t, row, "0", ha="center", va="center", fontsize=8)
    axes.set(title=name, xlabel="step t", yticks=range(B), xticks=range(0, T, 2))
    axes.grid(False)
panels[0].invert_yaxis()
panels[0].set_yticklabels([f"length {length}" for length in LENGTHS])
figure.set_label(
    "Two pictures, three sequences by nine steps: the norm of the output and of"
    " the gradient by the input. Both are grey up to the end of each sequence,"
    " and exactly 0 behind it, where a 0 is written."
)
plt.show()

# %% [markdown]
# A **mask** says the same for each step: `mask[b, t]` is true where there is something
# to read. It may have gaps. At a gap the state is carried over.
#
# ## What this lesson claims

# %%
assert np.abs(last_unaware[0][2] - last_alone[0][0]).max() > 0.05
assert np.abs(last_aware[0][2] - last_alone[0][0]).max() < 1e-14
for seed in range(5):
    poisoned = batch(seed, fill=np.nan)
    y, state, tape = forward(
        cell, params, poisoned, lengths=LENGTHS, zero_masked_outputs=True
    )
    grads = backward(tape, np.ones_like(y))
    for row, length in enumerate(LENGTHS):
        single = forward(cell, params, poisoned[row : row + 1, :length])[0]
        assert np.abs(single[0] - y[row, :length]).max() < 1e-14
        assert not y[row, length:].any()
        assert not grads.x[row, length:].any()
    assert all(np.isfinite(g).all() for g in grads.params.values())
    mask = np.arange(T) < np.array(LENGTHS)[:, None]
    masked = forward(cell, params, poisoned, mask=mask, zero_masked_outputs=True)[0]
    assert np.array_equal(masked, y)
