"""One HTML file from a document: the sources of web/ joined, no network, the same bytes for the same document."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import InputError
from ..typing import Array
from .arrays import array_of
from .record import Layer, document

WEB = Path(__file__).parent / "web"
SCRIPTS = ("loop.js", "model.js", "ui.js", "state.js", "grid.js", "lines.js", "knobs.js", "reach.js", "heat.js", "check.js")
MOST = 8_000_000  # bytes of a page
FEWER, SMALLER = "choose fewer steps or units", "train one with fewer units, layers or tokens, or draw it by plot"  # of a model; of a run


def page(layers: Sequence[Layer], x: Array, *, out: str | Path, **more: Any) -> Path:
    """Write a page that shows a model of yours at work on one sequence, and computes every number again in the reader's browser.

    layers  (cell, params) for each layer, from the bottom up; (cell, params, {"go_backwards": True}) reads backwards
    x       [T,I] or [1,T,I]; with before={"embedding": E [V,D]} the codes [T]
    out     the HTML file

    more: before, {"embedding": E} or {"dense": {"W": [K,I], "b": [I]}}; head, {"W", "b", "activation": "softmax" or "linear",
    "reads": "all", "last" or "last of every layer"}; labels, the names of the head's outputs; vocabulary, the characters of the codes;
    inputs, the names of x's columns; lengths, how many steps are live; initial_state, flat, [H] for every state of every layer;
    loss, {"state": "c", "unit": 0} or {"step": 5, "output": 2}; title; kind, "cell", "text", "rows" or "series";
    scale, {"mean", "divide"} of a series; run, what is told of where the model is from.

    Returns the path. Raises ValueError or TypeError as forward does, InputError for a page above 8 MB or a file that cannot be written.

    >>> import tempfile
    >>> import numpy as np
    >>> from rnn_from_scratch import cells, init_params
    >>> from rnn_from_scratch.explain import page
    >>> cell = cells.LSTM()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = page([(cell, init_params(cell, inputs=2, units=3))], np.ones((5, 2)), out=f"{folder}/mine.html")
    ...     print(made.name, made.stat().st_size < 90_000)
    mine.html True
    """
    return write(Path(out), render(document(layers, x, **more)))


def save(layers: Sequence[Layer], x: Array, *, out: str | Path, **more: Any) -> Path:
    """Write the document that a page would compute from, as JSON (rnn-explain/1), for `rnn-from-scratch explain FILE.json`.

    layers, x, out, more   as in page

    Returns the path. Raises ValueError, TypeError or InputError as page does.
    """
    return write(Path(out), text_of(document(layers, x, **more)) + "\n")


def write(path: Path, text: str, smaller: str = FEWER) -> Path:
    """Write a file; `smaller` says what to do where it is too large. Raises InputError."""
    if len(text.encode()) > MOST:
        raise InputError(f"{path}: expected at most {MOST / 1e6:g} MB, got {len(text.encode()) / 1e6:.1f} MB; {smaller}")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def text_of(doc: dict[str, Any]) -> str:
    """A document as JSON that can stand in a script element: no < at all."""
    return json.dumps(doc, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def render(doc: dict[str, Any]) -> str:
    """The page of a document."""
    parts = {
        "title": html.escape(doc["title"]),
        "made_by": html.escape(doc["made_by"]),
        "style": source("style.css"),
        "recorded": recorded(doc),
        "data": text_of(doc),
        "script": twins(doc) + "".join(source(name) for name in (*SCRIPTS, *task_scripts(doc["kind"]), "main.js")),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], source("page.html"))


def task_scripts(kind: str) -> tuple[str, ...]:
    """What a page of a run has besides."""
    return () if kind == "cell" else ("strips.js", *(("attention.js",) if kind == "translation" else ()), f"{kind}.js")


def twins(doc: dict[str, Any]) -> str:
    """cells.js without the cells that the document has not: their rows of its table, and what then nobody names."""
    layers = [*doc["layers"], *((doc.get("encoder") or {}).get("layers", ()))]
    used, text = {layer["cell"] for layer in layers}, source("cells.js")
    table = dict(re.findall(r"^  (\w+): \(.*?\) => (.*),$", text, re.M))
    kept = " ".join(made for name, made in table.items() if name in used)
    for name in table.keys() - used:
        text = re.sub(rf"^  {name}: \(.*\n", "", text, flags=re.M)
    for name in re.findall(r"^const (\w+) = \{\n  gates: ", text, re.M):
        if not re.search(rf"\b{name}\b", kept):
            text = re.sub(rf"^const {name} = \{{\n.*?^\}};\n\n", "", text, flags=re.M | re.S)
    return text


def source(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def recorded(doc: dict[str, Any]) -> str:
    """A plain table of unit 0 for a reader without JavaScript."""
    rows = {name: a for name, a in doc["check"].items() if isinstance(a, dict) and re.match(r"(states|saved|arriving|backward)\.", name)}
    if not rows:
        return "<p>Only what the head says is recorded, and no table of it.</p>"
    lines = []
    for name, a in rows.items():
        values = array_of(a)[:, 0]
        label = html.escape(name.replace("backward.", "").replace(".", " "))
        cells = "".join(f"<td>{v:.4g}</td>" for v in values)
        lines.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
    return f"<table><tbody>{''.join(lines)}</tbody></table>"
