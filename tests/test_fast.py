"""The small version of every preset learns by a margin over the trivial answer, from the embedded data, within 20 seconds."""

import time

import numpy as np
import pytest

from rnn_from_scratch.layers import bridge
from rnn_from_scratch.tasks import FAST, PRESETS, training

from .digit_runs import KERAS_SAVES, draw_nothing

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)


def accuracy(results):
    """Digits: at least 65 points above the most frequent class."""
    return results["test_accuracy"] - results["majority_class_accuracy"] - 0.65


def below_last_value(results):
    """Series: at most 15 % of the squared error of repeating the last value."""
    return 0.15 * results["last_value_mse"] - results["test_mse"]


def below_last_value_with_dropout(results):
    """Series, most of the time half blind: at most 60 % of it."""
    return 0.6 * results["last_value_mse"] - results["test_mse"]


def below_persistence(results):
    """Load: at least 3 % below the error of repeating the last value."""
    return results["percent_below_persistence"] - 3


def below_unigrams(results):
    """Text: at least 1.75 bits a character below letters drawn by their frequency."""
    return results["unigram_bits"] - results["bits_per_character"] - 1.75


MARGINS = {
    "mnist": accuracy,
    "series": below_last_value,
    "series-dropout": below_last_value_with_dropout,
    "load": below_persistence,
    "char": below_unigrams,
}


def margin(preset, record):
    return MARGINS.get(preset, MARGINS[PRESETS[preset][0]])(record["results"])


QUICK = ("mnist-rnn", "series", "load")


CASES = [pytest.param(preset, marks=() if preset in QUICK else pytest.mark.check) for preset in PRESETS]


@pytest.mark.parametrize("preset", CASES)
def test_the_fast_version_learns(preset, tmp_path, monkeypatch):
    draw_nothing(monkeypatch)
    begun = time.process_time()
    record = training.train(preset, tmp_path / "run", fast=True)
    assert time.process_time() - begun < 40  # of CPU on two cores: 20 seconds
    assert margin(preset, record) >= 0


@pytest.mark.parametrize("preset", ["mnist-rnn", "series"])
def test_without_the_recurrent_weights_gradient_the_margin_is_missed(preset, tmp_path, monkeypatch):
    draw_nothing(monkeypatch)
    weights_of = bridge.weights_of

    def without(cell, params):
        Wx, Wh, *rest = weights_of(cell, params)
        return [Wx, np.zeros_like(Wh), *rest]

    monkeypatch.setattr(bridge, "weights_of", without)
    record = training.train(preset, tmp_path / "run", fast=True)
    assert margin(preset, record) < 0


def test_every_preset_has_a_fast_version():
    assert set(FAST) == set(PRESETS)
    assert all(set(FAST[name]) <= set(settings) for name, (_, settings) in PRESETS.items())
