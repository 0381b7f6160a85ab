# %% [markdown]
# # 4. Why do gradients vanish or explode?
#
# **25 minutes.** You need: lessons 1 and 2.
#
# **Afterwards you can explain** what decides how far back a network can learn, and
# why its eigenvalues alone do not decide it.
#
# Going one step back in time, the backward pass does two things to `dh`:
#
#     da = dh * (1 - h**2)        the slope of tanh, between 0 and 1
#     dh_prev = da Wh^T           the recurrent weights
#
# A hundred steps back it has done so a hundred times. If each step makes `dh` a bit
# smaller, little is left: 0.8 to the power of 100 is 2e-10. We say that the gradient
# **vanishes**. If each step makes it a bit larger, it **explodes**: 1.2 to the power
# of 100 is 8e7.
#
# Vanishing means: the loss does not hear what happened long ago. So the network does
# not learn from it. We measure this.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward, init_params

B, T, I, H = 8, 100, 8, 64


def reach(activation, scale, seed):
    """Norm of dL/dx at every step. The loss looks at the last state only."""
    cell = cells.SimpleRNN(activation=activation)
    params = init_params(cell, I, H, rng=seed, dtype="float64")
    params["Wh"] = scale * params["Wh"]
    rng = np.random.default_rng(100 + seed)
    x, dh = rng.standard_normal((B, T, I)), rng.standard_normal((B, H))
    y, state, tape = forward(cell, params, x)
    dx = backward(tape, dstate=(dh,), wrt=("x",)).x
    return np.linalg.norm(dx, axis=2).mean(axis=0)


def per_step(norms):
    """By what factor the norm changes for each step back, on the average."""
    return (norms[0] / norms[-2]) ** (1 / (len(norms) - 2))


# %% [markdown]
# `init_params` gives an **orthogonal** `Wh`: it turns a vector and keeps its length.
# An eigenvalue says by what a matrix stretches a direction that it does not turn. The
# largest size of them all is the **spectral radius**. Here it is 1. Multiply `Wh` by
# 1.5 and the radius is 1.5. Folklore says: a radius below 1 makes gradients vanish,
# and one above 1 makes them explode.

# %% [markdown] tags=["predict"]
# **Predict.** A tanh network whose `Wh` has a spectral radius of 1.5. What do the
# gradients do over a hundred steps?
#
# - **a** They explode, by about 1.5 to the power of 100.
# - **b** They neither vanish nor explode by much.
# - **c** They vanish faster than with a radius of 1.

# %%
SEEDS = range(8)
CASES = {
    "linear": ("linear", 1.0),
    "linear, Wh x 0.9": ("linear", 0.9),
    "tanh": ("tanh", 1.0),
    "tanh, Wh x 1.5": ("tanh", 1.5),
    "tanh, Wh x 3": ("tanh", 3.0),
    "relu": ("relu", 1.0),
    "relu, Wh x 1.5": ("relu", 1.5),
    "relu, Wh x 2": ("relu", 2.0),
}
norms = {
    name: [reach(activation, scale, seed) for seed in SEEDS]
    for name, (activation, scale) in CASES.items()
}
factors = {name: [per_step(n) for n in runs] for name, runs in norms.items()}
print("factor for one step back, least and largest of 8 random networks")
for name, found in factors.items():
    print(f"{name:18} {min(found):.3f} to {max(found):.3f}")

# %% [markdown] tags=["answer"]
# **Answer: b.** The factor lies between 0.98 and 1, in each of the 8 networks.
# Larger weights make larger states. At larger states `tanh` is flatter. The flatter
# slopes eat up what the weights have gained.

# %% [markdown]
# Only the linear network obeys its eigenvalues: they decide alone, because its slope
# is always 1.
#
# - With `tanh` the slopes are below 1. So an orthogonal `Wh` loses a fifth of the
#   gradient in every step. A radius of 3 does explode.
# - With `relu` the slope is 0 or 1. About half of the units are off. Half of the sum
#   of squares is lost, so the norm falls by one over the square root of two: 0.71.
# - With `relu` and a radius of 1.5 **it depends on the network**: some of the 8 let
#   the gradient fall, some let it grow. Who tries one network only will believe
#   either. With a radius of 2 all of them explode.

# %%
figure, axes = plt.subplots(figsize=(5, 4.2), layout="constrained")
COLOURS = {"linear": "#1f77b4", "tanh": "#d95f02", "relu": "#1b9e77"}
STYLES = ("-", "--", "-", "--", ":", "-", "--", ":")
for (name, (activation, _)), style in zip(CASES.items(), STYLES):
    look = {"color": COLOURS[activation], "linestyle": style, "label": name}
    axes.semilogy(np.arange(T), norms[name][0], **look)
axes.set(xlabel="step t (the loss is at step 99)", ylabel="norm of dL/dx at step t")
axes.set(ylim=(1e-18, 1e26))
axes.legend(fontsize=8, ncols=2, loc="upper center")
figure.set_label(
    "Norm of the gradient at each of 100 steps, on a log axis, one network of"
    " each kind. From right to left: linear stays level; tanh with Wh x 1.5"
    " nearly so; linear x 0.9, tanh and relu fall, tanh down to 1e-11 and relu"
    " below; relu x 1.5 rises a little in this network; tanh x 3 and relu x 2"
    " rise by more than 10 powers of ten."
)
plt.show()

# %% [markdown]
# A straight line on a log axis is a power: the same factor in every step. That is why
# a network that loses a fifth in each step is not a bit worse at long memories, but
# hopeless.
#
# Three ways out are known. Clip what explodes (lesson 5). Build a path along which
# the gradient is not multiplied by `Wh` at all (lessons 6 and 7). Or start with
# weights that keep the norm, as an orthogonal `Wh` does in a linear network.
#
# ## What this lesson claims

# %%
for seed in SEEDS:
    assert abs(factors["linear"][seed] - 1) < 0.005
    assert abs(factors["linear, Wh x 0.9"][seed] - 0.9) < 0.005
    assert 0.75 < factors["tanh"][seed] < 0.8
    assert 0.98 < factors["tanh, Wh x 1.5"][seed] < 1
    assert factors["tanh, Wh x 3"][seed] > 1.2
    assert abs(factors["relu"][seed] - 2**-0.5) < 0.035
    assert factors["relu, Wh x 2"][seed] > 1.2
assert min(factors["relu, Wh x 1.5"]) < 1 < max(factors["relu, Wh x 1.5"])
