# %% [markdown]
# # 3. How do we know that a gradient is right?
#
# **25 minutes.** You need: lesson 2.
#
# **Afterwards you can explain** how to check a hand-written gradient, how many digits
# a check can see, and why a check of one step says nothing about many.
#
# A wrong gradient is a quiet bug. The program runs. The loss even falls, only less
# far than it could. So nobody should believe a backward pass because it looks right.
# The definition of a derivative gives us a second opinion:
#
#     f'(w) is nearly (f(w + s) - f(w)) / s      for a small step s
#
# This is a **forward difference**. It needs no calculus, only two calls of `f`. How
# good is it?

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward
from rnn_from_scratch.verify import check_function


def last_state(w, x=0.7, steps=10):
    """One tanh neuron, ten steps with the same input."""
    h = 0 * w
    for _ in range(steps):
        h = np.tanh(w * h + x)
    return h


def by_bptt(w, x=0.7, steps=10):
    """The derivative of last_state by w, as the package has it."""
    params = {"Wx": np.ones((1, 1)), "Wh": np.full((1, 1), w), "b": np.zeros(1)}
    y, state, tape = forward(cells.SimpleRNN(), params, np.full((1, steps, 1), x))
    return backward(tape, dstate=(np.ones((1, 1)),)).params["Wh"][0, 0]


print(f"dh/dw at w = 0.8: {by_bptt(0.8):.15f}")

# %% [markdown] tags=["predict"]
# **Predict.** We make the step `s` ten times smaller, and again, from 0.1 down to
# 1e-16. What does the error of the forward difference do?
#
# - **a** It gets ten times smaller each time.
# - **b** It gets smaller, and then larger again.
# - **c** It stays the same until the step is too small to count.

# %%
sizes = 10.0 ** -np.arange(1, 17)


def relative_errors(difference, w=0.8, x=0.7, exact=None):
    """The error of a difference formula for every step size."""
    exact = by_bptt(w, x) if exact is None else exact
    return np.array([abs(difference(w, x, s) / exact - 1) for s in sizes])


def forward_difference(w, x, s):
    return (last_state(w + s, x) - last_state(w, x)) / s


def central_difference(w, x, s):
    return (last_state(w + s, x) - last_state(w - s, x)) / (2 * s)


one_sided = relative_errors(forward_difference)
two_sided = relative_errors(central_difference)
print("step      forward    central")
for s, a, b in zip(sizes, one_sided, two_sided):
    print(f"{s:.0e}    {a:.1e}    {b:.1e}")

# %% [markdown] tags=["answer"]
# **Answer: b.** Two errors work against each other. A large step sees the curve bend:
# that error shrinks with `s`. A small step subtracts two numbers that agree in nearly
# all of their 16 digits: what is left is rounding, divided by `s`. The best forward
# difference has 8 right digits, at a step near 1e-8. No step gives more.

# %% [markdown]
# Going to both sides is better. In a **central difference** the bend cancels out, and
# 11 digits can be had, near 1e-6. In float32 there are only 5 or 6.
#
# ## A step that does not subtract
#
# There is a trick that has neither error. Go sideways, into the complex numbers:
#
#     f(w + i s) = f(w) + i s f'(w) - ...      so  f'(w) = imag(f(w + i s)) / s
#
# Nothing is subtracted. So `s` may be as small as 1e-200, and no bend is left either.
# This is the **complex step**. It works where `f` is made of functions that know
# complex numbers and does not use `abs`, `max` or `real`.


# %%
def complex_step(w, x, s):
    return last_state(w + 1j * s, x).imag / s


sideways = relative_errors(complex_step)
tiny = last_state(0.8 + 1e-200j).imag / 1e-200
print(f"complex step of 1e-200: error {abs(tiny / by_bptt(0.8) - 1):.1e}")


def in_float32(w, x, s):
    w, x, s = np.float32(w), np.float32(x), np.float32(s)
    return float((last_state(w + s, x) - last_state(w - s, x)) / (2 * s))


coarse = min(abs(in_float32(0.8, 0.7, s) / by_bptt(0.8) - 1) for s in sizes[:7])
print(f"best central difference in float32: error {coarse:.1e}")

# %%
figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
curves = {"forward": one_sided, "central": two_sided, "complex step": sideways}
for (name, errors), style in zip(curves.items(), ("o-", "s--", "^:")):
    axes.loglog(sizes, np.maximum(errors, 1e-17), style, label=name, markersize=4)
axes.set(xlabel="step size s", ylabel="relative error", ylim=(1e-18, 1e2))
axes.legend(ncols=3, loc="upper center", columnspacing=0.8, handletextpad=0.4)
figure.set_label(
    "Relative error of three formulas against the step size, both on log axes."
    " The forward difference draws a V with its tip at 1e-8, the central one a"
    " V with its tip near 1e-6 at a lower error. The complex step falls until"
    " 1e-8 and then stays below 1e-14 for all smaller steps."
)
plt.show()

# %% [markdown]
# ## Many numbers at once
#
# A network has thousands of weights, and its output has many numbers. We need not try
# each pair. Draw a random direction for the weights, and random weights for the
# outputs. Then there is one number in and one number out. If some element of a
# gradient is wrong, then such a random mixture of them is wrong, too.
#
# `check_function` of the package does this, by complex steps where it can. Give it a
# forward pass and a backward pass. Here is the backward pass of lesson 2, with a bug:
# it forgets to carry `dh` to the step before.


# %%
def states(x, Wx, Wh):
    h, made = np.zeros((len(x), len(Wh))), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ Wx + h @ Wh)
        made.append(h)
    return np.stack(made, axis=1)


def gradients(x, Wx, Wh, dy, carry=True):
    h, dx, dWx, dWh = states(x, Wx, Wh), 0 * x, 0 * Wx, 0 * Wh
    dh = np.zeros_like(h[:, 0])
    for t in reversed(range(x.shape[1])):
        da = (dh + dy[:, t]) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h[:, t - 1].T @ da if t else 0
        dh = da @ Wh.T if carry else np.zeros_like(dh)
    return dx, dWx, dWh


def forgetful(*arguments):
    return gradients(*arguments, carry=False)


rng = np.random.default_rng(0)
x, Wx, Wh = (rng.standard_normal(shape) for shape in ((2, 5, 3), (3, 4), (4, 4)))
right = check_function(states, gradients, [x, Wx, Wh], time_axis=1)
report = check_function(states, forgetful, [x, Wx, Wh], time_axis=1)
print("without the bug:", right.verdict)
print("\n".join(str(report).splitlines()[:4]))

# %% [markdown]
# Look at the last line. On the first step alone the forgetful pass is right: there is
# no step before it, so nothing is lost. It is wrong as soon as there are two.
#
# **A check of one step says nothing about many.** The same holds for a batch of one,
# and for a first state of zeros: what is multiplied by zero cannot be seen.

# %%
first = [x[:, :1], Wx, Wh]
print("one step: ", check_function(states, forgetful, first).verdict)
print("five steps:", report.verdict)

# %% [markdown]
# ## What this lesson claims

# %%
assert 1e-9 < one_sided.min() < 1e-7
assert sizes[one_sided.argmin()] in (1e-7, 1e-8, 1e-9)
assert two_sided.min() < 1e-10
assert 1e-7 < coarse < 1e-4
assert abs(tiny / by_bptt(0.8) - 1) < 1e-14
for seed in range(8):
    w, x_t = np.random.default_rng(seed).uniform(0.3, 0.9, 2)
    least = [
        relative_errors(formula, w, x_t).min()
        for formula in (forward_difference, central_difference, complex_step)
    ]
    assert least[0] > 30 * least[1] and least[1] > 100 * least[2]
    assert least[2] < 1e-14
assert right.ok and right.worst.error < 1e-13
assert not report.ok and report.birth.step == 1
for seed in range(5):
    assert check_function(states, forgetful, first, seed=seed).ok
