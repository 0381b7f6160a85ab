# %% [markdown]
# # 2. What is unrolling, and what does backward do?
#
# **30 minutes.** You need: lesson 1, the chain rule, and products of matrices.
#
# **Afterwards you can explain** backpropagation through time, and write it in a few
# lines.
#
# A recurrent neuron uses the same weights in every step. To see what depends on what,
# we draw each step beside the one before. That is **unrolling**. The loop becomes a
# chain, and on a chain the chain rule works.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import rnn_from_scratch
from rnn_from_scratch import backward, cells, forward, init_params

# %% [markdown]
# ## Two steps of one neuron, with numbers
#
# The neuron has a weight `Wx` for its input and a weight `Wh` for its old state. We
# give the sum before `tanh` a name of its own, `a`:
#
#     a0 = Wx * x0               h0 = tanh(a0)
#     a1 = Wx * x1 + Wh * h0     h1 = tanh(a1)
#
# To train a network is to make one number small: how far off its answers are. That
# number is called the **loss**. Ours is simply `L = h0 + h1`. How does `L` change when
# `Wh` changes, or `x0`? We go through the chain from its end to its beginning. We write
# `da1` for the derivative of `L` with respect to `a1`, and so on.

# %%
Wx, Wh = 0.5, 0.8
x0, x1 = 1.0, -0.5
a0 = Wx * x0
h0 = np.tanh(a0)
a1 = Wx * x1 + Wh * h0
h1 = np.tanh(a1)

dh1 = 1.0  # L = h0 + h1
da1 = dh1 * (1 - h1**2)  # h1 = tanh(a1)
print(f"h0 = {h0:.4f}, h1 = {h1:.4f}, da1 = {da1:.4f}")

# %% [markdown] tags=["predict"]
# **Predict.** `L = h0 + h1`, and `da1` is 0.9858. What is `dh0`, the derivative of
# `L` with respect to `h0`?
#
# - **a** 1, because `L` contains `h0` with the factor 1.
# - **b** `da1 * Wh`, about 0.79, because step 1 uses `h0` with the factor `Wh`.
# - **c** The sum of both, about 1.79.

# %%
dh0 = 1.0 + da1 * Wh  # L uses h0, and step 1 uses it again
da0 = dh0 * (1 - h0**2)
dWh = h0 * da1  # only step 1 uses Wh
dWx = x0 * da0 + x1 * da1  # both steps use Wx
dx0, dx1 = Wx * da0, Wx * da1
print(f"dh0 = {dh0:.4f}, dWh = {dWh:.4f}, dWx = {dWx:.4f}")

# %% [markdown] tags=["answer"]
# **Answer: c.** A state is used twice: by what reads it now, and by the next step.
# **What is used twice gets the sum of both derivatives.** The same rule gives `dWx`:
# both steps use `Wx`, so both add their part. Nearly every bug in a hand-written
# backward pass is a forgotten part of such a sum.

# %%
figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
BLUE, ORANGE = "#1f5fa8", "#b34700"
nodes = {  # name -> place, value, derivative
    "x0": (0, 0, x0, dx0), "a0": (0, 1, a0, da0), "h0": (0, 2, h0, dh0),
    "x1": (2, 0, x1, dx1), "a1": (2, 1, a1, da1), "h1": (2, 2, h1, dh1),
    "L": (1, 3, h0 + h1, 1.0),
}  # fmt: skip
arrows = ("x0", "a0"), ("a0", "h0"), ("h0", "a1"), ("x1", "a1"), ("a1", "h1")
for start, end in (*arrows, ("h0", "L"), ("h1", "L")):
    look = {"arrowstyle": "->", "shrinkA": 20, "shrinkB": 20, "color": "#777777"}
    axes.annotate("", nodes[end][:2], nodes[start][:2], arrowprops=look)
for name, (at, up, value, derivative) in nodes.items():
    axes.text(at, up + 0.14, name, ha="center", va="center", weight="bold")
    axes.text(at, up - 0.1, f"{value:.3f}", ha="center", va="center", color=BLUE)
    words = f"d{name} = {derivative:.3f}"
    axes.text(at + 0.3, up + 0.05, words, va="center", color=ORANGE, style="italic")
axes.text(1.05, 1.6, "Wh", color="#555555")
axes.set(xlim=(-0.4, 3.1), ylim=(-0.4, 3.4))
axes.axis("off")
figure.set_label(
    "Two steps unrolled, side by side. In each step x leads up to a, and a to h."
    " An arrow with the weight Wh leads from h0 to a1. Both h lead to the loss L."
    " Every value stands in the middle, its derivative in italics at the right:"
    f" dh0 is {dh0:.3f}, dh1 is 1, da0 is {da0:.3f}, da1 is {da1:.3f}."
)
plt.show()

# %% [markdown]
# Read the picture upwards for the forward pass, and downwards for the backward pass.
#
# ## All of it, as a loop
#
# Now many neurons and many sequences. `x` is `[B,T,I]`: B sequences, T steps, I
# inputs. There are H neurons, so the weights are matrices: `Wx` is `[I,H]` and `Wh`
# is `[H,H]`. One step of the whole batch is
#
#     a = x_t Wx + h_prev Wh + b        h = tanh(a)
#
# What about the derivative of a product of matrices? Look at one element:
# `a[j]` contains `x[i] * Wx[i,j]`. So `x[i]` hears from every `a[j]` with the factor
# `Wx[i,j]`. That sum over `j` is `dx = da Wx^T`. And `Wx[i,j]` hears from `a[j]` with
# the factor `x[i]`, once for every sequence of the batch. That sum is `dWx = x^T da`.
#
# Nothing else is needed. This is **backpropagation through time**, BPTT for short.


# %%
def rnn_forward(x, Wx, Wh, b):
    """x [B,T,I] -> all states h [B,T+1,H]. h[:, 0] is 0; step t makes h[:, t + 1]."""
    B, T, _ = x.shape
    h = np.zeros((B, T + 1, len(Wh)))
    for t in range(T):
        a = x[:, t] @ Wx + h[:, t] @ Wh + b
        h[:, t + 1] = np.tanh(a)
    return h


def rnn_backward(x, Wx, Wh, b, h, dy):
    """dy [B,T,H]: how the loss hangs on each output -> dx, dWx, dWh, db."""
    B, T, _ = x.shape
    dx = np.zeros_like(x)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = np.zeros_like(h[:, 0])  # behind the last step nobody uses the state
    for t in reversed(range(T)):
        dh = dh + dy[:, t]  # the state is an output, and step t + 1 used it
        da = dh * (1 - h[:, t + 1] ** 2)  # h = tanh(a)
        dx[:, t] = da @ Wx.T  # a = x Wx + h_prev Wh + b
        dWx += x[:, t].T @ da
        dWh += h[:, t].T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T  # handed on to step t - 1
    return dx, dWx, dWh, db


# %% [markdown]
# The last line of the loop is the heart of it. It carries `dh` one step back.
#
# The package has the same loop in `bptt.py`, with masks and for every cell. Its
# `forward` returns the outputs, the last state and a **tape**: what the backward pass
# needs to know of the forward pass. We compare.


# %%
def compare(seed):
    """The largest difference between our gradients and those of the package."""
    rng = np.random.default_rng(seed)
    B, T, I, H = rng.integers(2, 7, 4)
    cell = cells.SimpleRNN()
    params = init_params(cell, I, H, rng=seed, dtype="float64")
    x, dy = rng.standard_normal((B, T, I)), rng.standard_normal((B, T, H))
    ours = rnn_backward(x, **params, h=rnn_forward(x, **params), dy=dy)
    y, state, tape = forward(cell, params, x)
    grads = backward(tape, dy)
    theirs = (grads.x, *grads.params.values())
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(ours, theirs))


differences = [compare(seed) for seed in range(8)]
print("largest relative difference:", f"{max(differences):.0e}")

# %% [markdown]
# ## A list of steps, or one call
#
# A well-known book builds the two-step network in two ways. One program has a list of
# steps and hands the state from one to the next. The other one makes one call for the
# whole sequence. (TensorFlow 1 called these `static_rnn` and `dynamic_rnn`.) They are
# the same arithmetic, so they have to agree in every bit. We take the weights and
# inputs of the book, and look at what it prints.

# %%
path = Path(rnn_from_scratch.__file__).with_name("verify") / "book_rnn.json"
book = json.loads(path.read_text(encoding="utf-8"))["programs"]["static"]
x, printed = np.array(book["x"]), np.array(book["y"])
params = {name: np.array(book[name]) for name in ("Wx", "Wh", "b")}

one_call, last, tape = forward(cells.SimpleRNN(), params, x)
listed, state = [], None
for t in range(x.shape[1]):
    y_t, state, tape = forward(cells.SimpleRNN(), params, x[:, t : t + 1], state)
    listed.append(y_t[:, 0])
listed = np.stack(listed, axis=1)
print("the book:", printed[0, 1], "\nours:    ", one_call[0, 1].round(8))
print("the same bits:", np.array_equal(one_call, listed))

# %% [markdown]
# ## The first error you will meet
#
# Arrays of NumPy are float64 unless you say otherwise. `init_params` makes float32
# unless you say otherwise. The package does not mix them silently:

# %%
message = ""
try:
    forward(cells.SimpleRNN(), init_params(cells.SimpleRNN(), 3, 5), x)
except (TypeError, ValueError) as error:
    message = str(error)
print(message)

# %% [markdown]
# Write `dtype="float64"` or `x.astype("float32")`. All lessons use float64.
#
# ## What this lesson claims

# %%
assert abs(dh0 - 1.7886) < 1e-4
eps = 1e-6  # the weights moved a little: does L move as dWh and dWx say?
moved_h0 = np.tanh((Wx + eps) * x0)
moved = moved_h0 + np.tanh((Wx + eps) * x1 + Wh * moved_h0)
assert abs((moved - (h0 + h1)) / eps - dWx) < 1e-5
moved = h0 + np.tanh(Wx * x1 + (Wh + eps) * h0)
assert abs((moved - (h0 + h1)) / eps - dWh) < 1e-5
assert max(differences) < 1e-14
assert np.abs(one_call - printed).max() < 1e-6
assert np.abs(rnn_forward(x, **params)[:, 1:] - printed).max() < 1e-6
assert np.array_equal(one_call, listed)
assert "float32" in message and "float64" in message
