"""Every option of every command changes something, or is refused where it would not."""

import json

import pytest
import typer.main

from rnn_from_scratch import cli
from rnn_from_scratch.tasks import commands, training

from ..helpers.digit_runs import KERAS_SAVES, SMALL, write_digits

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)
COMMANDS = typer.main.get_command(cli.app).commands
TABLE = "Time;Load;Other\n" + "".join(f"{n};{3 + n % 4},5;{n % 7},25\n" for n in range(600))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A small run of each kind of task, beside the files that they read."""
    home = tmp_path_factory.mktemp("options")
    write_digits(home / "digits", 60, 20)
    (home / "table.csv").write_text(TABLE, encoding="utf-8")
    (home / "gaps.csv").write_text(TABLE.replace("\n599;6,5", "\n599;"), encoding="utf-8")
    (home / "round.csv").write_text("Load\n" + '"1,250"\n"2,250"\n' * 20, encoding="utf-8")
    (home / "text.txt").write_text("abc cab bca\n" * 200, encoding="utf-8")
    training.train("mnist", home / "mnist", data=str(home / "digits"), **{**SMALL, "epochs": 1})
    training.train("load", home / "load", data=str(home / "table.csv"), epochs=1, period=4, horizon=4)
    training.train("char", home / "char", data=str(home / "text.txt"), epochs=1, units=4, batch_size=4, bptt=9)
    training.train("series", home / "series", epochs=1, units=4, batch_size=2)
    (home / "words.txt").write_text("one two three red blue green north south he she\n" * 30, encoding="utf-8")
    training.train("word2vec", home / "words", **{**BASE["word2vec"], "data": str(home / "words.txt")})
    lines = (f"one {n:b} two {n % 7}\t{n:b} un {n % 7} deux" for n in range(300))
    (home / "pairs.tsv").write_text("".join(line.replace("1", "a").replace("0", "b") + "\n" for line in lines), encoding="utf-8")
    return home


def output(capsys, runs, *args):
    """Exit code, and all that a command said; words that name a file of `runs` stand for its path."""
    known = {} if args[0] == "train" else {path.name: str(path) for path in runs.iterdir()}
    code = cli.main([known.get(arg, arg) for arg in args])
    out, err = capsys.readouterr()
    return code, out + err


# (command, option) -> words of a call, and those that the option adds; the answer must be another
CHANGES = {
    ("predict", "--data"): [(["predict", "load", "--json"], ["--data", "table.csv"])],
    ("predict", "--column"): [(["predict", "load", "--data", "table.csv"], ["--column", "other"])],
    ("predict", "--decimal"): [(["predict", "load", "--data", "round.csv"], ["--decimal", ","])],
    ("predict", "--fill"): [(["predict", "load", "--data", "gaps.csv"], ["--fill", "previous-day"])],
    ("predict", "--limit"): [
        (["predict", "load"], ["--limit", "3"]),
        (["predict", "load", "--json"], ["--limit", "3"]),
        (["predict", "mnist", "--data", "digits"], ["--limit", "3"]),
        (["predict", "mnist", "--data", "digits", "--json"], ["--limit", "3"]),
        (["predict", "words", "--words", "one"], ["--limit", "3"]),
    ],
    ("predict", "--words"): [(["predict", "words"], ["--words", "one"])],
    ("predict", "--among"): [(["predict", "words", "--words", "one"], ["--among", "3"])],
    ("predict", "--invert"): [(["predict", "mnist", "--data", "digits", "--json"], ["--invert"])],
    ("predict", "--json"): [(["predict", "mnist", "--data", "digits"], ["--json"]), (["predict", "load"], ["--json"])],
    ("generate", "--length"): [(["generate", "char"], ["--length", "20"]), (["generate", "series"], ["--length", "20"])],
    ("generate", "--prime"): [(["generate", "char"], ["--prime", "abc"])],
    ("generate", "--temperature"): [(["generate", "char"], ["--temperature", "0.1"])],
    ("generate", "--argmax"): [(["generate", "char"], ["--argmax"])],
    ("generate", "--tunes"): [(["generate", "char"], ["--tunes", "2"])],
    ("generate", "--seed"): [(["generate", "char"], ["--seed", "1"])],
    ("generate", "--out"): [(["generate", "series"], ["--out", "new.xyz"])],
    ("generate", "--json"): [(["generate", "char"], ["--json"]), (["generate", "series", "--length", "5"], ["--json"])],
    ("presets", "--fast"): [(["presets"], ["--fast"])],
}
REFUSED = {
    "predict load --invert": "--invert: load forecasts numbers, not pictures; leave it out",
    "predict load --no-invert": "--invert: load forecasts numbers, not pictures; leave it out",
    "predict load --fill linear": "--fill linear: the embedded data is whole, and plain numbers; leave it out",
    "predict mnist --column a": "--column: mnist reads pictures, not tables; leave it out",
    "predict mnist --decimal ,": "--decimal: mnist reads pictures, not tables; leave it out",
    "predict load --decimal x": "--decimal: expected one of ., ,, got x",
    "predict mnist --words one": "--words: only word2vec has words; leave it out",
    "predict load --among 9": "--among: only word2vec has words; leave it out",
    "predict words --words one --fill linear": "--fill: word2vec reads words alone; leave it out",
    "generate series --prime a": "--prime: a series draws nothing at random; leave it out",
    "generate series --seed 0": "--seed: a series draws nothing at random; leave it out",
    "generate series --argmax": "--argmax: a series draws nothing at random; leave it out",
    "generate char --out a.png": "--out: char writes text, not a picture; leave it out",
    "generate char --argmax --temperature 2": "--temperature: --argmax draws nothing at random; leave it out",
    "generate char --tunes 2 --length 9": "--length: --tunes begin and end by themselves; leave it out",
    "train mnist --quiet --json": "--quiet and --json: expected one of them, got both",
    "train mnist --resume --fast": "--resume and --fast: a run goes on with its own settings; leave --fast out",
    "train mnist --allow-drift": "--allow-drift: only a run that --resume goes on with can drift; leave it out",
    "train mnist --resume --overwrite": "--resume and --overwrite: expected one of them, got both",
    "verify --mutants --strict": "--mutants: plants bugs in every cell on the reference; leave --cell",
}
ELSEWHERE = {  # tests of their own: test_cli.py, test_runs.py, test_translate.py, tests/bench, tests/explain, tests/lessons
    "verify": {"--cell", "--backend", "--strict", "--json", "--mutants"},
    "books": {"--backend"},
    "explain": {
        *("--units", "--steps", "--activation", "--reset-before", "--step", "--unit", "--terminal", "--out"),
        *("--text", "--digit", "--start"),
    },
    "equations": {"--latex", "--text", "--activation", "--reset-before"},
    "plot": {
        *("--units", "--steps", "--activation", "--reset-before", "--seed", "--step", "--unit", "--layer"),
        *("--wide", "--out", "--csv", "--text"),
    },
    "lesson": {"--no-predict", "--html", "--notebook", "--copy", "--site"},
    "exercise": {"--check", "--watch", "--json", "--hint", "--solution", "--give-up", "--reset", "--seed", "--variant"},
    "translate": {"--text", "--file", "--beam", "--attention", "--json"},
    "bench": {"--quick", "--report", "--compare", "--cell", "--shape", "--peer", "--what", "--threshold", "--within"},
    "train": {"--out", "--fast", "--resume", "--overwrite", "--allow-drift", "--quiet", "--json"},
}


def options(command):
    return {parameter.opts[0] for parameter in COMMANDS[command].params if parameter.opts[0].startswith("-") and parameter.name != "help"}


def test_no_option_is_forgotten():
    settings = {"--" + name.replace("_", "-") for name in commands.known_settings()}
    for command in COMMANDS:
        known = {option for name, option in CHANGES if name == command} | ELSEWHERE.get(command, set())
        assert options(command) == known | (settings if command == "train" else set())


@pytest.fixture(scope="module")
def known():
    """What the calls and runs without a further option have come to: many options are added to the same one."""
    return {}


@pytest.mark.check
@pytest.mark.parametrize(("before", "added"), [pair for pairs in CHANGES.values() for pair in pairs], ids=" ".join)
def test_an_option_changes_what_is_said(before, added, runs, known, capsys):
    if tuple(before) not in known:
        known[tuple(before)] = output(capsys, runs, *before)
        assert output(capsys, runs, *before) == known[tuple(before)]
    assert output(capsys, runs, *before, *added) != known[tuple(before)]


@pytest.mark.parametrize(("line", "message"), REFUSED.items(), ids=REFUSED)
def test_an_option_that_would_change_nothing_is_refused(line, message, runs, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said = output(capsys, runs, *line.split())
    assert code == 2
    assert said.startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_json_shows_as_many_digits_as_asked_for_and_which_are_guesses(runs, capsys):
    answers = json.loads(output(capsys, runs, "predict", "mnist", "--data", "digits", "--limit", "3", "--json")[1])
    assert [len(answers[name]) for name in ("read", "guess", "probabilities")] == [3, 3, 3]
    assert answers["guess"] == [max(p) < 0.6 for p in answers["probabilities"]]
    assert any(answers["guess"])
    assert ", a guess" in output(capsys, runs, "predict", "mnist", "--data", "digits")[1]
    everything = json.loads(output(capsys, runs, "predict", "mnist", "--data", "digits", "--json")[1])
    assert len(everything["read"]) == 20


# setting -> a preset that has it, and another value for it
OTHER = {
    **{name: ("mnist", value) for name, value in (("cell", "gru"), ("layers", 2), ("units", 7), ("activation", "relu"), ("dropout", 0.5))},
    **{name: ("mnist", value) for name, value in (("epochs", 2), ("batch_size", 20), ("optimizer", "sgd"), ("learning_rate", 0.1))},
    **{name: ("mnist", value) for name, value in (("clip", 0.01), ("seed", 1), ("projection", 3), ("examples", 20))},
    "decay": ("mnist", 0.1, {"epochs": 2}),
    "readout": ("mnist", "all", {"layers": 2}),
    "backend": ("mnist", "reference"),
    "save_every": ("mnist", 0.0),
    "data": ("mnist", "digits"),
    **{name: ("series", value) for name, value in (("steps", 9), ("resolution", 0.2), ("span", 20.0), ("head", "per_step"))},
    **{name: ("load", value) for name, value in (("period", 5), ("horizon", 8), ("column", "other"), ("client", "Other"))},
    "decimal": ("load", "."),
    "patience": ("load", 1, {"epochs": 4, "learning_rate": 1e-30}),
    "fill": ("load", "linear", {"data": "gaps.csv"}),
    **{name: ("char", value) for name, value in (("embedding", 5), ("bptt", 8))},
    **{name: ("word2vec", value) for name, value in (("vocabulary", 5), ("window", 2), ("negatives", 3), ("batches", 4))},
    "init_range": ("word2vec", 0.5),
    **{name: ("translate", value) for name, value in (("attention", False), ("reverse", False), ("sampled", 5))},
    "tokens": ("translate", "words"),
    "max_length": ("translate", 18),
}
BASE = {
    "mnist": {"data": "digits", "epochs": 1, "units": 5},
    "series": {"epochs": 1, "units": 4, "batch_size": 2},
    "load": {"data": "table.csv", "epochs": 1, "period": 4, "horizon": 4},
    "char": {"data": "text.txt", "epochs": 1, "units": 4, "batch_size": 4, "bptt": 9},
    "word2vec": {"data": "words.txt", "epochs": 1, "batches": 5, "batch_size": 8, "embedding": 4, "negatives": 2},
    "translate": {"data": "pairs.tsv", "epochs": 1, "units": 4, "embedding": 4, "batch_size": 50, "tokens": "characters"},
}


def outcome(runs, out, preset, given, monkeypatch):
    """What a run comes to: its results, its epochs, how often it was saved; or why it was refused."""
    from rnn_from_scratch.tasks.rundir import Run

    saves, save = [], Run.save_checkpoint
    monkeypatch.setattr(Run, "save_checkpoint", lambda run, variables: saves.append(1) or save(run, variables))
    given = {name: str(runs / value) if name == "data" and value else value for name, value in given.items()}
    try:
        record = training.train(preset, out, **given)
    except ValueError as error:
        return str(error)
    finally:
        monkeypatch.undo()
    numbers = {name: value for name, value in record["results"].items() if "_ms" not in name and "faster" not in name}
    epochs = [{name: value for name, value in row.items() if "second" not in name} for row in record["epochs"]]
    return numbers, epochs, len(saves), record.get("backend"), record["data"]["sha256"], record["settings"].get("head")


def test_every_setting_has_another_value():
    assert set(OTHER) == commands.known_settings()


@pytest.mark.check
@pytest.mark.parametrize("name", OTHER)
def test_a_setting_changes_what_a_run_comes_to(name, runs, known, tmp_path, monkeypatch):
    preset, value, more = (*OTHER[name], {})[:3]
    given = {**BASE[preset], **more}
    if name == "data":
        del given["data"]
    key = preset, *sorted(given.items())
    if key not in known:
        known[key] = outcome(runs, tmp_path / "before", preset, given, monkeypatch)
    assert outcome(runs, tmp_path / "after", preset, {**given, name: value}, monkeypatch) != known[key]
