"""The load task: no leak between the parts, the forecasters to beat, forecasts fed back, the files it reads and refuses."""

import gzip

import numpy as np
import pytest

from rnn_from_scratch.data import InputError
from rnn_from_scratch.data import load as data
from rnn_from_scratch.tasks import PRESETS, load, training

from ..helpers.digit_runs import KERAS_SAVES, record
from ..helpers.wrong_files import UNREADABLE, refused

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)
SETTINGS = PRESETS["load"][1]


def write_csv(path, values):
    path.write_text("time,Load\n" + "".join(f"{n},{value}\n" for n, value in enumerate(values)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def daily(tmp_path_factory):
    """400 days of 4 values."""
    n = np.arange(1600)
    noise = np.random.default_rng(0).standard_normal(1600)
    return write_csv(tmp_path_factory.mktemp("load") / "daily.csv", (100 + 30 * np.sin(n * np.pi / 2) + noise).round(3))


@pytest.fixture(scope="module")
def whole(daily):
    out = daily.parent / "run"
    given = {"period": 4, "steps": 6, "horizon": 8, "epochs": 8, "learning_rate": 0.3, "patience": 0}
    training.train("load", out, data=str(daily), **given)
    return out


def test_the_embedded_household_is_whole():
    values, source, notes, filled = data.load()
    assert len(values) == 138_350
    np.testing.assert_allclose([values.mean(), values.std()], [1.089, 0.989], atol=1e-3)
    assert "embedded" in source
    assert (notes, filled) == ([], 0)
    attribution = (data.EMBEDDED.parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(word in attribution for word in ("Hebrail", "10.24432/C58K54", "CC BY 4.0"))


def test_no_value_is_in_two_parts():
    """Numbers that name their own place: no window of a part, and no target, holds a value of another part."""
    settings = {**SETTINGS, "steps": 7, "horizon": 5}
    parts = load.divide(np.arange(4000.0), settings, "")
    ends = [(0, 2800), (2800, 3400), (3400, 4000)]
    for part, (first, last) in zip(parts, ends):
        x, y = load.windows(part, 7)
        assert (x.min(), x.max(), y.min(), y.max()) == (first, last - 2, first + 7, last - 1)
        assert len(x) == len(part) - 7
        np.testing.assert_array_equal(x[:, -1, 0] + 1, y[:, 0])


def test_scale_comes_from_the_training_part_alone(whole, daily):
    values = data.load(daily).values
    scale = training.read_json(whole / "scale.json")
    np.testing.assert_allclose([scale["mean"], scale["spread"]], [values[:1120].mean(), values[:1120].std()])


def test_the_forecasters_to_beat():
    part = np.arange(50.0) ** 2
    windows = load.windows(part, 5)
    guesses = load.rivals(windows, windows, part, {"steps": 5, "period": 8})
    np.testing.assert_array_equal(guesses["persistence"], part[4:-1])
    assert np.isnan(guesses["same_time_yesterday"][:3]).all()
    np.testing.assert_array_equal(guesses["same_time_yesterday"][3:], part[:-8])
    np.testing.assert_allclose(guesses["linear_autoregression"], part[5:], rtol=1e-6)  # squares obey a linear recurrence


def test_it_learns_what_persistence_cannot(whole):
    """A daily curve that persistence misses every time."""
    results = record(whole)["results"]
    assert results["rmse_model"] < 0.2 * results["rmse_persistence"]
    assert results["percent_below_persistence"] > 80
    assert results["rmse_linear_autoregression"] < results["rmse_same_time_yesterday"] < results["rmse_persistence"]
    assert results["horizon_rmse_model"] < 0.5 * results["horizon_rmse_persistence"]
    assert results["test_targets"] == 240 - 6


def test_forecasts_are_fed_back():
    known = np.array([[1.0, 2.0], [5.0, 7.0]])
    infer = lambda x: x.sum(axis=1).astype(float)  # noqa: E731 - Fibonacci
    np.testing.assert_allclose(load.extend(infer, known, 0.0, 1.0, 4), [[3, 5, 8, 13], [12, 19, 31, 50]])
    shifted = load.extend(lambda x: x[:, -1].astype(float), known, 4.0, 2.0, 2)
    np.testing.assert_allclose(shifted, [[2, 2], [7, 7]])


def test_predict_goes_on_after_the_last_row(whole, daily, tmp_path):
    values, read = load.predict(whole, daily, 6)
    assert (read.source, read.notes) == (str(daily), [])
    truth = 100 + 30 * np.sin((1600 + np.arange(6)) * np.pi / 2)
    np.testing.assert_allclose(values, truth, atol=10)
    with pytest.raises(InputError, match=r"short\.csv: expected at least 6 rows, got 2"):
        load.predict(whole, write_csv(tmp_path / "short.csv", [1, 2]), 6)
    (tmp_path / "run.json").write_bytes((whole / "run.json").read_bytes())
    (tmp_path / "model.keras").write_bytes((whole / "model.keras").read_bytes())
    with pytest.raises(InputError, match=r"scale\.json: missing or damaged"):
        load.predict(tmp_path, daily, 6)


def test_uci_s_file_with_decimal_commas(tmp_path):
    path = tmp_path / "LD.txt.gz"
    rows = ['"";"MT_001";"MT_002"', '"2011-01-01 00:15:00";2,5;1e1', '"2011-01-01 00:30:00";0;3', ""]
    path.write_bytes(gzip.compress("\r\n".join(rows).encode()))
    np.testing.assert_array_equal(data.load(path, client="MT_001").values, [2.5, 0])
    np.testing.assert_array_equal(data.load(path, "mt_002").values, [10, 3])
    with pytest.raises(InputError, match=r"gz, line 1: expected a column 'Load', got MT_001, MT_002; --column NAME reads another"):
        data.load(path)
    with pytest.raises(InputError, match=r"LD\.txt\.gz, line 1: expected a column 'MT_9', got MT_001, MT_002"):
        data.load(path, client="MT_9")
    with pytest.raises(InputError, match="--column a and --client b: expected one of them, got both"):
        data.load(path, "a", client="b")


@pytest.mark.parametrize(("name", "value"), [("client", "MT_001"), ("decimal", ","), ("fill", "linear")])
def test_the_embedded_load_takes_no_option_of_files(name, value):
    with pytest.raises(InputError, match=f"--{name} {value}: the embedded data "):
        data.load(None, **{name: value})


def test_filled_gaps_are_told_and_kept_in_run_json(daily, tmp_path, capsys):
    """Every hundredth value is missing, filled from the day before; the run, and its resume, note the share."""
    lines = daily.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "gaps.csv"
    path.write_text("\n".join(line.split(",")[0] + "," if n % 100 == 99 else line for n, line in enumerate(lines)), encoding="utf-8")
    given = {"period": 4, "steps": 6, "horizon": 8, "epochs": 1}
    with pytest.raises(InputError, match=r"gaps\.csv, line 100: Load: expected a number, got 'nothing'; --fill previous-day or"):
        training.train("load", tmp_path / "run", data=str(path), **given)
    training.train("load", tmp_path / "run", data=str(path), fill="previous-day", **given)
    told = "Load: 16 of 1,600 values (1.00%) were missing and are filled: previous-day"
    assert told in capsys.readouterr().out
    training.train("load", tmp_path / "run", resume=True, epochs=2)
    assert told in capsys.readouterr().out
    run = record(tmp_path / "run")
    assert (run["settings"]["fill"], run["data"]["filled"], run["data"]["notes"]) == ("previous-day", 0.01, [told])
    assert load.predict(tmp_path / "run", path, 6)[1].filled == 0.01


WRONG = {
    **UNREADABLE,
    "header alone": (b"Load\n", "holds no row below its header"),
    "one column": (b"time\n1\n", "line 1: expected a column 'Load', got time"),
    "name": (b"time,load 1\n1,2\n", "line 1: expected a column 'Load', got time, load 1; --column NAME reads another"),
    "text": (b"time,Load\n1,2\n2,many\n", "line 3: Load: expected a number, got 'many'; correct it, or leave it empty for a gap"),
    "nan": (b"Load\n1\nNaN\n", "line 3: Load: expected a number, got 'NaN'"),
    "infinite": (b"Load\n1\ninf\n", "line 3: Load: expected a number, got 'inf'"),
    "gap": (b"time,Load\n1,2\n2,\n3,1\n", "line 3: Load: expected a number, got 'nothing'"),
    "empty line": (b"Load\n1\n\n3\n", "line 3: Load: expected a number, got 'nothing'; --fill previous-day or --fill linear fills gaps"),
    "short row": (b"time,Load\n1,2\n3\n", "line 3: expected 2 fields, as the first line has, got 1"),
    "few rows": (b"Load\n" + b"1\n2\n" * 300, "expected at least 1,287 rows for --steps and --horizon, got 600"),
    "constant": (b"Load\n" + b"7\n" * 2000, "the load never changes in the training part"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_its_line(content, message, tmp_path):
    refused(tmp_path / "bad.csv", content, message, lambda path: training.train("load", tmp_path / "run", data=str(path)))
    assert not (tmp_path / "run").exists()
