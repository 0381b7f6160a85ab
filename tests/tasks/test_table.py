"""The table of the books' programs, from run directories."""

import json

import pytest

from rnn_from_scratch.data import InputError
from rnn_from_scratch.tasks import EMBEDDED, PRESETS, rundir, table, training

from ..helpers.digit_runs import KERAS_SAVES

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)


@pytest.fixture(autouse=True)
def no_timing(monkeypatch, request):
    if "timing" not in request.node.name:
        monkeypatch.setattr(table, "paces", lambda run: ["2.0", "3.0", "1.50"])


def write_run(path, preset, results, **settings):
    path.mkdir()
    given = {**PRESETS[preset][1], **settings}
    record = {"program": "rnn_from_scratch", "task": preset, "status": "done", "settings": given, "versions": {}, "results": results}
    rundir.write_json(path / "run.json", record)
    epochs = [{"epoch": n, "seconds": n, "examples_per_second": 55000 / n} for n in (6, 2)]
    rundir.write_text(path / "metrics.jsonl", "".join(json.dumps(epoch) + "\n" for epoch in epochs))


def test_seeds_share_a_row_and_other_settings_do_not(tmp_path):
    write_run(tmp_path / "b", "mnist-rnn", {"test_accuracy": 0.98}, seed=1, data="digits")
    write_run(tmp_path / "a", "mnist-rnn", {"test_accuracy": 0.97}, data="digits")
    write_run(tmp_path / "c", "series", {"test_mse": 0.04, "last_value_mse": 0.6}, cell="gru")
    write_run(tmp_path / "unfinished", "char", {})
    rundir.write_json(tmp_path / "unfinished/run.json", {**json.loads((tmp_path / "c/run.json").read_text()), "status": "running"})
    first, second = table.rows(tmp_path)
    assert first[0] == "`train mnist-rnn --data digits`"
    assert first[1:] == ["98.1 %", "97.50% right (97.00% right to 98.00% right)", "2", "30", "2.0", "3.0", "1.50", ""]
    assert second[0] == "`train series --cell gru`"
    assert second[-1] == "last value: MSE 0.600"


def test_rows_of_programs_that_were_not_trained_again_stay():
    def row(name, ours):
        return f"| `train {name}` | {ours} |"

    old = "\n".join(["| program |", "| --- |", row("mnist-rnn", 1), row("series --cell gru", 2), row("char", 3)])
    new = "\n".join(["| program | ours |", "| --- | --: |", row("char", 4), row("series", 5), row("mnist", 6)])
    kept = table.merged(new, old).splitlines()
    assert kept == [
        *new.splitlines()[:2],
        row("mnist", 6),
        row("mnist-rnn", 1),
        row("series --cell gru", 2),
        row("series", 5),
        row("char", 4),
    ]


@pytest.mark.parametrize(("preset", "given", "steps"), [("mnist-rnn", {}, 367), ("char", {"bptt": 50, "batch_size": 100}, 11)])
def test_steps_of_an_epoch_count_its_last_batch(tmp_path, preset, given, steps):
    write_run(tmp_path / "run", preset, {}, **given)
    assert table.steps_of_an_epoch(rundir.read(tmp_path / "run")) == steps


def test_load_is_shown_beside_a_linear_fit(tmp_path):
    results = {"percent_below_persistence": 5.9, "rmse_persistence": 2.0, "rmse_linear_autoregression": 1.9}
    write_run(tmp_path / "load", "load", results)
    ((*_, ours, _, _, _, _, _, beside),) = table.rows(tmp_path)
    assert (ours, beside) == ("RMSE 5.9 % below persistence", "linear autoregression: 5.0 %")


def test_translations_are_shown_by_the_mean_of_the_seeds(tmp_path):
    names = ("bleu_greedy", "bleu_beam_4", "bleu_far_greedy", "bleu_far_beam_4", "bleu_copy", "bleu_nearest")
    for seed in range(2):
        write_run(tmp_path / f"{seed}", "translate", {name: n + 4 * seed for n, name in enumerate(names)}, seed=seed, data="a.tsv")
    write_run(tmp_path / "blind", "translate", {"exact_match_greedy": 0.01}, **EMBEDDED["translate"], attention=False)
    blind, pairs = sorted(table.rows(tmp_path), key=lambda row: row[1], reverse=True)
    assert pairs[1:4] == ["20 in 3 epochs, 29 in 12", "BLEU 2.0 greedy (BLEU 0.0 greedy to BLEU 4.0 greedy)", "2"]
    assert pairs[-1] == "beam 3.0; far 4.0, beam 5.0; source copied 6.0; nearest training source 7.0"
    assert blind[:3] == ["`train translate --no-attention`", "at most 10 %, to see that attention is needed", "1.0% of dates right"]


def test_words_are_shown_with_their_groups_and_losses(tmp_path):
    results = {"number_words": 0.9, "closed_groups": 0.8, "loss_at_start": 281.4}
    write_run(tmp_path / "run", "word2vec", results, data="corpus.txt.gz")
    rundir.write_text(tmp_path / "run/metrics.jsonl", json.dumps({"epoch": 1, "loss": 8.31}) + "\n")
    ((program, *_, ours, _, _, _, _, _, beside),) = table.rows(tmp_path)
    assert (program, ours) == ("`train word2vec --data corpus.txt.gz`", "90% of number words by one")
    assert beside == "words by one of their group: 80%; loss 281 to 8.3"


def test_every_preset_has_a_number_to_reach():
    assert set(table.BOOKS) == set(PRESETS)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no finished run"):
        table.markdown(tmp_path)


def test_timing_of_words(tmp_path):
    write_run(tmp_path / "run", "word2vec", {}, vocabulary=30, embedding=4, negatives=3, batch_size=4)
    ours, theirs, times = table.paces(rundir.read(tmp_path / "run"))
    assert float(ours) > 0 < float(theirs) and float(times) > 0


LONG = [pytest.param("series", {"cell": "gru"}, marks=pytest.mark.check), pytest.param("char", {"bptt": 5}, marks=pytest.mark.check)]
TIMED = [("series", {"cell": "peephole_lstm"}), *LONG]


@pytest.mark.parametrize(("preset", "given"), TIMED)
def test_timing_against_tf_keras(tmp_path, preset, given):
    out = tmp_path / "run"
    if preset == "char":
        (tmp_path / "text").write_text("abc " * 300, encoding="utf-8")
        given = {**given, "data": str(tmp_path / "text")}
    training.train(preset, out, units=3, epochs=1, batch_size=2, **given)
    ours, theirs, times = table.paces(rundir.read(out))
    assert float(ours) > 0 and (theirs, times) == ("-", "-") if given.get("cell") == "peephole_lstm" else float(theirs) > 0 < float(times)
