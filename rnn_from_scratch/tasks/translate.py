"""Translation: an encoder reads the source, a decoder writes the target, and looks back at the source for each token (attention).

While training the decoder is told the right token before (teacher forcing); a translation is written with its own fed back.
Batches hold sentences of about the same length (buckets). The loss is a mean over tokens, padding has no weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..data import InputError, dates, tokens
from ..data import pairs as data
from ..data.tokens import EOS, GO, PAD, Tokens
from ..typing import Array
from . import models, translation_plots
from .bleu import bleu, chrf, exact
from .loop import Program
from .negatives import Negatives
from .rundir import Run
from .translator import Translator, build, padded

POOL = 50  # batches that are sorted by length together
JUDGED = 300  # validation pairs translated after every epoch
BEAM = 4
NATS, BITS = "cross-entropy (nats per target token)", "cross-entropy (bits per target token)"

Codes = list[tuple[list[int], list[int]]]  # source as the encoder reads it, target without GO and EOS


def prepare(settings: dict[str, Any]) -> Program:
    split = read_pairs(settings)
    vocabulary = tokens.learn((side for pair in split.training for side in pair), settings["tokens"], settings["vocabulary"])
    sampled = settings["sampled"]
    drawn = Negatives(len(vocabulary), sampled, "--sampled") if sampled else None
    training, validation = (numbers(part, vocabulary, settings) for part in (split.training, split.validation))
    kept = [each for each in training if fits(each, settings)]
    if len(kept) < settings["batch_size"]:
        raise InputError(f"{split.source}: expected at least {settings['batch_size']} pairs within --max-length, got {len(kept)}")
    model = build(settings, len(vocabulary))
    optimizer, translator = models.optimizer(settings, model), Translator(model, settings)
    score, unit = (exact, "exact_match") if settings["data"] is None else (bleu, "bleu")
    judged = [pair for pair in split.validation if fits(numbers([pair], vocabulary, settings)[0], settings)][:JUDGED]
    fitting = [each for each in validation if fits(each, settings)]

    def outputs(part: list[data.Pair], width: int = 1) -> list[str]:
        return translate([source for source, _ in part], translator, vocabulary, settings, width)

    def validate() -> dict[str, float]:
        loss = evaluate(model, fitting, settings)
        return {
            "validation_loss": loss,
            "validation_bits": loss / math.log(2),
            f"validation_{unit}": score(outputs(judged), [target for _, target in judged]),
        }

    def finish() -> tuple[dict[str, Any], dict[str, Any]]:
        results, texts = judge(split, outputs, score, unit)
        results["steps_an_epoch"] = -(-len(kept) // settings["batch_size"])
        files: dict[str, Any] = {"translations.txt": lambda path: path.write_text(texts, encoding="utf-8")}
        if settings["attention"]:
            example = shortest_of(split.test)
            files["attention.png"] = picture(example, translator, vocabulary, settings)
        return results, files

    codes, one = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
    measure = make_measure(model, drawn)
    metric = "sampled_bits" if sampled else "bits"
    left_out = len(training) - len(kept)
    return Program(
        data={
            "source": split.source,
            "sizes": {"pairs of training": len(kept), "of validation": len(split.validation), "of test": len(split.test)},
            "notes": [f"{len(vocabulary):,} {settings['tokens']}; {left_out:,} pairs longer than --max-length are left out"],
            "sha256": split.sha256,
        },
        title=f"translate, {models.title(settings)}",
        model=model,
        optimizer=optimizer,
        labels={"loss": NATS, metric: BITS},
        examples=sum(len(target) + 1 for _, target in kept),
        batches=partial(batches, kept, drawn, settings),
        step=models.make_step(model, optimizer, measure, codes, codes, one, tf.TensorSpec([], tf.int32)),
        validate=validate,
        finish=finish,
        size=lambda source, target, *_: int((target[:, 1:] != PAD).sum()),  # tokens, not sentences
        judge=partial(told, unit=unit),
        curves={"bits": BITS, unit: "BLEU (0 to 100)" if unit == "bleu" else "exactly right (share)"},
        files={"vocabulary.json": vocabulary.as_json()},
    )


def read_pairs(settings: dict[str, Any]) -> data.Split:
    return data.load(settings["data"]) if settings["data"] else dates.load()


def numbers(pairs: list[data.Pair], vocabulary: Tokens, settings: dict[str, Any]) -> Codes:
    return [(as_read(vocabulary.encode(source), settings), vocabulary.encode(target)) for source, target in pairs]


def as_read(codes: list[int], settings: dict[str, Any]) -> list[int]:
    """Reversed, the first words of the source are the last that the encoder reads, and near the first that the decoder writes."""
    return codes[::-1] if settings["reverse"] else codes


def fits(pair: tuple[list[int], list[int]], settings: dict[str, Any]) -> bool:
    return all(0 < len(side) <= settings["max_length"] for side in pair)


def arrays(pairs: Codes) -> tuple[Array, Array]:
    """Source [B,S] and target [B,T+1] from GO to EOS, padded."""
    return padded([source for source, _ in pairs]), padded([[GO, *target, EOS] for _, target in pairs])


def batches(pairs: Codes, drawn: Negatives | None, settings: dict[str, Any], epoch: int, first: int = 0) -> Iterator[tuple[Any, ...]]:
    """Source, target, and for a sampled softmax the tokens drawn and the tries it took; by (seed, epoch, batch) alone."""
    B, rng = settings["batch_size"], np.random.default_rng([settings["seed"], epoch])
    order, found = rng.permutation(len(pairs)), []
    for start in range(0, len(order), POOL * B):
        pool = sorted(order[start : start + POOL * B].tolist(), key=lambda n: (len(pairs[n][1]), len(pairs[n][0])))
        found += [pool[k : k + B] for k in range(0, len(pool), B)]
    for n, place in enumerate(rng.permutation(len(found)).tolist()):
        if n >= first:
            none = np.zeros(0, np.int32), 0
            false, tries = drawn.draw(np.random.default_rng([settings["seed"], epoch, n])) if drawn else none
            yield (*arrays([pairs[k] for k in found[place]]), false, np.int32(tries))


def make_measure(model: keras.Model, drawn: Negatives | None) -> Any:
    """(source, target, false tokens, tries) -> mean loss per token in nats and in bits."""
    hidden, dense = keras.Model(model.inputs, model.outputs[1]), model.get_layer("logits")
    log_missed = tf.constant(drawn.log_missed, tf.float32) if drawn else None

    def log_expected(codes, tries):
        return tf.math.log(-tf.math.expm1(tf.cast(tries, tf.float32) * tf.gather(log_missed, codes)))

    def measure(source, target, false, tries):
        out, wanted = hidden([source, target[:, :-1]], training=True), target[:, 1:]
        live = wanted != PAD
        out, wanted = tf.boolean_mask(out, live), tf.boolean_mask(wanted, live)  # padding costs nothing, in time and in loss
        if drawn is None:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, dense(out)))
            return loss, loss / np.log(2)
        rows, biases = tf.transpose(dense.kernel), tf.convert_to_tensor(dense.bias)
        right = tf.reduce_sum(out * tf.gather(rows, wanted), axis=1) + tf.gather(biases, wanted) - log_expected(wanted, tries)
        others = tf.matmul(out, tf.gather(rows, false), transpose_b=True) + tf.gather(biases, false) - log_expected(false, tries)
        others = tf.where(wanted[:, None] == false, tf.fill(tf.shape(others), -1e30), others)  # the right one was drawn, too
        loss = tf.reduce_mean(tf.reduce_logsumexp(tf.concat([right[:, None], others], axis=1), axis=1) - right)
        return loss, loss / np.log(2)

    return measure


def evaluate(model: keras.Model, pairs: Codes, settings: dict[str, Any]) -> float:
    """Mean full-softmax loss in nats per target token."""
    total, count = 0.0, 0
    pairs = sorted(pairs, key=lambda pair: (len(pair[1]), len(pair[0])))
    for start in range(0, len(pairs), settings["batch_size"]):
        source, target = arrays(pairs[start : start + settings["batch_size"]])
        logits, wanted = model([source, target[:, :-1]], training=False)[0], target[:, 1:]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits).numpy()
        total, count = total + float(losses[wanted != PAD].sum()), count + int((wanted != PAD).sum())
    return total / max(count, 1)


def translate(lines: list[str], translator: Translator, vocabulary: Tokens, settings: dict[str, Any], width: int = 1) -> list[str]:
    """One line for each line; an empty one stays empty. No translation is longer than twice --max-length."""
    read = [as_read(vocabulary.encode(line.strip()), settings) for line in lines]
    there = [n for n, codes in enumerate(read) if codes]
    made = [""] * len(lines)
    for n, codes in zip(there, translator.translate([read[n] for n in there], 2 * settings["max_length"], width)):
        made[n] = vocabulary.decode(codes).strip()
    return made


def judge(split: data.Split, outputs: Any, score: Any, unit: str) -> tuple[dict[str, Any], str]:
    """Greedy and beam on the test pairs beside what needs no model; and the text of translations.txt."""
    sources, references = [list(side) for side in zip(*split.test)]
    greedy, beam = outputs(split.test), outputs(split.test, BEAM)
    results = {f"{unit}_greedy": score(greedy, references), f"{unit}_beam_{BEAM}": score(beam, references)}
    if unit == "bleu":
        near = data.Nearest(split.training)
        remembered = [near.translation(source) for source in sources]
        far = [n for n, pair in enumerate(split.test) if near.far(pair)]
        results |= {"chrf_greedy": chrf(greedy, references), f"chrf_beam_{BEAM}": chrf(beam, references)}
        results |= {"bleu_copy": score(sources, references), "bleu_nearest": score(remembered, references), "far_pairs": len(far)}
        for name, texts in (("greedy", greedy), (f"beam_{BEAM}", beam), ("nearest", remembered)):
            results[f"bleu_far_{name}"] = score([texts[n] for n in far], [references[n] for n in far])
    lines = (f"{source} | {output} | {reference}\n" for source, output, reference in zip(sources, beam, references))
    return results, "source | output | reference\n" + "".join(lines)


def training_steps(both: list[keras.Model], run: Run) -> list[Any]:
    """For times: a step of each model, on the batch in the middle of all by size."""
    from .training import read_json  # which imports the tasks by name

    settings, codes = run.settings, tf.TensorSpec([None, None], tf.int32)
    split = read_pairs(settings)
    vocabulary = tokens.from_json(read_json(run.path / "vocabulary.json"))
    kept = [each for each in numbers(split.training, vocabulary, settings) if fits(each, settings)]
    drawn = Negatives(len(vocabulary), settings["sampled"], "--sampled") if settings["sampled"] else None
    found = sorted(batches(kept, drawn, settings, 1), key=lambda batch: batch[1].size)
    batch, specs = found[len(found) // 2], (codes, codes, tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32))
    made = [models.make_step(m, models.optimizer(settings, m), make_measure(m, drawn), *specs) for m in both]
    return [lambda step=step: float(step(*batch)[0]) for step in made]


def told(results: dict[str, Any], unit: str) -> list[str]:
    if unit != "bleu" or results["bleu_greedy"] > max(results["bleu_copy"], results["bleu_nearest"]):
        return []
    return ["The model does not beat the translation of the nearest training sentence: train it longer."]


def shortest_of(pairs: list[data.Pair]) -> str:
    """A source to show: of the first ones, the longest that a picture can hold."""
    return max((source for source, _ in pairs[:50]), key=lambda source: len(source) if len(source) <= 40 else -len(source))


def picture(source: str, translator: Translator, vocabulary: Tokens, settings: dict[str, Any], width: int = BEAM) -> Any:
    """Where the decoder looked while it wrote the translation of `source`."""
    read, target, p = look(source, translator, vocabulary, settings, width)
    return translation_plots.attention(p, read, target)


Look = tuple[list[str], list[str], Array]


def look(source: str, translator: Translator, vocabulary: Tokens, settings: dict[str, Any], width: int) -> Look:
    """The tokens of the source and of its translation with its end, and the weights [T,S], the source from left to right."""
    codes = vocabulary.encode(source.strip())
    read = as_read(codes, settings)
    (made,) = translator.translate([read], 2 * settings["max_length"], width)
    p = translator.weights(read, made)
    names = [vocabulary.tokens[code] for code in codes], [vocabulary.tokens[code] for code in (*made, EOS)]
    return *names, p[:, ::-1] if settings["reverse"] else p
