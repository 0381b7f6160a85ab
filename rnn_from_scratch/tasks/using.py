"""The commands that use a trained model, predict and generate; cli.py adds them to its own."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..data import InputError
from . import PRESETS, nearest, rundir
from .commands import load
from .rundir import replace
from .settings import check_values, option

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LIMIT, LENGTH = 10, 300
GUESS = 0.6  # a digit whose probability is below this is told as one
TABLE: dict[str, Any] = {"box": None, "header_style": "bold", "pad_edge": False}


def choice(text: str, default: Any = None, **more: Any) -> Any:
    """An option that is None unless given, so that a run of another task can refuse it."""
    return typer.Option(help=text if default is None else rf"{text} \[default: {default}]", show_default=False, **more)


def refuse(why: str, **given: Any) -> None:
    """Raise InputError for an option that was given and would change nothing."""
    for name, value in given.items():
        if value is not None and value is not False:  # 0 was given, too
            raise InputError(f"{option(name)}: {why}; leave it out")


def predict(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of an mnist task, of load or of word2vec.")],
    data: Annotated[
        str | None,
        choice("mnist: PNG of 28 x 28, IDX file of images, folder of IDX files, or keras; load: table in a file.", "embedded"),
    ] = None,
    column: Annotated[str | None, choice("load: the column to read, where it is not the run's.")] = None,
    decimal: Annotated[str | None, choice("load: the mark before a fraction, . or , if it is not the run's.")] = None,
    fill: Annotated[str | None, choice("load: what fills gaps: previous-day or linear, if not the run's.")] = None,
    words: Annotated[str | None, choice("word2vec: the words asked about, with commas between them.")] = None,
    among: Annotated[int | None, choice("word2vec: look among so many of the commonest words.", nearest.AMONG, min=1)] = None,
    limit: Annotated[int | None, choice("How many to print: digits, values, words.", f"{LIMIT}; all digits with --json", min=1)] = None,
    invert: Annotated[
        bool | None, typer.Option("--invert/--no-invert", help="mnist: the digits are dark on bright paper; else a PNG's border decides.")
    ] = None,
    json: Json = False,
) -> None:
    """Use a trained model: digits and how sure they are; the load that comes after the last row; the words nearest to a word."""
    reading = {"column": column, "decimal": decimal, "fill": fill}
    if rundir.is_run(run_dir) and PRESETS.get(rundir.read(run_dir).record["task"], ("",))[0] == "word2vec":  # needs NumPy alone
        refuse("word2vec reads words alone", data=data, **reading, invert=None if invert is None else "given")
        near = nearest.predict(run_dir, words, limit or LIMIT, among or nearest.AMONG)
        if json:
            print(json_module.dumps({word: dict(found) for word, found in near.items()}, ensure_ascii=False))
        for word, found in () if json else near.items():
            print(f"{word}: {' '.join(name for name, _ in found)}")
        return
    load()
    from . import load as load_task
    from . import mnist, training

    console = Console()
    refuse("only word2vec has words", words=words, among=among)
    if training.task_of(run_dir, "mnist", "load") == "load":
        refuse("load forecasts numbers, not pictures", invert=None if invert is None else "given")
        given = {name: value for name, value in reading.items() if value is not None}
        check_values(given)
        values, read = load_task.predict(run_dir, data, limit or LIMIT, **given)
        if json:
            print(json_module.dumps({"source": read.source, "notes": read.notes, "forecast": values.tolist()}))
            return
        for line in (*read.notes, f"after the last row of {read.source}"):
            console.out(line, highlight=False)
        table = Table("steps ahead", "load", **TABLE)
        for n, value in enumerate(values, 1):
            table.add_row(str(n), f"{value:,.4g}")
        console.print(table)
        return
    refuse("mnist reads pictures, not tables", **reading)
    p, labels, where = mnist.predict(run_dir, data, invert=invert)
    digits = p.argmax(axis=1)
    if json:
        shown = slice(limit)
        guess = (p.max(axis=1) < GUESS)[shown].tolist()
        answers = {"read": digits[shown].tolist(), "guess": guess, "probabilities": p[shown].round(6).tolist()}
        print(json_module.dumps({"source": where, **answers}))
        return
    console.out(f"{len(p):,} from {where}", highlight=False)
    table = Table("image", "read as", "sure", *([] if labels is None else ["truly"]), **TABLE)
    for n in range(min(limit or LIMIT, len(p))):
        sure = p[n, digits[n]]
        words = f"{sure:.1%}" + (", a guess" if sure < GUESS else "")
        table.add_row(str(n), str(digits[n]), words, *([] if labels is None else [str(labels[n])]))
    console.print(table)
    if labels is not None:
        console.out(f"accuracy {(digits == labels).mean():.2%} of {len(p):,}", highlight=False)


def generate(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of char or of a series task.")],
    length: Annotated[int | None, choice("char: characters to write; series: values to make.", LENGTH, min=1)] = None,
    prime: Annotated[str | None, choice(r"char: what the text begins with; \n is a new line.", r"\n, or what the text has instead")] = None,
    temperature: Annotated[float | None, choice("char: below 1 is surer, above 1 is bolder.", 1.0, min=0.01)] = None,
    argmax: Annotated[bool, typer.Option("--argmax", help="char: always the likeliest character.")] = False,
    tunes: Annotated[int | None, choice("char: so many ABC tunes instead, judged at the end.", min=1)] = None,
    seed: Annotated[int | None, choice("char: of the drawing.", 0, min=0)] = None,
    out: Annotated[Path | None, choice("series: the picture.", "creation.png in the run", dir_okay=False)] = None,
    json: Json = False,
) -> None:
    """Let a trained model go on by itself: text after --prime; values of the series from zeros and from a real window."""
    load()
    from . import plots, sampling, series, training

    if training.task_of(run_dir, "char", "series") == "series":
        refuse("a series draws nothing at random", prime=prime, temperature=temperature, argmax=argmax, tunes=tunes, seed=seed)
        plots.check_name(out)
        created, picture = series.generate(run_dir, length or LENGTH)
        replace(out or run_dir / "creation.png", lambda path: picture.savefig(path, dpi=160))
        if json:
            print(json_module.dumps({name: values.tolist() for name, values in created.items()}))
        for name, values in () if json else created.items():
            new = values[-(length or LENGTH) :]
            print(f"from {name}: {len(new)} new values from {new.min():.3g} to {new.max():.3g}")
        return
    refuse("char writes text, not a picture", out=out)
    if argmax:
        refuse("--argmax draws nothing at random", temperature=temperature, seed=seed)
    heat = 0.0 if argmax else temperature or 1.0
    if tunes:
        from ..data import abc

        refuse("--tunes begin and end by themselves", prime=prime, length=length)
        made = sampling.generate_tunes(run_dir, tunes, heat, seed or 0)
        print(json_module.dumps(made) if json else "\n\n".join(made))
        typer.echo(f"{abc.accepted(made):.0%} of {tunes} are well formed", err=True)
        return
    text = sampling.generate(run_dir, None if prime is None else prime.replace("\\n", "\n"), length or LENGTH, heat, seed or 0)
    if json:
        print(json_module.dumps("".join(text)))
        return
    for character in text:
        print(character, end="", flush=True)
    print()
