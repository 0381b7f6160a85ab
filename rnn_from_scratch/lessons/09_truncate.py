# %% [markdown]
# # 9. What does truncation lose?
#
# **20 minutes.** You need: lessons 2 and 7.
#
# **Afterwards you can explain** truncated backpropagation through time, what it saves,
# and when it teaches the wrong thing.
#
# Backpropagation through time needs all states of the sequence. A text has a million
# steps. So people cut: the state goes on from stretch to stretch, but the gradient
# goes back `k2` steps only. This is **truncated BPTT**.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward, init_params, truncated_bptt

B, T, I, H = 4, 120, 8, 32
SEEDS = range(5)


def flat(params):
    return np.concatenate([a.ravel() for a in params.values()])


def cosines(cell, reaches, seed, bias=None):
    """How well the truncated gradient points where the full one does, for each k2."""
    params = init_params(cell, I, H, rng=seed, dtype="float64")
    if bias is not None:
        params["b"].reshape(4, H)[1] = bias
    rng = np.random.default_rng(100 + seed)
    x, v = rng.standard_normal((B, T, I)), rng.standard_normal(H) / np.sqrt(H)
    target = x[:, :, 0].cumsum(axis=1) / 5  # the sum of all inputs so far

    def dy(y, t0, t1):
        return (y @ v - target[:, t0:t1])[..., None] * v

    def gradient(k1, k2):
        return flat(truncated_bptt(cell, params, x, dy, k1, k2)[2].params)

    full = gradient(T, T)
    found = [gradient(1, k2) for k2 in reaches]
    return [g @ full / np.linalg.norm(g) / np.linalg.norm(full) for g in found]


# %% [markdown] tags=["predict"]
# **Predict.** We cut after 20 of 120 steps. What does that cost?
#
# - **a** Nothing but memory is saved: the gradient stays nearly the same.
# - **b** It depends on how far the network remembers.
# - **c** The gradient gets smaller, but keeps its direction.

# %%
REACHES = (1, 5, 20, 80)
CASES = {
    "tanh RNN": (cells.SimpleRNN(), None),
    "LSTM, bias of f: 1": (cells.LSTM(), 1),
    "LSTM, bias of f: 3": (cells.LSTM(), 3),
}
found = {
    name: np.array([cosines(cell, REACHES, seed, bias) for seed in SEEDS])
    for name, (cell, bias) in CASES.items()
}
print("cosine to the full gradient, the worst of 5 networks")
print("steps back         " + "".join(f"{k:7}" for k in REACHES))
for name, values in found.items():
    print(f"{name:19}" + "".join(f"{v:7.3f}" for v in values.min(axis=0)))

# %% [markdown] tags=["answer"]
# **Answer: b.** A network whose gradient vanishes has nothing to lose: after 20 steps
# nothing was left anyway. An LSTM with a bias of 3 remembers long. Its gradient comes
# from far back, and the cut one points elsewhere. **Truncation costs most in those
# networks that you chose because they remember.**

# %%
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
for (name, values), style in zip(found.items(), ("o-", "s--", "^:")):
    axes.plot(REACHES, values.min(axis=0), style, label=name)
axes.set(xscale="log", xlabel="steps that the gradient goes back, of 120")
axes.set(ylabel="cosine to the full gradient", ylim=(0, 1.05), xticks=REACHES)
axes.set_xticklabels(REACHES)
axes.legend(loc="lower right")
figure.set_label(
    "Cosine between the truncated and the full gradient against the steps that"
    " it goes back, the worst of 5 networks. The tanh RNN and the LSTM with"
    " bias 1 are near 1 from 5 steps on. The LSTM with bias 3 is far below 1 at"
    " 20 steps and close to it only at 80."
)
plt.show()

# %% [markdown]
# ## The other way: keep less, compute again
#
# If memory is what you lack, you need not lose anything. Keep every 32nd state only.
# On the way back, run the steps between again. That costs one more forward pass and
# changes no bit.

# %%
cell, steps = cells.LSTM(), 1000
params = init_params(cell, I, H, rng=0, dtype="float64")
x = np.random.default_rng(0).standard_normal((2, steps, I))
tapes = [forward(cell, params, x, recompute_every=every)[2] for every in (None, 32)]
whole, thin = (backward(tape, np.ones((2, steps, H))).params for tape in tapes)
print(f"kept: {tapes[0].nbytes / 1e6:.2f} MB, or {tapes[1].nbytes / 1e6:.3f} MB")

# %% [markdown]
# ## What this lesson claims

# %%
for seed in SEEDS:
    tanh, short, long = (found[name][seed] for name in CASES)
    assert tanh[0] < 0.95 and tanh[1] > 0.95
    assert short[1] > 0.9 and short[2] > 0.99
    assert long[2] < 0.9
    assert long[0] < long[1] < long[2] < long[3]
assert tapes[0].nbytes > 90 * tapes[1].nbytes
for name in whole:
    assert np.array_equal(whole[name], thin[name])
