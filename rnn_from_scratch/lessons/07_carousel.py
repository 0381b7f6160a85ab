# %% [markdown]
# # 7. Does an LSTM remember before it has learned?
#
# **20 minutes.** You need: lessons 4 and 6.
#
# **Afterwards you can explain** why the forget gate begins with a bias of 1, and why
# "an LSTM does not vanish" is only half of the truth.
#
# In lesson 6 we set the gates by hand, and the gradient came back over a thousand
# steps. A fresh network has random weights. Its sums are near 0, so its gates are
# near `sigma(0) = 0.5`: half open. What does its gradient do then?
#
# The path along the cell multiplies by the forget gate in each step. The inventors of
# the LSTM called it the *constant error carousel*: with `f = 1` an error goes round
# and round and stays the same. With `f = 0.5` it does not.

# %%
from functools import cache

import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward, init_params

B, T, I, H = 8, 100, 8, 64
SEEDS = range(8)


@cache  # made once for each cell and seed, since that takes longest
def begin(cell, seed):
    return init_params(cell, I, H, rng=seed, dtype="float64")


def fresh(cell, seed, bias=None):
    """New weights. bias: (name of the array, number of the gate, its bias)."""
    params = {name: a.copy() for name, a in begin(cell, seed).items()}
    if bias:
        name, gate, value = bias
        params[name].reshape(-1, H)[gate] = value
    return params


def per_step(cell, seed, bias=None):
    """The factor by which dL/dx changes for one step back, on the average."""
    rng = np.random.default_rng(100 + seed)
    x, dh = rng.standard_normal((B, T, I)), rng.standard_normal((B, H))
    y, state, tape = forward(cell, fresh(cell, seed, bias), x)
    dstate = (dh, *(np.zeros_like(s) for s in state[1:]))
    norms = np.linalg.norm(backward(tape, dstate=dstate, wrt=("x",)).x, axis=2)
    return (norms[:, 0] / norms[:, -2]).mean() ** (1 / (T - 2))


# %% [markdown] tags=["predict"]
# **Predict.** A fresh LSTM as Keras makes it, with a bias of 1 at the forget gate. A
# hundred steps back, how much of its gradient is left, beside a fresh tanh network?
#
# - **a** Nearly all of it. LSTMs do not vanish.
# - **b** Less than a millionth; but more than in the tanh network.
# - **c** Less than in the tanh network.

# %%
BIASES = (0, 1, 2, 3, 5)
FORGET, UPDATE = 1, 0  # their places in the order i, f, g, o and z, r, n
tanh_rnn = [per_step(cells.SimpleRNN(), seed) for seed in SEEDS]
lstm = {
    bias: [per_step(cells.LSTM(), seed, ("b", FORGET, bias)) for seed in SEEDS]
    for bias in BIASES
}
print("factor for one step back, least and largest of 8 fresh networks")
print(f"tanh RNN           {min(tanh_rnn):.3f} to {max(tanh_rnn):.3f}")
for bias, found in lstm.items():
    words = f"LSTM, bias of f: {bias}"
    print(f"{words}   {min(found):.3f} to {max(found):.3f}", "(Keras)" * (bias == 1))
print(f"over {T} steps: tanh {max(tanh_rnn) ** T:.0e}, LSTM {max(lstm[1]) ** T:.0e}")

# %% [markdown] tags=["answer"]
# **Answer: b.** With a bias of 1 the forget gate is about 0.73, and the gradient
# shrinks to about 0.83 in each step: a bit more than 0.73, because other paths add to
# it. A hundred such steps leave 1e-8. **A fresh LSTM vanishes, too.** It is only
# better at it. What it has is a gate that can learn to open.

# %% [markdown]
# The bias decides. With 0 the LSTM is worse than the plain tanh network. With 2 it
# loses some three hundredths in each step. With 3 the gradient grows a little. So if
# you know that your task needs a memory of hundreds of steps, begin with a larger
# bias.
#
# ## And the GRU?
#
# The GRU has no cell. It mixes the old state with a new candidate `n`, by its update
# gate `z`:
#
#     h = z * h_prev + (1 - z) * n
#
# The gate `z` is what the forget gate is for the LSTM. Keras begins with a bias of 0.

# %%
gru = [per_step(cells.GRU(), seed) for seed in SEEDS]
open_gru = [per_step(cells.GRU(), seed, ("bx", UPDATE, 4)) for seed in SEEDS]
print(f"GRU, bias of z: 0   {min(gru):.3f} to {max(gru):.3f} (Keras)")
print(f"GRU, bias of z: 4   {min(open_gru):.3f} to {max(open_gru):.3f}")

# %% [markdown]
# As Keras makes it, a GRU begins below the plain tanh network. Many papers do not say
# which bias they began with. Ask, before you believe that one cell remembers longer
# than another.

# %%
figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
middle = [np.mean(lstm[bias]) for bias in BIASES]
axes.plot(BIASES, middle, "o-", color="#1f77b4", label="LSTM")
axes.fill_between(
    BIASES, *([f(lstm[b]) for b in BIASES] for f in (min, max)), alpha=0.3
)
spread = [[np.mean(gru) - min(gru)], [max(gru) - np.mean(gru)]]
axes.errorbar([0], [np.mean(gru)], spread, fmt="s", color="#1b9e77", label="GRU")
axes.plot([4], [np.mean(open_gru)], "s", color="#1b9e77")
axes.axhline(np.mean(tanh_rnn), color="#d95f02", linestyle="--", label="tanh RNN")
axes.axhline(1, color="#555555", linestyle=":")
axes.text(0, 1.01, "nothing lost", va="bottom", color="#555555")
axes.set(xlabel="bias of the forget gate (GRU: update gate)")
axes.set(ylabel="factor for one step back", ylim=(0.5, 1.1))
axes.legend(loc="lower right")
figure.set_label(
    "The factor by which the gradient changes for each step back, against the"
    " bias of the forget gate. The LSTM rises from 0.61 at bias 0 to 0.83 at 1,"
    " 0.97 at 2, and 1.03 at 5. The tanh RNN is a level line at 0.77. A GRU"
    " stands at 0.62 with bias 0 and at 0.98 with bias 4."
)
plt.show()

# %% [markdown]
# ## What this lesson claims

# %%
for seed in SEEDS:
    assert 0.75 < tanh_rnn[seed] < 0.80
    assert 0.58 < lstm[0][seed] < 0.65  # below the tanh RNN
    assert 0.81 < lstm[1][seed] < 0.87
    assert lstm[1][seed] ** T < 1e-6 and tanh_rnn[seed] ** T < 1e-9
    assert 0.95 < lstm[2][seed] < 0.99
    assert 1 < lstm[3][seed] < lstm[5][seed] < 1.05
    assert 0.60 < gru[seed] < 0.65  # below the tanh RNN
    assert 0.97 < open_gru[seed] < 0.99
