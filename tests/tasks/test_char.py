"""The character model: truncated BPTT with carried states, resume within an epoch, validation, sampling."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch.data import InputError
from rnn_from_scratch.tasks import PRESETS, char, sampling, training

from ..helpers.digit_runs import KERAS_SAVES, bits, killed_at, record

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)
SMALL = {"units": 6, "layers": 2, "embedding": 5, "batch_size": 4, "bptt": 8, "epochs": 2, "seed": 5}
TEXT = "It is a tale told by an idiot, full of sound and fury, signifying nothing.\n" * 12


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("char") / "tale.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(text):
    training.train("char", text.parent / "whole", data=str(text), **SMALL)
    return text.parent / "whole"


def test_batches_are_streams_that_go_on():
    codes, settings = np.arange(200, dtype=np.uint8), {"batch_size": 3, "bptt": 7}
    batches = list(char.batches(codes, settings, 1))
    assert len(batches) == char.count(codes, settings) == 9
    x = np.concatenate([x for x, _ in batches], axis=1)
    y = np.concatenate([y for _, y in batches], axis=1)
    np.testing.assert_array_equal(y, x + 1)
    np.testing.assert_array_equal(x[:, 0], [0, 66, 132])
    np.testing.assert_array_equal(np.diff(x, axis=1), 1)
    for (x, _), (again, _) in zip(batches[4:], char.batches(codes, settings, 2, 4)):
        np.testing.assert_array_equal(x, again)


def test_the_last_part_is_never_trained_on():
    codes = np.arange(10_000, dtype=np.uint32)
    training_part, validation = char.divide(codes, {"batch_size": 4, "bptt": 8}, "tale.txt")
    assert (len(training_part), len(validation)) == (9500, 500)
    assert training_part.max() < validation.min()
    with pytest.raises(InputError, match="tale.txt: expected at least 5,265 characters for --batch-size and --bptt, got 5,000"):
        char.divide(codes[:5000], {"batch_size": 50, "bptt": 100}, "tale.txt")


def test_states_are_carried_and_gradients_are_not(text):
    """Two pieces in a row answer like one long piece; the gradient by the first piece's inputs ends at the border."""
    settings = {**PRESETS["char"][1], **SMALL, "data": str(text), "learning_rate": 1e-30, "optimizer": "sgd"}
    work = char.prepare(settings)
    (x1, y1), (x2, y2) = (batch for _, batch in zip(range(2), char.batches(char.data.load(text).codes, settings, 1)))
    work.begin()
    losses = [float(work.step(*batch)[0]) for batch in ((x1, y1), (x2, y2))]
    zeros = [tf.zeros([4, 6])] * 4
    logits, *states = work.model([tf.constant(np.concatenate([x1, x2], axis=1)), *zeros])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(np.concatenate([y1, y2], axis=1), logits).numpy()
    np.testing.assert_allclose(losses, [loss[:, :8].mean(), loss[:, 8:].mean()], rtol=1e-5)
    for variable, state in zip(work.carried, states):
        np.testing.assert_allclose(variable, state, atol=1e-6)
        assert not variable.trainable
    work.begin()
    assert all(np.all(variable.numpy() == 0) for variable in work.carried)
    assert float(work.step(x1, y1)[0]) == losses[0]


def test_a_run_stopped_between_two_pieces_goes_on_to_the_same_bits(text, whole, tmp_path, monkeypatch):
    run = partial(training.train, "char", tmp_path / "run", data=str(text), save_every=0.0, **SMALL)
    killed_at(monkeypatch, char, 2, 5, run)
    training.train("char", tmp_path / "run", resume=True, save_every=60.0)
    assert bits(tmp_path / "run") == bits(whole)


def test_the_vocabulary_is_json(whole):
    assert training.read_json(whole / "vocabulary.json") == sorted(set(TEXT))


def test_results_say_what_counting_letters_would_reach(text, whole):
    results = record(whole)["results"]
    codes = char.data.load(text).codes
    cut = int(len(codes) * 0.95)
    counts = np.bincount(codes[:cut]) + 1
    expected = -np.mean(np.log2(counts[codes[cut:]] / counts.sum()))
    assert results["unigram_bits"] == pytest.approx(expected)
    assert results["perplexity"] == pytest.approx(2 ** results["bits_per_character"])
    assert "generated_well_formed" not in results


def test_validation_reads_streams_with_carried_states(whole):
    model, characters = sampling.load(whole)
    codes = np.random.default_rng(0).integers(0, len(characters), 20 * 31 + 1).astype(np.uint8)
    loss = char.evaluate(model, codes)
    assert char.evaluate(model, codes, piece=7) == pytest.approx(loss, rel=1e-5)
    streams = codes[:-1].reshape(20, 31).astype(np.int32)
    logits = model([streams[:, :-1], *[np.zeros((20, 6), "float32")] * 4])[0]
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(streams[:, 1:], logits)
    assert loss == pytest.approx(float(np.mean(expected)), rel=1e-5)


def test_sampling_reads_what_it_wrote(whole):
    model, characters = sampling.load(whole)
    text = "".join(sampling.generate(whole, "It is", 40, 0.0, seed=1))
    assert text.startswith("It is") and len(text) == 45
    codes = char.data.numbers_of(text, characters, "")
    logits = model([codes[None], *[np.zeros((1, 6), "float32")] * 4])[0][0]
    np.testing.assert_array_equal(codes[5:], np.argmax(logits, axis=1)[4:-1])
    texts = ["".join(sampling.generate(whole, "It is", 40, 1.0, seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_sampling_steps_what_the_model_computes(whole):
    """Two rows with different pasts, through both layers."""
    model, characters = sampling.load(whole)
    codes = np.random.default_rng(0).integers(0, len(characters), (2, 12))
    logits = model([codes, *[np.zeros((2, 6), "float32")] * 4])[0]
    read = sampling.reader(model, 2)
    for t in range(12):
        np.testing.assert_allclose(read(codes[:, t]), logits[:, t], atol=1e-5)


def test_draws_follow_the_probabilities_and_the_temperature(whole):
    model, characters = sampling.load(whole)
    prime = np.tile(char.data.numbers_of("It", characters, ""), (20_000, 1))
    logits = model([prime[:1], *[np.zeros((1, 6), "float32")] * 4])[0][0, -1].numpy().astype(float)
    for temperature in (1.0, 0.5):
        shares = np.bincount(next(sampling.sample(model, prime, temperature, 0)), minlength=len(characters)) / len(prime)
        p = np.exp(logits / temperature)
        np.testing.assert_allclose(shares, p / p.sum(), atol=0.015)


def test_wrong_primes_and_vocabularies_are_refused(whole, tmp_path):
    with pytest.raises(InputError, match="--prime: character 1 is 'Z', which the text of the training never had"):
        sampling.generate(whole, "Zen", 3, 1.0, 0)
    with pytest.raises(InputError, match="--prime: expected at least one character"):
        sampling.generate(whole, "", 3, 1.0, 0)
    with pytest.raises(InputError, match="whole: not trained on ABC tunes: character 1 is 'X'"):
        sampling.generate_tunes(whole, 3, 1.0, 0)
    for name in ("run.json", "model.keras"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    for content, message in ((None, "missing or damaged"), ("[", "missing or damaged"), ('["a"]', "damaged: expected a list of ")):
        if content:
            (tmp_path / "vocabulary.json").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            sampling.load(tmp_path)


def test_tunes_are_drawn_and_judged(tmp_path):
    tune = "X:1\nT:A\nM:C\nL:1/8\nK:G\nGABc dedB|dedB dedB|c2ec B2dB|A2F2 G4|\n\n\n"
    (tmp_path / "tunes.abc").write_text(tune * 260, encoding="utf-8")
    given = {**SMALL, "units": 8, "epochs": 1}
    results = training.train("char", tmp_path / "run", data=str(tmp_path / "tunes.abc"), **given)["results"]
    assert (results["tunes_held_out"], results["held_out_well_formed"], results["shuffled_well_formed"]) == (12, 1, 0)
    assert 0 <= results["generated_well_formed"] <= 1
    made = sampling.generate_tunes(tmp_path / "run", 3, 1.0, seed=2)
    assert len(made) == 3
    assert all(tune.startswith("X:1\n") and "\n\n" not in tune for tune in made)


@pytest.mark.parametrize("missing", ["", "/|]"])
def test_a_tune_is_read_before_the_first_new_one(monkeypatch, missing):
    characters, seen = sorted((set(sampling.READ_BEFORE) | {"\n"}) - set(missing)), []

    def sample(model, prime, temperature, seed):
        seen.extend("".join(characters[code] for code in row) for row in prime)
        return iter([np.full(len(prime), characters.index("\n"))] * sampling.LONGEST)

    monkeypatch.setattr(sampling, "sample", sample)
    assert sampling.sample_tunes(None, characters, 2) == ["X:1"] * 2
    assert seen == ["".join(c for c in sampling.READ_BEFORE if c not in missing) + "X:1\n"] * 2
