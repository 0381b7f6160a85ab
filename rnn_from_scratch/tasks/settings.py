"""Checks of what the user set, before anything is loaded or written."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np

from .. import backends, cells
from ..data import InputError
from ..data.load import FILLS
from ..data.tokens import KINDS
from . import EMBEDDED, PRESETS

WHOLE = ("a whole number of at least 1", lambda value: isinstance(value, int) and value >= 1)
COUNT = ("a whole number of at least 0", lambda value: isinstance(value, int) and value >= 0)
ABOVE_0 = ("a number above 0", lambda value: 0 < value < float("inf"))
AT_LEAST_0 = ("a number of at least 0", lambda value: 0 <= value < float("inf"))
RULES: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("layers", "units", "epochs", "batch_size", "steps", "period", "horizon", "embedding", "bptt"), WHOLE),
    **dict.fromkeys(("vocabulary", "window", "negatives", "batches", "max_length"), WHOLE),
    **dict.fromkeys(("seed", "projection", "examples", "patience", "sampled"), COUNT),
    **dict.fromkeys(("learning_rate", "resolution", "span", "decay", "init_range"), ABOVE_0),
    **dict.fromkeys(("clip", "save_every"), AT_LEAST_0),
    "data": ("the name of a file or folder", lambda value: value != ""),
    "dropout": ("a number from 0 to below 1", lambda value: 0 <= value < 1),
    **{
        name: (f"one of {', '.join(choices)}", choices.__contains__)
        for name, choices in (
            ("optimizer", ("adam", "adagrad", "rmsprop", "sgd")),
            ("readout", ("top", "all")),
            ("head", ("stacked", "per_step")),
            ("decimal", (".", ",")),
            ("fill", FILLS),
            ("tokens", KINDS),
        )
    },
}


def option(name: str) -> str:
    return "--" + name.replace("_", "-")


def as_options(values: dict[str, Any]) -> list[str]:
    """Settings as a user would type them."""
    typed: list[str] = []
    for name, value in values.items():
        typed += [option(name if value else f"no_{name}")] if isinstance(value, bool) else [option(name), str(value)]
    return typed


def meant(word: Any, names: Iterable[str]) -> str:
    """The end of a message about an unknown word: the name that looks most like it, if one does."""
    plain = {name.replace("_", "").replace("-", ""): name for name in names}
    found = get_close_matches(str(word).lower().replace("_", "").replace("-", ""), list(plain), n=1)
    return f"; did you mean {plain[found[0]]}?" if found else ""


def check_values(given: dict[str, Any]) -> None:
    """Raise InputError for a value out of its range."""
    for name, value in given.items():
        expected, holds = RULES.get(name, ("", lambda value: True))
        if not holds(value):
            choices = expected.removeprefix("one of ").split(", ") if expected.startswith("one of ") else ()
            raise InputError(f"{option(name)}: expected {expected}, got {value}" + meant(value, choices))


def settings_of(preset: str, data: Any) -> dict[str, Any]:
    """What a preset sets, where --data is `data`."""
    return {**PRESETS[preset][1], **(EMBEDDED.get(preset, {}) if data is None else {})}


def check(preset: str, given: dict[str, Any]) -> dict[str, Any]:
    """The given settings, the cell under its own name. Raises InputError for what is unknown or out of range."""
    if preset not in PRESETS:
        raise InputError(f"task: expected {', '.join(PRESETS)}, got {preset!r}" + meant(preset, PRESETS))
    settings = settings_of(preset, given.get("data"))
    for name in given:
        if name not in settings:
            raise InputError(f"{option(name)}: {preset} has no such setting; it has {', '.join(map(option, settings))}")
    check_values(given)
    wanted = {**settings, **given}
    if "cell" not in wanted:
        return given
    try:
        cell = cells.by_name(wanted["cell"], activation=wanted["activation"])
        backends.usable(wanted["backend"], cell, {}, np.zeros((1, 1, 1), "float32"))
    except ValueError as error:
        raise InputError(f"--{error}" + meant(wanted["cell"], cells.CELLS if str(error).startswith("cell: ") else ())) from error
    name = next(name for name, kind in cells.CELLS.items() if kind is type(cell))
    return {**given, "cell": name} if "cell" in given else given
