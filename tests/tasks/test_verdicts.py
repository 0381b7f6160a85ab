"""A model that something simpler beats says so in its last lines, and one that is better says nothing."""

import pytest

from rnn_from_scratch.tasks import PRESETS, char, load, mnist, series

LOAD = {"rmse_model": 1.0, "rmse_persistence": 2.0, "horizon_rmse_model": 1.0}
LOAD |= {"horizon_rmse_persistence": 2.0, "horizon_rmse_same_time_yesterday": 3.0}


def of_load(results):
    return load.judge(results, PRESETS["load"][1])


# name -> the judge, results of a model that is better, one that is beaten, words of what is said
CASES = {
    "digits": (mnist.judge, {"test_accuracy": 0.2, "majority_class_accuracy": 0.1}, {"test_accuracy": 0.1}, "the commonest digit"),
    "characters": (char.judge, {"bits_per_character": 2.0, "unigram_bits": 4.0}, {"bits_per_character": 4.0}, "letters by frequency"),
    "series, mean": (series.judge, {"test_mse": 1.0, "mean_value_mse": 2.0, "last_value_mse": 3.0}, {"test_mse": 2.5}, "the mean value"),
    "load, one row": (of_load, LOAD, {"rmse_model": 2.0}, "One row ahead the model does not beat the last value"),
    "load, fed back": (of_load, LOAD, {"horizon_rmse_model": 2.5}, "--units 5 that read --steps 5 do not beat persistence;"),
}


@pytest.mark.parametrize(("judge", "better", "beaten", "words"), CASES.values(), ids=CASES)
def test_who_is_beaten_says_so(judge, better, beaten, words):
    assert judge(better) == []
    said = judge({**better, **beaten})
    assert words in " ".join(said)
    assert max(map(len, said)) <= 80
