# %% [markdown]
# # 8. What do the variants of the LSTM buy?
#
# **20 minutes.** You need: lesson 6.
#
# **Afterwards you can explain** what a GRU, a coupled gate and peepholes save or add,
# and write a cell of your own that the package runs.
#
# The LSTM has three gates and a candidate. Each has weights of its own. People have
# tried to leave some out, and to let the gates see more. We look at three variants:
#
# - **GRU**: two gates, and no cell beside `h`.
# - **coupled gates**: the forget gate is `f = 1 - i`. What is written goes where
#   something else is forgotten.
# - **peepholes**: the gates see the cell `c`, too.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import cells, forward, gradcheck, init_params

# %% [markdown]
# ## What they save
#
# Nearly all numbers of a cell are in `Wx` and `Wh`. Both have one block for each gate
# and candidate. So the blocks can simply be counted.

# %%
I = H = 64
ALL = (cells.SimpleRNN, cells.LSTM, cells.GRU, cells.CoupledLSTM, cells.PeepholeLSTM)
weights, others = {}, {}
for cell in ALL:
    params = init_params(cell(), I, H)
    weights[cell] = params["Wx"].size + params["Wh"].size
    others[cell] = sum(a.size for a in params.values()) - weights[cell]
    blocks = weights[cell] / weights[cells.SimpleRNN]
    print(f"{cell.__name__:13} {blocks:.0f} blocks, {weights[cell]} + {others[cell]}")

# %% [markdown]
# The GRU and the coupled LSTM have three quarters of the weights of an LSTM. Peepholes
# cost next to nothing: three numbers for each unit.
#
# ## A cell of your own
#
# To try a variant, write it down. A cell knows one step and no product of matrices.
# This is the coupled LSTM: three gradients instead of four, and `f = 1 - i`.


# %%
def sigma(a):
    return 1 / (1 + np.exp(-a))


class Coupled:
    """c = (1 - i) * c_prev + i * g, h = o * tanh(c)."""

    gates, states, saved = ("i", "g", "o"), ("h", "c"), ("i", "g", "o")
    extras, shared, phases = (), True, ((0, 1, 2),)

    def forward(self, k, xg, hg, s_prev, saved, p):
        (ai, ag, ao), (_, c_prev) = xg + hg, s_prev
        i, g, o = sigma(ai), np.tanh(ag), sigma(ao)
        c = (1 - i) * c_prev + i * g
        return (o * np.tanh(c), c), (i, g, o)

    def backward(self, k, d, saved, s_prev, s, p):
        (dh, dc), (i, g, o), (_, c_prev), (_, c) = d, saved, s_prev, s
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        dai = dc * (g - c_prev) * i * (1 - i)  # i writes, and forgets
        da = (dai, dc * i * (1 - g**2), dh * np.tanh(c) * o * (1 - o))
        return da, da, (0.0, dc * (1 - i)), ()


report = gradcheck(Coupled())
print(str(report).split(";")[0])
x = np.random.default_rng(0).standard_normal((2, 6, 3))
params = init_params(cells.CoupledLSTM(), 3, 5, dtype="float64")
mine, theirs = (forward(c, params, x)[0] for c in (Coupled(), cells.CoupledLSTM()))
print("largest difference from the cell of the package:", np.abs(mine - theirs).max())

# %% [markdown]
# ## What peepholes see
#
# The gates of an LSTM see the input and `h`. But `h = o * tanh(c)`: while the output
# gate is shut, `h` is 0, whatever is in the cell.

# %% [markdown] tags=["predict"]
# **Predict.** The cell of a unit counts pulses. Its output gate should open when the
# count reaches 5. There are no peepholes. Can weights do that?
#
# - **a** Yes, the LSTM is general enough.
# - **b** Not with this unit: its gate cannot know the count before it opens.
# - **c** Yes, but only with a large weight.

# %%
K = 20.0


def counter(open_at, peephole):
    """Wx, Wh, b, p of one unit: c counts the ones in x. Gates i, f, g, o."""
    Wx = np.array([[2 * K, 0.0, 0.0, 0.0]])
    b = np.array([-K, K, K, -K])  # i shut, f open, g = 1, o shut
    p = np.zeros((3, 1))
    if peephole:
        p[2], b[3] = K, -K * (open_at - 0.5)  # o = sigma(K * (c - 4.5))
    return {"Wx": Wx, "Wh": np.zeros((1, 4)), "b": b, "p": p}


T = 40
pulses = (np.random.default_rng(3).random((1, T, 1)) < 0.3).astype(float)
count = pulses[0, :, 0].cumsum()
gate = {}
for peephole in (True, False):
    params = counter(5, peephole)
    y, state, tape = forward(cells.PeepholeLSTM(), params, pulses)
    gate[peephole] = tape.gate("o")[0, :, 0]


def seen(seed, peephole):
    """How much the output gate differs between a count of 2 and one of 4."""
    rng = np.random.default_rng(seed)
    params = counter(5, peephole)
    params["Wx"][0, 3], params["Wh"][0, 3] = rng.standard_normal(2)  # any weights
    c = np.array([[2.0], [4.0]])
    state = (np.zeros((2, 1)), c)
    tape = forward(cells.PeepholeLSTM(), params, np.ones((2, 1, 1)), state)[2]
    o = tape.gate("o")[:, 0, 0]
    return o[1] / o[0]


print("output gate at a count of 4, divided by that at 2:")
print(f"with a peephole {seen(0, True):.0e}, without {seen(0, False):.0f}")

# %% [markdown] tags=["answer"]
# **Answer: b.** While the gate is shut, `h` is 0 at every count. So the gate gets the
# same sum at every count, and does the same. A peephole leads `c` past the gate. In a
# larger network another unit could show its count instead. That is why LSTMs without
# peepholes do well on many tasks all the same.

# %%
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
axes.step(range(T), count / 10, where="mid", color="#555555", label="count / 10")
axes.plot(gate[True], "-", color="#1f77b4", label="gate with a peephole")
axes.plot(gate[False], "--", color="#d95f02", label="gate without")
axes.axhline(0.45, color="#555555", linestyle=":")
axes.set(xlabel="step t", ylabel="output gate o", ylim=(-0.05, 1.9), yticks=(0, 1))
axes.legend(loc="upper left")
figure.set_label(
    "A count rises in steps over 40 steps of time. The output gate with a"
    " peephole is 0 until the count reaches 5, then 1. The gate without"
    " peepholes stays 0 throughout."
)
plt.show()

# %% [markdown]
# ## What this lesson claims

# %%
assert weights[cells.LSTM] == 4 * weights[cells.SimpleRNN]
assert weights[cells.GRU] == weights[cells.CoupledLSTM] == 3 * weights[cells.SimpleRNN]
assert others[cells.PeepholeLSTM] - others[cells.LSTM] == 3 * H
assert report.ok and report.worst.error < 1e-12
assert np.abs(mine - theirs).max() < 1e-14
assert gate[True][count < 5].max() < 1e-3 < 0.99 < gate[True][count >= 5].min()
for seed in range(8):
    assert seen(seed, False) == 1
    assert seen(seed, True) > 1e6
