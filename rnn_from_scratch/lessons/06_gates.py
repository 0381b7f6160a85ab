# %% [markdown]
# # 6. What does each gate of an LSTM do?
#
# **25 minutes.** You need: lesson 1; lesson 4 says why.
#
# **Afterwards you can explain** the equations of the LSTM, and set its weights by
# hand.
#
# The switch of lesson 1 holds a bit for ever, but it decides for itself when to turn.
# We want to tell a unit when to write, when to keep and when to read. A **gate** is a
# number between 0 and 1 that multiplies something: 0 is shut, 1 is open. It is made
# by a little network of its own, so a gate can depend on the input:
#
#     gate = sigma(x Wx + h_prev Wh + b)      sigma(a) = 1 / (1 + exp(-a))
#
# The **LSTM** has three gates, a candidate `g`, and a second state `c`, the *cell*:
#
#     i, f, o = sigma(...)        input gate, forget gate, output gate
#     g = tanh(...)               what could be written
#     c = f * c_prev + i * g      keep a part of the old, write a part of the new
#     h = o * tanh(c)             show a part
#
# Each line has a weight matrix of its own. They lie side by side in `Wx`, `Wh` and
# `b`, in the order `i, f, g, o`.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward

# %% [markdown]
# ## An LSTM with weights set by hand
#
# One unit. It has three inputs: a value, a pulse that means *write*, and a pulse that
# means *read*. We want:
#
# - the input gate open when *write* is 1, else shut,
# - the forget gate shut when *write* is 1, so that the old value goes; else open,
# - the output gate open when *read* is 1, else shut,
# - the candidate to be the value.
#
# A gate is open when its sum is large and positive, shut when it is large and
# negative. Our large number is `K = 20`.

# %%
K = 20.0
VALUE, WRITE, READ = 0, 1, 2


def by_hand(K):
    """Wx [3,4], Wh [1,4], b [4] for the gates i, f, g, o of one unit."""
    Wx, b = np.zeros((3, 4)), np.zeros(4)
    Wx[WRITE, 0], b[0] = 2 * K, -K  # i: -K, or +K on write
    Wx[WRITE, 1], b[1] = -2 * K, K  # f: +K, or -K on write
    Wx[VALUE, 2] = 1.0  # g = tanh(value)
    Wx[READ, 3], b[3] = 2 * K, -K  # o: -K, or +K on read
    return {"Wx": Wx, "Wh": np.zeros((1, 4)), "b": b}


def sequence(T, write, read, seed):
    """Values at every step, a write pulse and a read pulse: x [1,T,3]."""
    x = np.zeros((1, T, 3))
    x[0, :, VALUE] = np.random.default_rng(seed).standard_normal(T)
    x[0, write, WRITE] = x[0, read, READ] = 1
    return x


# %% [markdown] tags=["predict"]
# **Predict.** We write a value at step 10 and read it at step 999. At every step a
# new value stands at the input. What do we read?
#
# - **a** Exactly what was written: the forget gate is 1, the input gate is 0.
# - **b** Nearly what was written, wrong from the sixth digit on.
# - **c** Nothing of use: a thousand steps are too many, as for any recurrent network.

# %%
lstm = cells.LSTM()
x = sequence(1000, write=10, read=999, seed=0)
y, (h, c), tape = forward(lstm, by_hand(K), x)
written, read = np.tanh(x[0, 10, VALUE]), y[0, 999, 0]
print(f"written {written:.9f}, in the cell {c[0, 0]:.9f}")
print(f"read    {read:.9f}, tanh of that is {np.tanh(written):.9f}")
print(f"largest output before the read: {np.abs(y[0, :999]).max():.0e}")
print(f"the forget gate at step 500: 1 - {1 - tape.gate('f')[0, 500, 0]:.1e}")

# %% [markdown] tags=["answer"]
# **Answer: b.** `sigma` is never 0 and never 1. `sigma(20)` is 1 minus 2e-9. Each step
# loses that part of the value, and lets in that part of a new one. After 989 steps the
# value is off by some 1e-6. A **gate is a number between 0 and 1, not a switch**.
# That is no fault: a switch has no slope, and could not be learned.

# %%
T = 40
x_short = sequence(T, write=5, read=30, seed=6)
x_short[0, 20, READ] = 1
y_short, state, tape_short = forward(lstm, by_hand(K), x_short)
c_short = tape_short.states[1][0, 1:, 0]
figure, panels = plt.subplots(4, 1, figsize=(5, 5.5), sharex=True, layout="constrained")
rows = {
    "value": x_short[0, :, VALUE],
    "gates": None,
    "cell c": c_short,
    "output h": y_short[0, :, 0],
}
for axes, (name, row) in zip(panels, rows.items()):
    axes.set_ylabel(name)
    if row is not None:
        axes.bar(range(T), row, color="#1f77b4")
        axes.axhline(0, color="#555555", linewidth=0.8)
for gate, style in (("i", "-"), ("f", ":"), ("o", "--")):
    opened = tape_short.gate(gate)[0, :, 0]
    panels[1].step(range(T), opened, style, where="mid", label=gate)
panels[1].legend(ncols=3, fontsize=8, loc="upper center")
panels[1].set(yticks=(0, 1), ylim=(-0.2, 2.2))
panels[-1].set_xlabel("step t")
figure.set_label(
    "Four panels over 40 steps. The value changes at every step. The gates: at"
    " step 5 i opens and f shuts for one step; at steps 20 and 30 o opens. The"
    " cell is 0 until step 5 and level from then on. The output is 0 but at"
    " steps 20 and 30, where it shows the cell."
)
plt.show()

# %% [markdown]
# ## Who is heard?
#
# Lesson 1 ended with a switch that holds, but cannot be heard. Look at the LSTM. We
# ask how the cell at the end depends on the value at each step. One step of the cell
# is `c = f * c_prev + i * g`, so
#
#     dc/dc_prev = f
#
# There is no `Wh` in it and no slope of `tanh`. Where the forget gate is open, the
# gradient goes back unharmed.

# %%
dstate = (np.zeros((1, 1)), np.ones((1, 1)))  # dh, dc at the end
heard = backward(tape, dstate=dstate).x[0, :, VALUE]
others = np.delete(heard, 10)
print(f"derivative of c by the value at step 10: {heard[10]:.3f}")
print(f"by the value at any other step: at most {np.abs(others).max():.0e}")

# %% [markdown]
# The one value that was written is heard over 989 steps. Its derivative is what it was
# in the step of writing: the slope of `tanh` there. All other values are not heard.
# **The cell holds what was written, and can be heard.** That is what the gates buy.
#
# Here the weights were set by hand. Whether an LSTM finds them is the next question.
#
# ## What this lesson claims

# %%
for seed in range(5):
    x = sequence(1000, write=10, read=999, seed=seed)
    y, (h, c), tape = forward(lstm, by_hand(K), x)
    written = np.tanh(x[0, 10, VALUE])
    assert 1e-9 < abs(c[0, 0] - written) < 1e-5
    assert np.abs(y[0, :999]).max() < 1e-8
    assert abs(y[0, 999, 0] - np.tanh(written)) < 1e-5
    heard = backward(tape, dstate=dstate).x[0, :, VALUE]
    assert abs(heard[10] / (1 - written**2) - 1) < 1e-5
    assert np.abs(np.delete(heard, 10)).max() < 1e-8
    assert 0 < 1 - tape.gate("f")[0, 500, 0] < 1e-8
assert np.abs(np.delete(y_short[0, :, 0], (20, 30))).max() < 1e-8
assert abs(y_short[0, 20, 0] - y_short[0, 30, 0]) < 1e-6 < abs(y_short[0, 20, 0])
