"""The noise-contrastive loss by hand, the step of training with it, words drawn from noise, and t-SNE."""

import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch.data import InputError
from rnn_from_scratch.tasks import nce, tsne, word2vec
from rnn_from_scratch.tasks.lazy_adam import BETA_1, BETA_2, EPSILON, LazyAdam, Table, sum_rows
from rnn_from_scratch.tasks.negatives import Negatives
from rnn_from_scratch.verify import check_function


def rows(seed, B=4, D=3, K=5):
    rng = np.random.default_rng(seed)
    h, w, w_false = rng.standard_normal((B, D)), rng.standard_normal((B, D + 1)), rng.standard_normal((K, D + 1))
    return (h, w, w_false), (rng.standard_normal(B), rng.standard_normal(K))


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_by_hand_is_right(seed):
    arrays, constants = rows(seed)
    report = check_function(
        lambda h, w, w_false: nce.forward(h, w, w_false, *constants),
        lambda h, w, w_false, dloss: nce.backward(h, w, w_false, *constants, dloss),
        arrays,
        method="complex",
        directions="full",
    )
    assert report.ok, report


def test_a_wrong_gradient_is_seen():
    arrays, constants = rows(0)

    def wrong(h, w, w_false, dloss):
        dh, dw, dw_false = nce.backward(h, w, w_false, *constants, dloss)
        return dh, np.concatenate([dw[:, :-1], 0 * dw[:, -1:]], axis=1), dw_false

    report = check_function(lambda *arrays: nce.forward(*arrays, *constants), wrong, arrays, ("h", "w", "w_false"))
    assert not report.ok and report.culprit.array == "w"


def test_the_loss_is_tensorflows():
    """tf.nn.nce_loss on the same words, of which the sampler's probabilities are given."""
    (h, w, w_false), (log_true, log_false) = rows(1)
    table = np.concatenate([w, w_false])
    sampled = tf.range(4, 9, dtype=tf.int64), tf.exp(log_true)[:, None], tf.exp(log_false)
    theirs = tf.nn.nce_loss(table[:, :-1], table[:, -1], tf.range(4, dtype=tf.int64)[:, None], h, 5, 9, sampled_values=sampled)
    assert nce.forward(h, w, w_false, log_true, log_false) == pytest.approx(float(tf.reduce_mean(theirs)), rel=1e-12)


def step_of_tensorflow(arrays, moments, batch, n, rate):
    """The loss and gradients of TensorFlow, dense, then Adam's equations on the rows that the batch has; in place, in float64."""
    words, neighbours, false, *logs = batch
    h, contexts = (tf.constant(a) for a in arrays)
    drawn = tf.constant(false, tf.int64), tf.exp(tf.cast(logs[0], tf.float64))[:, None], tf.exp(tf.cast(logs[1], tf.float64))
    with tf.GradientTape() as tape:
        tape.watch([h, contexts])
        asked, right = tf.gather(h, words), tf.constant(neighbours, tf.int64)[:, None]
        loss = tf.nn.nce_loss(contexts[:, :-1], contexts[:, -1], right, asked, len(false), len(contexts), sampled_values=drawn)
        loss = tf.reduce_mean(loss)
    for a, (mean, square), g, ids in zip(arrays, moments, tape.gradient(loss, [h, contexts]), (words, [*neighbours, *false])):
        g, touched = tf.convert_to_tensor(g).numpy(), np.isin(np.arange(len(a)), ids)
        mean[touched] = (BETA_1 * mean + (1 - BETA_1) * g)[touched]
        square[touched] = (BETA_2 * square + (1 - BETA_2) * g**2)[touched]
        right = mean / (1 - BETA_1**n), square / (1 - BETA_2**n)
        a[touched] -= (rate * right[0] / (np.sqrt(right[1]) + EPSILON / np.sqrt(1 - BETA_2**n)))[touched]
    return float(loss)


@pytest.mark.parametrize("seed", range(3))
def test_a_step_is_that_of_tensorflows_loss_and_gradients(seed):
    rng, V, D = np.random.default_rng(seed), 20, 6
    tables = [Table(rng.standard_normal((V, D)).astype("float32")), Table(rng.standard_normal((V, D + 1)).astype("float32"))]
    optimizer, arrays = LazyAdam(0.01, tables), [table.rows.astype("float64") for table in tables]
    moments, drawn = [(np.zeros_like(a), np.zeros_like(a)) for a in arrays], Negatives(V, 5, "--negatives")
    for n in range(1, 8):
        words, neighbours = rng.integers(0, 9, (2, 16)).astype("int32")  # repeats, and rows that are never touched
        false, tries = drawn.draw(rng)
        batch = words, neighbours, false, drawn.log_expected(neighbours, tries), drawn.log_expected(false, tries)
        optimizer.learning_rate.assign(rate := 0.01 / n)
        loss, true = word2vec.step(tables, optimizer, *batch)
        assert float(loss) == pytest.approx(step_of_tensorflow(arrays, moments, batch, n, rate), rel=1e-5) and 0 < true < loss
        for table, expected, (mean, square) in zip(tables, arrays, moments):
            for ours, theirs in ((table.rows, expected), (table.mean, mean), (table.square, square)):
                np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-6)
    assert int(optimizer.steps.numpy()) == 7 and not tables[0].mean[9:].any()


def test_the_step_that_times_are_held_against_has_the_same_loss():
    settings = {"vocabulary": 30, "batch_size": 16, "negatives": 5, "embedding": 4, "init_range": 0.1, "seed": 0, "learning_rate": 0.01}
    (*_, ours), (*_, theirs) = losses = [[step() for _ in range(5)] for step in word2vec.both_steps(settings)]
    assert losses[0][:2] == pytest.approx(losses[1][:2], rel=1e-3)
    assert max(ours, theirs) < losses[0][0] - 0.1


@pytest.mark.parametrize("seed", range(5))
def test_gradients_of_a_row_are_summed(seed):
    rng = np.random.default_rng(seed)
    ids, g = rng.integers(0, rng.integers(1, 40), 50), rng.standard_normal((50, 3)).astype("float32")
    found, sums = sum_rows(ids, g)
    assert found.tolist() == sorted(set(ids.tolist()))
    np.testing.assert_allclose(sums, [g[ids == n].sum(axis=0) for n in found], rtol=1e-5, atol=1e-6)


def test_false_words_are_different_and_as_often_as_said():
    drawn, rng, count, often = Negatives(50, 8, "--negatives"), np.random.default_rng(0), np.zeros(50), np.zeros(50)
    for _ in range(4000):
        words, tries = drawn.draw(rng)
        assert len(set(words.tolist())) == 8
        count[words] += 1
        often += np.exp(drawn.log_expected(np.arange(50), tries))
    np.testing.assert_allclose(count, often, rtol=0.15)
    with pytest.raises(InputError, match="--negatives: expected less than the 50 words of the vocabulary, got 50"):
        Negatives(50, 50, "--negatives")


@pytest.mark.parametrize("words", [2, 3, 5])
def test_tsne_of_a_few_words_far_apart_is_finite(words):
    x = 1e3 * np.random.default_rng(words).standard_normal((words, 4))
    p = tsne.affinities(tsne.distances(x), min(30, (words - 1) / 3))
    assert np.isfinite(p).all() and abs(p.sum() - 1) < 1e-9 and not (np.diag(p) > 1e-11).any()


@pytest.mark.parametrize("seed", range(3))
def test_tsne_keeps_who_is_near_whom(seed):
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.standard_normal((12, 20)) * 3, 10, axis=0) + 0.3 * rng.standard_normal((120, 20))  # twelve groups of ten
    y = tsne.tsne(x, perplexity=8, steps=500, seed=seed)
    assert tsne.kept(x, y, 9) > 0.97
    assert tsne.kept(x, rng.permutation(y), 9) < 0.2
    np.testing.assert_array_equal(y, tsne.tsne(x, perplexity=8, steps=500, seed=seed))
    assert np.isfinite(tsne.tsne(x[:5], steps=50)).all()


def test_affinities_have_the_perplexity_asked_for():
    d = tsne.distances(np.random.default_rng(0).standard_normal((60, 5)))
    p = tsne.affinities(d, 12.0)
    np.testing.assert_allclose([p.sum(), np.abs(p - p.T).max()], [1, 0], atol=1e-9)
    assert 8 < np.exp(-(p * 60 * np.log(p * 60)).sum() / 60) < 24
