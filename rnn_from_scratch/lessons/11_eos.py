# %% [markdown]
# # 11. How does a model know when to stop?
#
# **20 minutes.** You need: lessons 6 and 10.
#
# **Afterwards you can explain** how a network writes a sequence, why a sign for the
# end is one more character, and how to test that it is used rightly.
#
# A network that writes guesses the next character, again and again. It gets each guess
# back as its next input. When should it stop? The answer is simple: the end is a
# character, too. It is called **EOS**, end of sequence. The network learns to guess it
# like any other. A sign for the beginning, GO, is the first input.
#
# Our language: some `a`, then as many `b`, then the end. `aaabbb` is right. To know
# when the end comes, the network has to count.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward, init_params

GO, A, B, EOS = range(4)
ONE = np.eye(4)  # a character is a vector with a single 1
H, MOST = 16, 10  # units; the longest that is ever shown has 10 a
cell = cells.LSTM()


def examples(rng, count):
    """Inputs, the characters that come next, and lengths; padded with GO."""
    n = rng.integers(1, MOST + 1, count)
    x = np.zeros((count, 2 * MOST + 1), int)
    wanted = np.zeros_like(x)
    for row, k in enumerate(n):
        text = [GO, *[A] * k, *[B] * k, EOS]
        x[row, : 2 * k + 1], wanted[row, : 2 * k + 1] = text[:-1], text[1:]
    return x, wanted, 2 * n + 1


def softmax(a):
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def split(params):
    """The parameters of the cell alone."""
    return {name: a for name, a in params.items() if name not in ("Wy", "by")}


# %% [markdown]
# The loss is the mean of `-log p(next character)`. Steps behind the end do not count.
# Its gradient by the sums before `softmax` is `p` minus 1 at the right character.
# The updates are Adam's: each weight has a rate of its own.


# %%
def train(seed, steps=600, rate=1e-2):
    rng = np.random.default_rng(seed)
    params = init_params(cell, 4, H, rng=seed, dtype="float64")
    params.update(Wy=rng.standard_normal((H, 4)) / np.sqrt(H), by=np.zeros(4))
    mean = {name: 0 * a for name, a in params.items()}
    square = {name: 0 * a for name, a in params.items()}
    for n in range(1, steps + 1):
        x, wanted, lengths = examples(rng, 32)
        h, state, tape = forward(cell, split(params), ONE[x], lengths=lengths)
        live = np.arange(x.shape[1]) < lengths[:, None]
        d = softmax(h @ params["Wy"] + params["by"]) - ONE[wanted]
        d = np.where(live[..., None], d, 0) / lengths.sum()
        grads = backward(tape, d @ params["Wy"].T, wrt=("params",)).params
        grads["Wy"] = np.tensordot(h, d, ((0, 1), (0, 1)))
        grads["by"] = d.sum(axis=(0, 1))
        factor = min(1, 1 / np.sqrt(sum((g**2).sum() for g in grads.values())))
        for name, g in grads.items():
            mean[name] = 0.9 * mean[name] + 0.1 * factor * g
            square[name] = 0.999 * square[name] + 0.001 * (factor * g) ** 2
            move = mean[name] / (1 - 0.9**n)
            size = np.sqrt(square[name] / (1 - 0.999**n)) + 1e-8
            params[name] = params[name] - rate * move / size
    return params


def p_end(params, n, k):
    """How likely the model finds the end after n times a and k times b."""
    x = ONE[[[GO, *[A] * n, *[B] * k]]]
    h = forward(cell, split(params), x, save=False)[0]
    return softmax(h[0, -1] @ params["Wy"] + params["by"])[EOS]


# %% [markdown] tags=["predict"]
# **Predict.** The longest text that the model ever sees has 10 `a`. Now it reads 15
# `a` and 15 `b`. Does it expect the end there?
#
# - **a** No: it has learned the ten texts by heart.
# - **b** Yes: it has learned to count.
# - **c** It expects the end at 10 `b`.

# %%
SEEDS = range(3)
models = [train(seed) for seed in SEEDS]
for seed, params in zip(SEEDS, models):
    print(f"model {seed}, p(end) after")
    for n, k in ((7, 6), (7, 7), (15, 10), (15, 15)):
        print(f"  {n:2} a and {k:2} b: {p_end(params, n, k):.3f}")

# %% [markdown] tags=["answer"]
# **Answer: b.** At least these three models do. They have never seen 15, and stop
# there all the same. The cell of an LSTM can count, as in exercise 6.2: one up for
# each `a`, one down for each `b`. That is no proof for all lengths. The count is off
# by a little at each step: in the picture the end begins to be expected one `b` too
# early.

# %%
grid = np.array([[p_end(models[0], n, k) for k in range(16)] for n in range(1, 16)])
figure, axes = plt.subplots(figsize=(5, 4.2), layout="constrained")
axes.pcolormesh(range(16), range(1, 16), grid, cmap="Greys", vmin=0, vmax=1)
axes.plot(range(1, 16), range(1, 16), "o", mfc="none", color="#d95f02", markersize=9)
axes.axhline(10.5, linestyle=":", color="#1f5fa8")
axes.set(xlabel="b read so far", ylabel="a read before")
axes.set(xticks=range(0, 16, 3), yticks=range(1, 16, 2))
axes.set_title("p(end): empty is 0, full is 1")
axes.grid(False)
figure.set_label(
    "The probability of the end, for 1 to 15 a and 0 to 15 b. It is near 1 on"
    " the diagonal, which is marked by circles, and near 0 before it. It is so"
    " above the dotted line, too, where the texts are longer than any shown;"
    " only from 13 a on does the model begin to expect it one b too early."
)
plt.show()

# %% [markdown]
# ## Let it write

# %%
def write(params, rng, limit=60):
    """Characters drawn one by one, each the next input, until the end is drawn."""
    state, code, text = None, GO, ""
    while len(text) < limit:
        h, state, tape = forward(cell, split(params), ONE[[[code]]], state, save=False)
        p = softmax(h[0, 0] @ params["Wy"] + params["by"])
        code = rng.choice(4, p=p)
        if code == EOS:
            break
        text += "?ab"[code]
    return text


def well_formed(text):
    return len(text) > 0 and text == "a" * (len(text) // 2) + "b" * (len(text) // 2)


rng = np.random.default_rng(0)
texts = [write(models[0], rng) for _ in range(100)]
print(*texts[:6])
print("well formed:", sum(map(well_formed, texts)), "of", len(texts))

# %% [markdown]
# ## What this lesson claims

# %%
for params in models:  # for these three models
    assert min(p_end(params, n, n) for n in range(1, MOST + 1)) > 0.9
    early = [p_end(params, n, k) for n in range(2, MOST + 1) for k in range(1, n)]
    assert max(early) < 0.1
    assert p_end(params, 15, 15) > 0.9
    assert p_end(params, 15, 10) < 0.1
assert sum(map(well_formed, texts)) >= 90
