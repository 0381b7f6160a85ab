# %% [markdown]
# # 5. What does clipping mend?
#
# **15 minutes.** You need: lesson 4.
#
# **Afterwards you can explain** why one bad update can ruin a network, how clipping
# stops that, and what clipping can not do.
#
# Training goes against the gradient in small moves: `W = W - rate * dW`. The rate is
# chosen so that usual gradients make useful moves. A gradient that explodes is a
# million times larger. One such move throws the weights far away. From there the next
# gradient is larger still. We make it happen.
#
# **Clipping** is a simple answer. Take all gradients together, as one long vector. If
# its norm is above a limit, shrink it to the limit.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward, init_params


def norm(grads):
    """The length of all gradients together, as one vector."""
    return np.sqrt(sum((g**2).sum() for g in grads.values()))


def clip(grads, limit):
    """The same direction, and a length of at most `limit`."""
    factor = min(1.0, limit / norm(grads))
    return {name: factor * g for name, g in grads.items()}


# %% [markdown]
# ## Training with and without
#
# The task: read 40 numbers and give their sum, divided by the square root of 40. The
# network is linear, with a spectral radius of 1.1, so that gradients explode at the
# start. `v` is a weight for each unit, which turns the last state into an answer.


# %%
def train(limit, seed, steps=400, rate=0.01, T=40, H=16, B=32):
    """The loss at every step of training; it ends early when the loss is lost."""
    rng = np.random.default_rng(seed)
    cell = cells.SimpleRNN(activation="linear")
    params = init_params(cell, 1, H, rng=seed, dtype="float64")
    params["Wh"] = 1.1 * params["Wh"]
    v, losses = rng.standard_normal(H) / np.sqrt(H), []
    for _ in range(steps):
        x = rng.standard_normal((B, T, 1))
        y, (h,), tape = forward(cell, params, x)
        error = h @ v - x[:, :, 0].sum(axis=1) / np.sqrt(T)
        losses.append((error**2).mean())
        if losses[-1] > 1e9:
            break
        dh = 2 * error[:, None] * v / B
        grads = backward(tape, dstate=(dh,), wrt=("params",)).params
        grads = {**grads, "v": 2 * h.T @ error / B}
        grads = clip(grads, limit)
        params = {name: params[name] - rate * grads[name] for name in params}
        v = v - rate * grads["v"]
    return np.array(losses)


SEEDS = range(5)
free = [train(np.inf, seed) for seed in SEEDS]
clipped = [train(1.0, seed) for seed in SEEDS]
for seed in SEEDS:
    begin, updates = free[seed][0], len(free[seed]) - 1
    print(f"seed {seed}: loss {begin:.0f} at the start,", end=" ")
    print(f"free {free[seed][-1]:.0e} after {updates} update,", end=" ")
    print(f"clipped {clipped[seed][-20:].mean():.2f} after 400")

# %% [markdown]
# Without clipping a single update is enough to lose everything. With it the network
# learns. The variance of the answers is 1, so a loss well below 1 means that it adds.

# %%
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
axes.semilogy(clipped[0], color="#1f77b4", label="clipped at norm 1")
axes.semilogy(free[0].clip(max=1e9), "o--", color="#d95f02", label="not clipped")
axes.axhline(1, color="#555555", linestyle=":", label="always answering 0")
axes.set(xlabel="update", ylabel="loss", ylim=(1e-2, 1e10))
axes.legend()
figure.set_label(
    "Loss against updates, on a log axis. Without clipping it leaves the"
    " picture at the first update. With clipping it falls from about a thousand"
    " to below 1 within 400 updates."
)
plt.show()

# %% [markdown] tags=["predict"]
# **Predict.** A tanh network whose gradients vanish: of the gradient by the inputs,
# nearly all belongs to the last ten steps. You clip the gradient. What happens to the
# share of the first ten steps?
#
# - **a** It grows: clipping cuts the large parts and leaves the small ones.
# - **b** It stays as it is.
# - **c** It shrinks, as everything does.

# %%
B, T, I, H = 8, 60, 4, 32


def vanishing(seed):
    """Gradients of a tanh network by all its inputs and weights; loss at the end."""
    cell = cells.SimpleRNN()
    params = init_params(cell, I, H, rng=seed, dtype="float64")
    rng = np.random.default_rng(100 + seed)
    x, dh = rng.standard_normal((B, T, I)), rng.standard_normal((B, H))
    grads = backward(forward(cell, params, x)[2], dstate=(dh,))
    return {"x": grads.x, **grads.params}


def share(grads):
    """How much of the gradient by x belongs to the first ten steps."""
    return np.linalg.norm(grads["x"][:, :10]) / np.linalg.norm(grads["x"])


def cosine(a, b):
    """1 if both have the same direction."""
    return sum((a[name] * b[name]).sum() for name in a) / (norm(a) * norm(b))


before = [vanishing(seed) for seed in SEEDS]
after = [clip(grads, 0.01) for grads in before]
print(f"share of the first ten steps: {share(before[0]):.3e}, {share(after[0]):.3e}")
print(f"cosine between both gradients: {cosine(before[0], after[0]):.15f}")

# %% [markdown] tags=["answer"]
# **Answer: b.** Clipping multiplies the whole gradient by one number. No part of it
# gains on another. So clipping mends exploding gradients, and **it cannot mend
# vanishing ones**. What the loss does not hear, it does not hear after clipping
# either.

# %% [markdown]
# Some programs clip each element by itself, to a range from -limit to limit. That
# does change the shares. But then the gradient points somewhere else, and no longer
# in the direction in which the loss falls fastest:

# %%
limit = [0.1 * max(np.abs(g).max() for g in grads.values()) for grads in before]
bent = [
    {name: g.clip(-most, most) for name, g in grads.items()}
    for grads, most in zip(before, limit)
]
for seed in SEEDS:
    print(f"seed {seed}: cosine {cosine(before[seed], bent[seed]):.3f}")

# %% [markdown]
# ## What this lesson claims

# %%
for seed in SEEDS:
    assert len(free[seed]) == 2 and free[seed][-1] > 1e9
    assert len(clipped[seed]) == 400 and clipped[seed][-20:].mean() < 0.5
    assert norm(before[seed]) > 0.01 > norm(after[seed]) - 1e-15
    assert abs(cosine(before[seed], after[seed]) - 1) < 1e-14
    assert share(before[seed]) < 1e-3
    assert abs(share(after[seed]) / share(before[seed]) - 1) < 1e-13
    assert cosine(before[seed], bent[seed]) < 0.97
small = {"g": np.array([0.3, 0.4])}
assert np.array_equal(clip(small, 1.0)["g"], small["g"])  # short ones stay
