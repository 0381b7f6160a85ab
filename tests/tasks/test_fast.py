"""The small version of every preset learns by a margin over the trivial answer, from the embedded data, within 20 seconds.

Every margin is one that is missed if the recurrent weights stay as they were drawn. They are drawn orthogonal, and a dense layer on
such a reservoir goes a long way, so the margins lie between what the two reach:

    preset              learned   recurrent weights left alone   margin
    mnist, mnist-rnn     88.1 %                         63.0 %   80 % of the digits
    mnist-deep-rnn       85.0 %                         65.0 %
    mnist-lstm           82.5 %                         76.0 %
    mnist-lstm-proj      85.3 %                         76.5 %
    series                7.9 %                         23.2 %   at most 15 % of the last value's squared error
    series-one            3.2 %                         12.7 %               6 %
    deep-series           1.1 %                          3.8 %               2 %
    series-dropout       23.4 %                         45.7 %              33 %
    load                  4.3 %                        -14.4 %   3 % below persistence
    char                1.81 bits                     1.69 bits  1.75 bits below letters by frequency

word2vec has no recurrent weights: its margin (words of twelve groups that lie nearest to one of their own) is missed by vectors that
were not trained. translate reads dates through attention; without attention it misses its margin.

For load that takes a single tanh unit: its one recurrent weight begins at 1 or -1 and has to learn how fast to forget. An LSTM's gates
forget by their biases and inputs alone, and a linear fit of the last value reaches 4.6 % already, one of all five 5.4 %.
"""

import time

import pytest
import tensorflow as tf

from rnn_from_scratch.layers import bridge
from rnn_from_scratch.tasks import FAST, PRESETS, training

from ..helpers.digit_runs import KERAS_SAVES
from ..helpers.sample import drawn

pytestmark = [pytest.mark.filterwarnings(KERAS_SAVES), pytest.mark.usefixtures("plain_pictures")]

SHARE = {"series": 0.15, "series-one": 0.06, "deep-series": 0.02, "series-dropout": 0.33}  # of the last value's squared error

GROUPED = {"word2vec": 0.35, "word2vec-book": 0.2}  # share of words next to one of their group; by chance a tenth
RIGHT = {"translate": 0.97, "translate-book": 0.5}  # share of dates
RECURRENT = [name for name, (task, _) in PRESETS.items() if task not in ("word2vec", "translate")]


def margin(preset, record):
    """By how much a run is better than it has to be."""
    task, results = PRESETS[preset][0], record["results"]
    if task == "mnist":
        return results["test_accuracy"] - results["majority_class_accuracy"] - 0.7
    if task == "series":
        return SHARE[preset] * results["last_value_mse"] - results["test_mse"]
    if task == "load":
        return results["percent_below_persistence"] - 3
    if task == "word2vec":
        return results["closed_groups"] - GROUPED[preset]
    if task == "translate":
        return results["exact_match_greedy"] - RIGHT[preset]
    return results["unigram_bits"] - results["bits_per_character"] - 1.75


QUICK = ("mnist-rnn", "series", "load")
ONE_OF_A_TASK = [pytest.param(name, marks=() if name in (*QUICK, "char") else pytest.mark.check) for name in PRESETS]


@pytest.mark.parametrize("preset", ONE_OF_A_TASK)
def test_the_fast_version_learns(preset, tmp_path):
    begun = time.process_time()
    record = training.train(preset, tmp_path / "run", fast=True)
    assert time.process_time() - begun < 40  # of CPU on two cores: 20 seconds
    assert margin(preset, record) >= 0


LONG = drawn([name for name in RECURRENT if name not in QUICK], every=3)


@pytest.mark.parametrize("preset", [*QUICK, *(pytest.param(name, marks=pytest.mark.check) for name in LONG)])
def test_without_the_recurrent_weights_gradient_the_margin_is_missed(preset, tmp_path, monkeypatch):
    backward_op = bridge.backward_op

    def without(*args):
        found = backward_op(*args)
        return {name: tf.zeros_like(g) if name == "recurrent_kernel" else g for name, g in found.items()}

    monkeypatch.setattr(bridge, "backward_op", without)
    record = training.train(preset, tmp_path / "run", fast=True)
    assert margin(preset, record) < 0


@pytest.mark.check
@pytest.mark.parametrize("preset", ["word2vec", "word2vec-book"])
def test_without_training_words_do_not_lie_in_groups(preset, tmp_path):
    record = training.train(preset, tmp_path / "run", fast=True, batches=1, epochs=1, learning_rate=1e-9)
    assert margin(preset, record) < 0


@pytest.mark.check
@pytest.mark.parametrize("preset", RIGHT)
def test_without_attention_dates_are_not_read(preset, tmp_path):
    record = training.train(preset, tmp_path / "run", fast=True, attention=False)
    assert margin(preset, record) < 0


def test_every_preset_has_a_fast_version():
    assert set(FAST) == set(PRESETS)
    assert all(set(FAST[name]) <= set(settings) for name, (_, settings) in PRESETS.items())
