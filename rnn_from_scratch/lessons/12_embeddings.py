# %% [markdown]
# # 12. How does a word become a vector?
#
# **20 minutes.** You need: lesson 3.
#
# **Afterwards you can explain** what an embedding is, how it is learned from text
# alone, and why a step of training touches only a few rows.
#
# A network needs numbers. A word can be a row of a table: its **embedding**. Nobody
# fills in the table by hand. The idea: a word is known by its neighbours. We train
# the rows so that a word can tell its true neighbours from words drawn at random.

# %%
import matplotlib.pyplot as plt
import numpy as np

from rnn_from_scratch.data import words as corpus
from rnn_from_scratch.tasks.tsne import tsne
from rnn_from_scratch.verify import check_function

text = corpus.load(None, 2000)  # plays of Shakespeare; the commonest word is number 0
V, D, B, K = len(text.words), 30, 250, 40  # words, numbers each, batch, false words
place = {word: n for n, word in enumerate(text.words)}
print(len(text.codes), "words,", V, "different ones;", *text.words[:8])

# %% [markdown]
# ## The loss
#
# The score of a pair is `h . w`: `h` is the row of the word, `w` the row of the
# other one in a second table. Words are drawn by how common they are, so from each
# score we take off log(K q), where q says how often a word is drawn. Then
# `sigma(score)` is the chance that the pair is a true one. This is **noise-contrastive
# estimation**: one true neighbour, K false ones, and the loss is what mistakes cost.


# %%
def sigma(a):
    return 1 / (1 + np.exp(-a))


def forward(h, w, w_false, log_q, log_q_false):
    a, a_false = (h * w).sum(axis=1) - log_q, h @ w_false.T - log_q_false
    return np.mean(np.log1p(np.exp(-a)) + np.log1p(np.exp(a_false)).sum(axis=1))


def backward(h, w, w_false, log_q, log_q_false, dloss):
    a, a_false = (h * w).sum(axis=1) - log_q, h @ w_false.T - log_q_false
    da, da_false = (sigma(a) - 1) * dloss / len(h), sigma(a_false) * dloss / len(h)
    dh = da[:, None] * w + da_false @ w_false
    return dh, da[:, None] * h, da_false.T @ h


def trusted(seed):
    """Is backward right? The checker of lesson 3 says so, or not."""
    rng = np.random.default_rng(seed)
    rows = [rng.standard_normal(shape) for shape in ((4, D), (4, D), (K, D))]
    logs = rng.standard_normal(4), rng.standard_normal(K)
    return check_function(
        lambda h, w, w_false: forward(h, w, w_false, *logs),
        lambda h, w, w_false, dloss: backward(h, w, w_false, *logs, dloss),
        rows,
    )


print("hand-written gradients against the forward pass:", trusted(0).verdict)

# %% [markdown]
# ## Training, row by row
#
# A batch uses a few hundred rows of two tables of 2000. All other gradients are 0:
# the gradient is **sparse**. So only those rows are moved. A word may come several
# times in a batch, and its gradients are summed; `np.add.at` does that. Each row has
# a rate of its own, which falls with what it has seen (Adagrad).


# %%
def move(table, seen, ids, gradients, rate=0.5):
    rows, where = np.unique(ids, return_inverse=True)
    g = np.zeros((len(rows), D))
    np.add.at(g, where, gradients)
    seen[rows] += g**2
    table[rows] -= rate * g / (np.sqrt(seen[rows]) + 1e-6)
    return rows


touched = []


def train(seed, steps=2000):
    rng = np.random.default_rng(seed)
    tables = [rng.uniform(-0.1, 0.1, (V, D)), np.zeros((V, D))]
    seen = [np.zeros((V, D)), np.zeros((V, D))]
    q = text.counts / text.counts.sum()
    log_q, drawn = np.log(K * q), rng.choice(V, (steps, K), p=q)
    losses = []
    for false in drawn:
        n = rng.integers(1, len(text.codes), B)
        one, other = text.codes[n - 1], text.codes[n]
        if rng.random() < 0.5:  # the neighbour on the left, or on the right
            one, other = other, one
        rows = tables[0][one], tables[1][other], tables[1][false]
        losses.append(forward(*rows, log_q[other], log_q[false]))
        dh, dw, dw_false = backward(*rows, log_q[other], log_q[false], 1.0)
        touched.append(len(move(tables[0], seen[0], one, dh)))
        both = np.concatenate([other, false]), np.concatenate([dw, dw_false])
        move(tables[1], seen[1], *both)
    return tables[0], losses


# %% [markdown] tags=["predict"]
# **Predict.** The training never sees which words are of one kind, only which
# stand side by side. Which words end up near `father`?
#
# - **a** Those that stand beside it: `my`, `the`, `and`.
# - **b** Those that could stand in its place: `daughter`, `husband`.
# - **c** Those with similar letters: `farther`, `feather`.

# %%
SEEDS = range(3)
runs = [train(seed) for seed in SEEDS]
units = [e / np.linalg.norm(e, axis=1, keepdims=True) for e, _ in runs]


def nearest(word, unit, count=5):
    best = np.argsort(-unit @ unit[place[word]])
    return [text.words[n] for n in best[1 : count + 1]]


for word in ("father", "king", "two", "shall"):
    print(f"{word}: {' '.join(nearest(word, units[0]))}")
print("loss:", *(f"{np.mean(runs[0][1][n : n + 100]):.2f}" for n in (0, 500, 1900)))

# %% [markdown] tags=["answer"]
# **Answer: b.** To have the same neighbours, two words need near vectors. Words that
# stand side by side get a large `h . w`, but these are rows of two different tables.
# Letters play no role: the network sees only numbers of words. A short training on one
# megabyte is rough: some of the neighbours make no sense yet.

# %%
KIN = ["father", "mother", "brother", "sister", "son", "daughter", "wife", "husband"]
MODALS = ["will", "would", "can", "could", "may", "might", "must", "shall", "should"]


def nearer(group, unit, seed=0):
    """The share of random pairs of words that lie farther apart than the group."""
    a, b = np.random.default_rng(seed).integers(0, V, (2, 20000))
    ids = [place[word] for word in group]
    inside = (unit[ids] @ unit[ids].T)[np.triu_indices(len(ids), 1)]
    return np.mean((unit[a] * unit[b]).sum(axis=1) < np.median(inside))


shown = text.words[:300]
xy = tsne(units[0][:300], steps=400)
figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
axes.plot(*xy.T, ".", color="0.8", markersize=3)
for group, color in ((KIN, "#d95f02"), (MODALS, "#1f5fa8")):
    for word in (word for word in group if word in shown):
        axes.text(*xy[shown.index(word)], word, color=color)
axes.set(xlabel="first axis of t-SNE", ylabel="second axis of t-SNE")
axes.set_title("300 words; kin and modal verbs by name")
figure.set_label(
    "The 300 commonest words as points in a plane that keeps who is near whom. Modal"
    " verbs such as will, shall and must lie close together, and so do words for kin"
    " such as father, brother and daughter."
)
plt.show()

# %% [markdown]
# ## What this lesson claims

# %%
assert all(trusted(seed).ok for seed in range(5))
assert max(touched) < V / 5  # rows of the first table, in every step
for (_, losses), unit in zip(runs, units):  # for these three tables
    assert np.mean(losses[-500:]) < 6 < 50 < np.mean(losses[:20])
    assert nearer(KIN, unit) > 0.95
    assert nearer(MODALS, unit) > 0.98
assert set(nearest("father", units[0], 20)) & set(KIN)
