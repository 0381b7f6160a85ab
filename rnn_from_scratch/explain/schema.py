"""Checks of a document, rnn-explain/1, that somebody else may have written: what is wrong is said by name. schema.json says the same
in the words of JSON Schema.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..data import InputError
from .expect import DocumentError, check_array, expect, one_of, whole
from .record import SCHEMA

KINDS = ("cell", "text", "rows", "series", "translation")
READS = ("all", "last", "last of every layer")
ACTIVATIONS = ("softmax", "linear")


def read(path: Path) -> dict[str, Any]:
    """The document in a JSON file. Raises InputError."""
    try:
        doc = json.loads(path.read_text(encoding="utf-8"), parse_constant=no_constant)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: not a document of rnn-explain: nested too deeply") from error
    try:
        check(doc)
    except DocumentError as wrong:
        raise InputError(f"{path}: {wrong}") from wrong
    return doc


def no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def check(doc: Any) -> None:
    """Raise DocumentError unless this is a document that the page can compute from. Unknown fields are left alone."""
    expect("", doc, isinstance(doc, dict), "an object")
    schema = doc.get("schema")
    if schema != SCHEMA:
        newer = isinstance(schema, str) and schema.startswith("rnn-explain/")
        way = "; a newer version of rnn_from_scratch reads it" if newer else ""
        raise DocumentError(f"schema: expected {SCHEMA!r}, got {schema!r}{way}")
    for name in ("made_by", "title"):
        expect(name, doc.get(name), isinstance(doc.get(name), str), "a text")
    one_of("kind", doc.get("kind"), KINDS)
    layers = doc.get("layers")
    expect("layers", layers, isinstance(layers, list) and len(layers) > 0, "a list of at least one layer")
    for n, layer in enumerate(layers):
        check_layer(f"layers[{n}]", layer)
        if n and layer["inputs"] != layers[n - 1]["units"]:
            got = f"{layer['inputs']} above {layers[n - 1]['units']} units"
            raise DocumentError(f"layers[{n}].inputs: expected as many as the layer below has units, got {got}")
    steps = check_input(doc, layers[0]["inputs"])
    keys = check_encoder(doc.get("encoder"), layers)
    check_head(doc.get("head"), layers, keys)
    expect("lengths", doc.get("lengths"), doc.get("lengths") is None or whole(doc["lengths"], steps + 1), f"null or 0 to {steps}")
    check_initial(doc.get("initial_state"), layers)
    names = doc.get("names")
    expect("names", names, isinstance(names, dict), "an object of lists")
    for name in ("inputs", "outputs", "steps", "vocabulary"):
        values = names.get(name)
        expect(f"names.{name}", values, isinstance(values, list) and all(isinstance(v, str) for v in values), "a list of texts")
    check_loss(doc.get("loss"), doc, steps)
    check_check(doc.get("check"))
    check_source("source", doc.get("source"))
    if doc.get("run") is not None:
        expect("run.settings", doc["run"], isinstance(doc["run"], dict) and isinstance(doc["run"].get("settings"), dict), "an object")


def check_layer(name: str, layer: Any) -> None:
    expect(name, layer, isinstance(layer, dict), "an object")
    for field in ("cell", "file"):
        expect(f"{name}.{field}", layer.get(field), isinstance(layer.get(field), str), "a text")
    for field in ("inputs", "units"):
        expect(f"{name}.{field}", layer.get(field), whole(layer.get(field), least=1), "a whole number of at least 1")
    for field in ("gates", "states", "saved"):
        values = layer.get(field)
        expect(f"{name}.{field}", values, isinstance(values, list) and all(isinstance(v, str) for v in values), "a list of names")
    expect(f"{name}.states", layer["states"], len(layer["states"]) > 0, "at least one name")
    expect(f"{name}.go_backwards", layer.get("go_backwards"), isinstance(layer.get("go_backwards"), bool), "true or false")
    params = layer.get("params")
    expect(f"{name}.params", params, isinstance(params, dict) and {"Wx", "Wh"} <= set(params), "an object with Wx and Wh")
    columns = len(layer["gates"]) * layer["units"]
    shapes = {"Wx": [layer["inputs"], columns], "Wh": [layer["units"], columns], "b": [columns], "bx": [columns], "bh": [columns]}
    for key, a in params.items():
        check_array(f"{name}.params.{key}", a, shapes.get(key))
    if layer.get("source") is not None:
        check_source(f"{name}.source", layer["source"])


def check_input(doc: dict[str, Any], inputs: int) -> int:
    """Returns the number of steps."""
    given: Any = doc.get("input")
    before: Any = doc.get("before")
    expect("input", given, isinstance(given, dict) and ("x" in given) != ("codes" in given), "an object with x or codes")
    expect("before", before, before is None or (isinstance(before, dict) and len(before) == 1), "null, embedding or dense")
    if "codes" in given:
        if not before or "embedding" not in before:
            raise DocumentError("before: expected an embedding, since input.codes are given")
        check_array("before.embedding", before["embedding"])
        rows, codes = before["embedding"]["shape"][0], given["codes"]
        shown = f"codes below {rows}, at least one"
        expect("input.codes", codes, isinstance(codes, list) and len(codes) > 0 and all(whole(c, rows) for c in codes), shown)
        check_array("before.embedding", before["embedding"], [rows, inputs])
        return len(codes)
    check_array("input.x", given["x"])
    shape = given["x"]["shape"]
    expect("input.x.shape", shape, len(shape) == 2 and min(shape) > 0, "[T, I]")
    if before:
        dense = before.get("dense")
        expect("before.dense", dense, isinstance(dense, dict) and {"W", "b"} <= set(dense), "an object with W and b")
        check_array("before.dense.W", dense["W"], [shape[1], inputs])
        check_array("before.dense.b", dense["b"], [inputs])
    elif shape[1] != inputs:
        raise DocumentError(f"input.x: expected [T, I] = [T, {inputs}], got {shape}")
    return shape[0]


def check_encoder(encoder: Any, decoder: list[dict[str, Any]]) -> int | None:
    """Returns the units of its top layer, the numbers of a key; None if there is no encoder."""
    if encoder is None:
        return None
    fields = {"layers", "embedding", "codes", "replacements", "reversed", "names"}
    expect("encoder", encoder, isinstance(encoder, dict) and fields <= set(encoder), f"null, or {', '.join(sorted(fields))}")
    layers = encoder["layers"]
    as_many = isinstance(layers, list) and len(layers) == len(decoder)
    expect("encoder.layers", layers, as_many, f"{len(decoder)} layers, as the decoder has")
    for n, (layer, other) in enumerate(zip(layers, decoder)):
        check_layer(f"encoder.layers[{n}]", layer)
        for field in ("units", "states"):  # the last states are the decoder's first
            expect(f"encoder.layers[{n}].{field}", layer[field], layer[field] == other[field], f"{other[field]}, as in the decoder")
        if n:
            expect(
                f"encoder.layers[{n}].inputs", layer["inputs"], layer["inputs"] == layers[n - 1]["units"], "the units of the layer below"
            )
    check_array("encoder.embedding", encoder["embedding"])
    rows = encoder["embedding"]["shape"][0]
    check_array("encoder.embedding", encoder["embedding"], [rows, layers[0]["inputs"]])
    for field, least in (("codes", 1), ("replacements", 2)):
        codes, shown = encoder[field], f"codes below {rows}, at least {least}"
        expect(f"encoder.{field}", codes, isinstance(codes, list) and len(codes) >= least and all(whole(c, rows) for c in codes), shown)
    names = encoder["names"]
    texts = isinstance(names, list) and len(names) == rows and all(isinstance(v, str) for v in names)
    expect("encoder.names", names, texts, f"{rows} texts")
    expect("encoder.reversed", encoder["reversed"], isinstance(encoder["reversed"], bool), "true or false")
    return layers[-1]["units"]


def check_head(head: Any, layers: list[dict[str, Any]], keys: int | None) -> None:
    if head is None:
        return
    expect("head", head, isinstance(head, dict) and {"W", "b", "activation", "reads"} <= set(head), "null, or W, b, activation and reads")
    one_of("head.activation", head["activation"], ACTIVATIONS)
    one_of("head.reads", head["reads"], READS)
    rows = sum(layer["units"] for layer in layers) if head["reads"] == READS[2] else layers[-1]["units"]
    if (attention := head.get("attention")) is not None:
        expect("head.attention", attention, keys is not None and isinstance(attention, dict) and set(attention) == {*"WVb"}, "W, V, b")
        check_array("head.attention.b", attention["b"])
        units = math.prod(attention["b"]["shape"])
        check_array("head.attention.W", attention["W"], [rows, keys or 0])
        check_array("head.attention.V", attention["V"], [(keys or 0) + rows, units])
        rows = units
    check_array("head.b", head["b"])
    expect("head.b.shape", head["b"]["shape"], len(head["b"]["shape"]) == 1 and head["b"]["shape"][0] > 0, "[V]")
    check_array("head.W", head["W"], [rows, head["b"]["shape"][0]])


def check_initial(states: Any, layers: list[dict[str, Any]]) -> None:
    if states is None:
        return
    needed = [layer["units"] for layer in layers for _ in layer["states"]]
    expect("initial_state", states, isinstance(states, list) and len(states) == len(needed), f"null or {len(needed)} arrays")
    for n, (a, units) in enumerate(zip(states, needed)):
        check_array(f"initial_state[{n}]", a, [units])


def check_loss(loss: Any, doc: dict[str, Any], steps: int) -> None:
    top = doc["layers"][-1]
    outputs = doc["head"]["b"]["shape"][0] if doc.get("head") else top["units"]
    expect("loss", loss, isinstance(loss, dict) and ("state" in loss) != ("output" in loss), "an object with state or output")
    expect("loss.step", loss.get("step"), whole(loss.get("step", steps - 1), steps), f"0 to {steps - 1}")
    if "state" in loss:
        one_of("loss.state", loss["state"], tuple(top["states"]))
        expect("loss.unit", loss.get("unit"), whole(loss.get("unit"), top["units"]), f"0 to {top['units'] - 1}")
    else:
        expect("loss.output", loss["output"], whole(loss["output"], outputs), f"0 to {outputs - 1}")


def check_check(check: Any) -> None:
    expect("check", check, isinstance(check, dict) and isinstance(check.get("allowed"), float) and check["allowed"] > 0, "allowed, above 0")
    for name, value in check.items():
        if isinstance(value, list):
            numbers = all(isinstance(v, (int, float)) and math.isfinite(v) for v in value)
            expect(f"check.{name}", value, numbers, "a list of numbers")
        elif name != "allowed":
            check_array(f"check.{name}", value)


def check_source(name: str, source: Any) -> None:
    for way in ("forward", "backward"):
        lines = source.get(way) if isinstance(source, dict) else None
        expect(f"{name}.{way}", lines, isinstance(lines, list), "a list of lines")
        for n, line in enumerate(lines or []):
            right = isinstance(line, dict) and isinstance(line.get("line"), str)
            for field in ("sets", "says"):
                right = right and isinstance(line.get(field), list) and all(isinstance(v, str) for v in line[field])
            right = right and whole(line.get("phase")) and whole(line.get("number"))
            expect(f"{name}.{way}[{n}]", line, right, "line, number, phase, sets and says")
            if way == "backward":
                numbers = line.get("undoes_lines")
                expect(
                    f"{name}.{way}[{n}].undoes_lines", numbers, isinstance(numbers, list) and all(map(whole, numbers)), "numbers of lines"
                )
