"""The command plot: figures for a lecture, of a cell at its start or of a training run."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import cells
from ..data import InputError
from ..tasks.settings import meant, option
from .commands import cell_named, default, refuse

KINDS = {
    "gates": "heat maps of every gate and state",
    "reach": "how far the gradient reaches back",
    "spectrum": "eigenvalues of Wh and of products of Jacobians",
    "saturation": "how often gates are shut or open, relu units off",
    "memory": "the half-life of every unit",
    "unroll": "the unrolled graph with its numbers",
}
OF_RUNS = {
    "attention": "of a run of translate: where the decoder looks",
    "embedding": "of a run of word2vec: its words in the plane",
    "sharpness": "of a run on digits, trained once more: the largest eigenvalue of the Hessian",
}
EVERY = {**KINDS, **OF_RUNS}
FORMATS = ("svg", "png", "pdf", "gif")
UNITS = {"gates": 4, "unroll": 2}
STEPS = {"gates": 12, "unroll": 5}


def plot(
    kind: Annotated[str, typer.Argument(help="; ".join(f"{name}: {what}" for name, what in EVERY.items()))],
    of: Annotated[
        str | None, typer.Argument(metavar="[CELL | RUN_DIR]", help="reach without one: every cell at its start.", show_default=False)
    ] = None,
    units: Annotated[int | None, default("Cell: units.", "16; gates 4, unroll 2", min=1, max=256)] = None,
    steps: Annotated[int | None, default("Cell: steps.", "60; gates 12, unroll 5", min=2, max=400)] = None,
    activation: Annotated[str | None, default("Cell: tanh, relu, sigmoid, linear, hard_sigmoid.", None)] = None,
    reset_before: Annotated[bool, typer.Option("--reset-before", help="gru: the reset gate acts before the product.")] = False,
    unit: Annotated[int | None, default("unroll: which unit.", 0, min=0)] = None,
    layer: Annotated[int | None, default("Run: which layer, from the bottom.", 0, min=0)] = None,
    step: Annotated[int | None, default("spectrum: where the products begin.", 0, min=0)] = None,
    seed: Annotated[int | None, default("Of weights at the start.", 0, min=0)] = None,
    text: Annotated[str | None, default("attention: the sentence that is translated.", "one of its test data")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="A slide: 16:9, with large type.")] = False,
    out: Annotated[Path | None, default(f"The picture: {', '.join(FORMATS)} (gif: unroll).", "KIND.svg", dir_okay=False)] = None,
    numbers: Annotated[Path | None, typer.Option("--csv", help="The numbers in it, too.", dir_okay=False)] = None,
) -> None:
    """Pictures for a lecture: gates, reach, spectrum, saturation, memory, unroll; of a run attention, embedding, sharpness."""
    if kind not in EVERY:
        raise InputError(f"plot: expected one of {', '.join(EVERY)}, got {kind}{meant(kind, EVERY)}")
    for given, value, kinds in (("unit", unit, "unroll"), ("step", step, "spectrum"), ("text", text, "attention")):
        if value is not None and kind != kinds:
            raise InputError(f"--{given}: only {kinds} has it; leave it out")
    target = checked(kind, out, numbers)
    if of is None and kind != "reach":
        what = "RUN_DIR" if kind in OF_RUNS else "CELL, or a run directory"
        raise InputError(f"plot {kind}: of what? rnn-from-scratch plot {kind} {what}")
    of_a_cell = {"units": units, "steps": steps, "activation": activation, "reset_before": reset_before or None}
    import matplotlib

    from . import figures, run_figures, unroll

    if kind in OF_RUNS:
        refuse(f"{kind} has one form", **of_a_cell, layer=layer, wide=wide or None)
        assert of is not None
        if kind != "embedding":
            refuse(f"{kind} draws nothing at random", seed=seed)
        run = Path(of)
        draws = {"attention": lambda: run_figures.attention(run, text), "sharpness": lambda: run_figures.sharpness(run)}
        finish(draws.get(kind, lambda: run_figures.embedding(run, seed or 0))(), target, numbers)
        return

    sheet = figures.Sheet(wide)
    with matplotlib.rc_context(sheet.style()):
        if of is None:
            refuse("reach without a cell compares all of them", **of_a_cell, layer=layer)
            made = figures.reach_at_start(sheet, seed or 0)
        else:
            subject, trained = chosen(kind, of, of_a_cell, layer, seed)
            if kind == "unroll":
                limit(subject, unit or 0)
                if target.suffix.lower() == ".gif":
                    animate(target, unroll.frames(sheet, subject, unit or 0))
                made = unroll.unroll(sheet, subject, unit or 0)
            elif kind == "reach":
                at_start = figures.at_start(subject, seed or 0)
                named = {"trained": subject, "at the start": at_start} if trained else {"at the start": subject}
                made = figures.reaches(sheet, named, subject.title, seed or 0)
            elif kind == "spectrum":
                if (step or 0) >= subject.x.shape[1]:
                    raise InputError(f"--step: expected 0 to {subject.x.shape[1] - 1}, got {step}")
                made = figures.spectrum(sheet, subject, step or 0)
            else:
                draw: Callable[..., Any] = {"gates": figures.gates, "saturation": figures.saturation, "memory": figures.memory}[kind]
                made = draw(sheet, subject)
        finish(made, target, numbers)


def finish(made: tuple[Any, list[list[Any]]], target: Path, numbers: Path | None) -> None:
    """Write the figure, if it is no film, which is there already; and its numbers."""
    if target.suffix.lower() != ".gif":
        save(made[0], target)
    print(target)
    if numbers is not None:
        write(numbers, made[1])


def checked(kind: str, out: Path | None, numbers: Path | None) -> Path:
    """The file of the picture. Raises InputError for a name or a folder that cannot be, and for a default name that is taken."""
    from ..tasks.rundir import check_writable

    target = out or Path(f"{kind}.svg")
    if target.suffix[1:].lower() not in FORMATS or (target.suffix.lower() == ".gif" and kind != "unroll"):
        fitting = FORMATS if kind == "unroll" else FORMATS[:3]
        raise InputError(f"--out {target}: expected a name that ends in one of {', '.join(fitting)}")
    if out is None and target.exists():
        raise InputError(f"{target}: is here already; --out {target} writes it again")
    for name, path in (("--out", target), ("--csv", numbers)):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"{name} {path}: no such folder: {path.parent}")
        if path is not None:
            check_writable(path.absolute().parent, f"{name} {path}")
    return target


def chosen(kind: str, of: str, of_a_cell: dict[str, Any], layer: int | None, seed: int | None) -> tuple[Any, bool]:
    """The layer that is shown, and whether it was trained."""
    from . import subject

    if Path(of).is_dir():
        refuse("a run has its own model", **of_a_cell)
        if kind != "reach":
            refuse("a run has its own weights", seed=seed)
        layers = subject.of_run(Path(of))
        if (layer or 0) >= len(layers):
            raise InputError(f"--layer: expected 0 to {len(layers) - 1}, got {layer}")
        return layers[layer or 0], True
    if of not in cells.CELLS and ("/" in of or "\\" in of):
        raise InputError(f"{of}: no such run directory")
    refuse("a cell is one layer", layer=layer)
    cell = cell_named(of, of_a_cell["activation"], bool(of_a_cell["reset_before"]))
    units, steps = of_a_cell["units"] or UNITS.get(kind, 16), of_a_cell["steps"] or STEPS.get(kind, 60)
    return subject.of_cell(cell, units, steps, seed or 0), False


def limit(subject: Any, unit: int) -> None:
    from .unroll import MOST

    (T, H) = subject.x.shape[1], subject.params["Wh"].shape[0]
    if T > MOST:
        raise InputError(f"unroll: expected at most {MOST} steps, got {T}; --steps {MOST}, or a cell instead of a run")
    if unit >= H:
        raise InputError(f"{option('unit')}: expected 0 to {H - 1}, got {unit}")


def save(figure: Any, path: Path) -> None:
    """Without the date: the same picture, the same bytes."""
    from ..tasks.rundir import replace

    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(path.suffix[1:].lower())
    replace(path, lambda temporary: figure.savefig(temporary, dpi=160, metadata=metadata))


def animate(path: Path, frames: list[Any]) -> None:
    from ..tasks.rundir import replace

    times = [700] * (len(frames) - 1) + [3000]  # milliseconds
    replace(path, lambda temporary: frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=times, loop=0))


def write(path: Path, table: list[list[Any]]) -> None:
    from ..tasks.rundir import replace

    def rows(temporary: Path) -> None:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(table)

    replace(path, rows)
    print(path)
