"""The series task: windows, heads, resume with dropout, new values, pictures."""

from functools import partial

import numpy as np
import pytest

from rnn_from_scratch.data import InputError
from rnn_from_scratch.tasks import PRESETS, series, training

from ..helpers.digit_runs import KERAS_SAVES, bits, killed_at, record
from ..helpers.figures import complete

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)
SETTINGS = PRESETS["series"][1]
SMALL = {"epochs": 1, "units": 7, "layers": 2, "dropout": 0.25, "batch_size": 4, "steps": 6, "cell": "gru", "activation": "tanh"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("series") / "whole"
    training.train("series", out, **{**SMALL, "epochs": 2})
    return out


def test_windows_hold_the_series_and_the_next_value():
    x, y = series.windows({**SETTINGS, "steps": 7}, 3, 11)
    assert (x.shape, y.shape, x.dtype) == ((11, 7, 1), (11, 7, 1), np.float32)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    t = np.linspace(0, 30, 300_001)
    for value in x[:, 0, 0]:
        assert np.abs(series.series(t) - value).min() < 1e-3
    again, _ = series.windows({**SETTINGS, "steps": 7}, 3, 11)
    other, _ = series.windows({**SETTINGS, "steps": 7}, 4, 11)
    np.testing.assert_array_equal(x, again)
    assert np.abs(x - other).max() > 0.1


def test_a_window_that_fills_the_span_is_the_only_one():
    settings = PRESETS["series-one"][1]
    (x, y), (again, _) = series.windows(settings, 1, 3), series.windows(settings, 2, 3)
    np.testing.assert_array_equal(x, again)
    np.testing.assert_allclose(y[0, :, 0], series.series(np.arange(1, 101) * 0.15), rtol=1e-5, atol=1e-5)


def test_batches_resume_at_any_place():
    settings = {**SETTINGS, "batch_size": 2}
    batches = list(series.batches(settings, 3))
    assert len(batches) == 100
    for (x, y), (again, z) in zip(batches[97:], series.batches(settings, 3, 97)):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, z)


@pytest.mark.check
def test_both_heads_answer_alike(whole, tmp_path):
    results = record(whole)["results"]
    assert results["heads_differ_by"] <= 1e-6
    faster = min(("stacked", "per_step"), key=lambda name: results[f"{name}_head_ms"])
    assert results["faster_head"].startswith(f"{faster}, by ")
    _, stacked = training.load_model(whole, "series")
    per_step = series.build({**record(whole)["settings"], "head": "per_step"})
    per_step.set_weights(stacked.get_weights())
    x, _ = series.windows(record(whole)["settings"], 5, 9)
    np.testing.assert_allclose(per_step(x), stacked(x), atol=1e-6)
    training.train("series", tmp_path / "run", head="per_step", **SMALL)
    assert series.generate(tmp_path / "run", 3)[0]["zeros"].shape == (9,)


@pytest.mark.check
def test_dropout_goes_on_to_the_same_bits(whole, tmp_path, monkeypatch):
    """Stopped within an epoch: the states of dropout's random numbers are kept too. Dropout itself changes the bits."""
    run = partial(training.train, "series", tmp_path / "run", save_every=0.0, **{**SMALL, "epochs": 2})
    killed_at(monkeypatch, series, 1, 41, run)
    training.train("series", tmp_path / "run", resume=True, save_every=60.0)
    run, expected = bits(tmp_path / "run"), bits(whole)
    assert run == expected
    training.train("series", tmp_path / "without", **{**SMALL, "epochs": 2, "dropout": 0.0})
    assert bits(tmp_path / "without")[2] != expected[2]


def test_new_values_are_fed_back_and_stay_bounded(whole):
    created, picture = series.generate(whole, 40)
    _, model = training.load_model(whole, "series")
    for values in created.values():
        assert values.shape == (46,)
        for n in (0, 7):
            answer = model(values[None, n : n + 6, None])[0, -1, 0]
            np.testing.assert_allclose(values[n + 6], answer, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(created["zeros"][:6], 0)
    np.testing.assert_allclose(created["a real window"][:6], series.series(np.arange(29.4, 29.99, 0.1)), rtol=1e-4)
    assert complete(picture)
    exploding = series.creations(lambda x: 3 * x.astype("float64") + 1, SETTINGS, 300)
    assert 20 < max(np.abs(values).max() for values in exploding.values()) < 40


def test_a_window_longer_than_the_span_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"--span: expected at least steps x resolution = 40, got 400 steps of 0\.1 in a span of 30"):
        training.train("series", tmp_path / "run", steps=400)
    assert not (tmp_path / "run").exists()
