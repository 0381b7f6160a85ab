# %% [markdown]
# # 13. Where does the decoder look?
#
# **20 minutes.** You need: lessons 4 and 11.
#
# **Afterwards you can explain** how one network reads a sequence and another writes
# one, why the state between them is too small, and how attention lets the second
# look back.
#
# An **encoder** reads ten digits. A **decoder** begins with its last state and writes
# the digits in reverse. All that it knows has to fit into that one state. With
# **attention** it looks back: at each step it compares its own output with every
# output of the encoder, and takes a mean of them, weighted by how well they fit.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward, init_params
from rnn_from_scratch.verify import check_function

T, V, H = 10, 10, 32  # digits in a sequence, different digits, units
GO = V
ONE = np.eye(V + 1)
cell = cells.GRU()


def softmax(a):
    e = np.exp(a - a.max(axis=-1, keepdims=True).real)
    return e / e.sum(axis=-1, keepdims=True)


# %% [markdown]
# ## Attention, both ways
#
# `y` are the decoder's outputs, `k` the encoder's. `p[t, s]` says how much step `t`
# looks at step `s`; each row sums to 1. What is seen is the context `p @ k`.


# %%
def attend(y, k):
    p = softmax(y @ k.swapaxes(1, 2) / np.sqrt(H))
    return p @ k, p


def attend_backward(y, k, dcontext):
    context, p = attend(y, k)
    dp = dcontext @ k.swapaxes(1, 2)
    da = p * (dp - (p * dp).sum(axis=2, keepdims=True)) / np.sqrt(H)
    return da @ k, p.swapaxes(1, 2) @ dcontext + da.swapaxes(1, 2) @ y


def trusted(seed):
    rng = np.random.default_rng(seed)
    y, k = rng.standard_normal((2, 3, H)), rng.standard_normal((2, 4, H))
    return check_function(lambda y, k: attend(y, k)[0], attend_backward, [y, k])


print("hand-written gradients against the forward pass:", trusted(0).verdict)

# %% [markdown]
# ## Training
#
# While it trains, the decoder gets the right digit before as its input (**teacher
# forcing**). The gradient goes back through the decoder into the encoder by two
# ways: through the state between them, and through attention.


# %%
def answers(params, x, before, attention):
    """Chances of each digit [B,T,V], what they were made of, and the two tapes."""
    enc, dec, Wy = params["encoder"], params["decoder"], params["out"]["Wy"]
    k, state, read = forward(cell, enc, ONE[x])
    y, last, written = forward(cell, dec, ONE[before], state)
    context, p = attend(y, k) if attention else (0 * y, None)
    both = np.concatenate([context, y], axis=2)
    return softmax(both @ Wy), both, k, p, (read, written)


def gradients(params, x, attention):
    wanted = x[:, ::-1]
    before = np.concatenate([np.full((len(x), 1), GO), wanted[:, :-1]], axis=1)
    chance, both, k, p, (read, written) = answers(params, x, before, attention)
    d = (chance - np.eye(V)[wanted]) / wanted.size
    dcontext, dy = np.split(d @ params["out"]["Wy"].T, 2, axis=2)
    dk = None
    if attention:
        more, dk = attend_backward(both[:, :, H:], k, dcontext)
        dy = dy + more
    decoder = backward(written, dy)
    encoder = backward(read, dk, dstate=decoder.initial_state)
    dWy = np.tensordot(both, d, ((0, 1), (0, 1)))
    return {"encoder": encoder.params, "decoder": decoder.params, "out": {"Wy": dWy}}


def train(seed, attention, steps=450, rate=0.02):
    rng = np.random.default_rng(seed)
    made = [init_params(cell, V + 1, H, rng=seed + n, dtype="float64") for n in (0, 9)]
    out = {"Wy": rng.standard_normal((2 * H, V)) / np.sqrt(2 * H)}
    params = {"encoder": made[0], "decoder": made[1], "out": out}
    places = [(part, name) for part in params for name in params[part]]
    mean, square = ({at: 0.0 for at in places} for _ in range(2))
    for n in range(1, steps + 1):
        found = gradients(params, rng.integers(0, V, (32, T)), attention)
        for part, name in places:  # Adam, as in lesson 11
            g, at = found[part][name], (part, name)
            mean[at] = 0.9 * mean[at] + 0.1 * g
            square[at] = 0.999 * square[at] + 0.001 * g**2
            size = np.sqrt(square[at] / (1 - 0.999**n)) + 1e-8
            step = rate * (1 - n / steps) / (1 - 0.9**n)  # smaller towards the end
            params[part][name] = params[part][name] - step * mean[at] / size
    return params


def write(params, x, attention):
    """Digits written one after the other, each fed back; and where it looked."""
    text = np.full((len(x), 1), GO)
    for _ in range(T):
        chance, both, k, p, tapes = answers(params, x, text, attention)
        text = np.concatenate([text, chance[:, -1:].argmax(axis=2)], axis=1)
    return text[:, 1:], p


# %% [markdown] tags=["predict"]
# **Predict.** Both networks train on the same sequences. How many *new* sequences
# does each reverse without a mistake?
#
# - **a** Both nearly all: the task is the same, and so is the number of units.
# - **b** With attention nearly all, without it hardly any.
# - **c** With attention fewer: it has more to learn.

# %%
SEEDS = range(2)
fresh = np.random.default_rng(99).integers(0, V, (200, T))
right, looks = {}, {}
for attention in (True, False):
    for seed in SEEDS:
        params = train(seed, attention)
        text, looks[attention, seed] = write(params, fresh, attention)
        right[attention, seed] = (text == fresh[:, ::-1]).all(axis=1).mean()
        how = "with" if attention else "without"
        print(f"{how} attention, seed {seed}: {right[attention, seed]:.0%} right")

# %% [markdown] tags=["answer"]
# **Answer: b.** Ten digits are 33 bits, and the state between the two has to learn to
# hold them all. With attention it need not: the picture shows that the decoder
# looks at the last digit first, then at the one before it. Nobody told it so. It was
# found by gradients alone. More training helps the one without attention, too; it
# has a longer way to go.

# %%
p = looks[True, 0].mean(axis=0)
figure, axes = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
axes.pcolormesh(range(T), range(T), p, cmap="Greys", vmin=0, vmax=1)
axes.invert_yaxis()
axes.grid(False)
axes.set(xlabel="digit read (from the first)", ylabel="digit written")
axes.set(xticks=range(T), yticks=range(T))
axes.set_title("Where it looks: white is 0, black is 1")
figure.set_label(
    "The attention matrix, a mean over 200 sequences: a row for each digit written,"
    " a column for each digit read. It is dark on the diagonal from the upper right"
    " to the lower left: the first digit written looks at the last one read."
)
plt.show()

# %% [markdown]
# ## What this lesson claims

# %%
assert all(trusted(seed).ok for seed in range(5))
for seed in SEEDS:  # for these two seeds
    assert right[True, seed] > 0.9
    assert right[False, seed] < 0.45
    best = looks[True, seed].mean(axis=0).argmax(axis=1)
    assert np.mean(np.abs(best - np.arange(T)[::-1]) <= 1) >= 0.8
    assert np.abs(looks[True, seed].sum(axis=2) - 1).max() < 1e-12
