# %% [markdown]
# # 1. Can one neuron remember?
#
# **15 minutes.** You need: a little Python and NumPy.
#
# **Afterwards you can explain** what a state is, when a neuron forgets, when it holds
# on, and what holding on costs.
#
# An ordinary neuron turns a number into a number. Then it has forgotten both. A
# *recurrent* neuron also gets the number that it made one step ago. That number is
# its **state**. We call it `h`:
#
#     h = phi(w * h_prev + x)
#
# `x` is the input of this step. `h_prev` is the state of the step before. `w` is a
# weight: it says how much of the old state comes back. `phi` is some function of one
# number, often `tanh`. The first state is 0.
#
# That is all. Can such a thing remember?

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch import backward, cells, forward


def linear(a):
    return a


def run_neuron(w, x, phi=np.tanh, h=0.0):
    """The state after each step."""
    states = []
    for x_t in x:
        h = phi(w * h + x_t)
        states.append(h)
    return np.array(states)


def pulse(steps, size=1.0):
    """One input at the first step, then silence."""
    x = np.zeros(steps)
    x[0] = size
    return x


# %% [markdown]
# ## A neuron that forgets
#
# Take away `phi` first. The neuron gets a pulse of 1, and then nothing but zeros.
# With `w = 0.9`, each step keeps nine tenths of the state.

# %%
fading = run_neuron(0.9, pulse(30), linear)
for t in (0, 1, 2, 7, 29):
    print(f"step {t:2}: h = {fading[t]:.4f}   0.9 to the power {t:2} = {0.9**t:.4f}")

# %% [markdown]
# The pulse fades by the same factor in every step. After 7 steps less than half is
# left, after 29 steps one twentieth. With `w = 1` a linear neuron would keep it for
# ever. But then it also keeps every speck of noise, and adds them all up.
#
# Now put `tanh` back. It squeezes every number into the range from -1 to 1.

# %% [markdown] tags=["predict"]
# **Predict.** `phi = tanh`, `w = 1`. The neuron gets one pulse, then 1000 zeros.
# What is left of the pulse?
#
# - **a** All of it. `w` is 1, so each step keeps the whole state.
# - **b** Nothing. A thousand steps are too many.
# - **c** A little. It fades, but ever more slowly.

# %%
slow = run_neuron(1.0, pulse(1001))
for t in (0, 10, 100, 1000):
    print(f"step {t:4}: h = {slow[t]:.4f}")

# %% [markdown] tags=["answer"]
# **Answer: c.** `tanh(h)` is a bit less than `h`: about `h - h**3 / 3`. Each step
# takes that bit away. The smaller `h` is, the smaller the bit. After `n` steps about
# `sqrt(3 / (2 n))` is left, whatever the pulse was. So the neuron still knows that
# there was a pulse, and its sign. It no longer knows how large it was.

# %% [markdown]
# ## A neuron that holds on
#
# Make `w` larger than 1. Now two forces meet: `w` makes the state grow, `tanh`
# squeezes it. They balance where `h = tanh(w * h)`. For `w = 2` that is at +0.9575
# and at -0.9575. The neuron runs to one of the two and stays there.

# %%
for seed in range(5):
    start = np.random.default_rng(seed).uniform(-1, 1)
    end = run_neuron(2.0, np.zeros(100), h=start)[-1]
    print(f"begins at {start:+.3f}, ends at {end:+.6f}")

x = np.zeros(1000)
x[3], x[500] = 3.0, -3.0  # a pulse switches it on, another one switches it off
switch = run_neuron(2.0, x)
print(f"step 499: {switch[499]:+.4f}, step 999: {switch[999]:+.4f}")

# %% [markdown]
# This is a switch. One bit is stored, for as long as you like. A strong pulse turns it
# over. Weak noise does not: the asserts below try inputs of up to 0.3 in each step.

# %%
T = 40
x = np.zeros(T)
x[3], x[25] = 3.0, -3.0
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
for w, style in ((0.9, ":"), (1.0, "--"), (2.0, "-")):
    axes.plot(run_neuron(w, x), style, label=f"w = {w}", linewidth=2)
axes.set(xlabel="step t", ylabel="state h", ylim=(-1.1, 1.5), yticks=(-1, 0, 1))
axes.legend(ncols=3, loc="upper center")
figure.set_label(
    "The state of three tanh neurons over 40 steps. A pulse comes at step 3 and"
    " an opposite one at step 25. With w = 0.9 the state fades to 0 after each."
    " With w = 1 it fades more slowly. With w = 2 it stays near 0.96 after the"
    " first pulse, and near -0.96 after the second."
)
plt.show()

# %% [markdown]
# ## What holding on costs
#
# To learn, a network has to know how its state now hangs on its state long ago. That
# is a derivative. The chain rule gives it. One step is `h = tanh(w * h_prev + x)`,
# and the derivative of `tanh(a)` is `1 - tanh(a)**2`. So one step contributes
#
#     dh/dh_prev = w * (1 - h**2)
#
# A hundred steps contribute the product of a hundred such slopes. Where our switch
# rests, `h` is 0.9575. The slope there is 2 * (1 - 0.9168), which is only 0.166.

# %%
rest = switch[-1]
slope = 2.0 * (1 - rest**2)
print(f"one step: {slope:.3f}, a hundred steps: {slope**100:.0e}")

# %% [markdown]
# After a hundred steps the derivative is 0 to 77 digits. The switch holds its bit so
# firmly that no small change long ago could have made it other than it is. **What is
# held firmly cannot be heard.** A network that learns by derivatives gets no hint
# that the pulse at step 3 mattered. This is the trouble with recurrent networks.
# Lessons 4 to 7 are about it.
#
# ## The same with the package
#
# `rnn_from_scratch` calls this neuron `SimpleRNN`. It runs many neurons and many
# sequences at once. So `x` has three axes: sequence, step, input. Here each of them
# but the steps has length 1.

# %%
params = {"Wx": np.ones((1, 1)), "Wh": np.full((1, 1), 2.0), "b": np.zeros(1)}
x = np.zeros((1, 100, 1))
x[0, 3, 0] = 3.0
start = (np.array([[rest]]),)
y, state, tape = forward(cells.SimpleRNN(), params, x, initial_state=start)
by_hand = run_neuron(2.0, x[0, :, 0], h=rest)
print("largest difference from our loop:", np.abs(y[0, :, 0] - by_hand).max())

y_silent, state, tape = forward(cells.SimpleRNN(), params, 0 * x, initial_state=start)
grads = backward(tape, dstate=(np.ones((1, 1)),))
print(f"d(last state) / d(first state): {grads.initial_state[0][0, 0]:.0e}")

# %% [markdown]
# ## What this lesson claims

# %%
assert abs(fading[29] - 0.9**29) < 1e-15
assert abs(slow[1000] / np.sqrt(3 / 2000) - 1) < 0.01
for seed in range(8):
    rng = np.random.default_rng(seed)
    start, noise = rng.uniform(-1, 1), rng.uniform(-0.3, 0.3, 1000)
    end = run_neuron(2.0, np.zeros(100), h=start)[-1]
    assert abs(end - np.sign(start) * 0.957504) < 1e-6
    assert abs(run_neuron(0.9, np.zeros(200), h=start)[-1]) < 1e-6
    assert run_neuron(2.0, noise, h=rest).max() < -0.9  # noise does not turn it over
assert switch[499] > 0.957
assert switch[999] < -0.957
assert abs(slope - 0.1664) < 1e-4
assert 0 < grads.initial_state[0][0, 0] < 1e-77
assert np.abs(y[0, :, 0] - by_hand).max() < 1e-15
