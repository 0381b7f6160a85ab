"""The command `lesson`: the path, a lesson in the terminal, as a page, as a notebook, or all of them as a site."""

from __future__ import annotations

import html
import importlib.util
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax

from .. import cells
from ..backends import emulator
from ..data import InputError
from ..tasks.rundir import check_writable, replace
from . import Lesson, lessons, render
from .exercises import EXERCISES

INTRODUCTION = """# RNNs from the inside out

Each lesson asks a question and answers it by running. At its end stand the claims that it makes: if one did not hold, this page
could not have been written. Read them in order, or begin with the one whose question is yours.
"""


def lesson(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[N | RUN_DIR ...]", help="Its number or name; none: all lessons. With --site: runs.")
    ] = None,
    no_predict: Annotated[bool, typer.Option("--no-predict", help="Do not wait for an answer to its question.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write it as one page, which needs no network.", dir_okay=False)] = None,
    notebook: Annotated[Path | None, typer.Option(help="Write it as a notebook.", dir_okay=False)] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Put its script into this folder, to change it.")] = False,
    site: Annotated[Path | None, typer.Option(help="Write all lessons, every cell and the runs named here.", file_okay=False)] = None,
) -> None:
    """Lessons that run: how recurrent networks work, from one neuron to the gates of an LSTM."""
    ways = {"--html": html, "--notebook": notebook, "--copy": copy, "--site": site, "--no-predict": no_predict}
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: expected one of them")
    if len(words or ()) > 1 and not site:
        raise InputError(f"lesson: expected one number or name, got {' '.join(words or ())}")
    which = words[0] if words else None
    if given and not site and not which:
        raise InputError(f"{given[0]}: which lesson? rnn-from-scratch lesson N {given[0]}")
    if site:
        write_site(site, [Path(word) for word in words or ()])
    elif which is None:
        for each in lessons():
            print(f"{each.number:<2}  {each.question}  ({each.minutes} minutes)")
    elif html:
        write(html, "--html", page(find(which)))
    elif notebook:
        found = find(which)
        write(notebook, "--notebook", render.notebook(found.path.read_text(encoding="utf-8"), [exercises_of(found)]))
    elif copy:
        put_beside(find(which).path)
    else:
        in_terminal(find(which), ask=not no_predict and sys.stdin.isatty() and sys.stdout.isatty())


def find(which: str) -> Lesson:
    """The lesson of this number or name. Raises InputError for an unknown one, and without matplotlib."""
    known = lessons()
    for each in known:
        if which.lower() in (str(each.number), f"{each.number:02}", each.name, each.path.stem):
            if importlib.util.find_spec("matplotlib") is None:
                raise InputError("lesson: needs matplotlib: pip install matplotlib")
            return each
    numbers = ", ".join(str(each.number) for each in known)
    raise InputError(f"lesson: expected one of {numbers}, got {which}; rnn-from-scratch lesson lists them")


def lacks(lesson: Lesson) -> str:
    """What this machine lacks to run a lesson; nothing if it can."""
    usable, why_not = emulator.available()
    return "" if usable or not lesson.needs_gxx else why_not


def put_beside(path: Path) -> None:
    """A file of ours into the current folder; never over another one."""
    target = Path(path.name)
    if target.exists():
        raise InputError(f"{target}: is here already; move it away first")
    write(target, "--copy", path.read_text(encoding="utf-8"))


def write(path: Path, option: str, text: str) -> None:
    if not path.absolute().parent.is_dir():
        raise InputError(f"{option} {path}: no such folder: {path.parent}")
    check_writable(path.absolute().parent, f"{option} {path}")
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    print(path)


def exercises_of(lesson: Lesson) -> render.Block:
    """The list of a lesson's exercises, as its last block."""
    rows = [f"- `rnn-from-scratch exercise {e.id}`: {e.title}" for e in EXERCISES.values() if e.lesson == lesson.number]
    return render.Block("markdown", "\n".join(["## Exercises", "", *(rows or ["None yet."])]), 0)


def played(lesson: Lesson) -> Any:
    """The steps of a lesson, and its exercises. Exit code 1 if one of its claims does not hold."""
    if lacks(lesson):
        raise InputError(f"lesson {lesson.number}: {lacks(lesson)}")
    try:
        yield from render.play(lesson.path)
    except AssertionError as error:
        line = next(frame.tb_lineno for frame in frames(error) if frame.tb_frame.f_code.co_filename == str(lesson.path))
        text = lesson.path.read_text(encoding="utf-8").splitlines()[line - 1].strip()
        typer.echo(f"lesson {lesson.number}: a claim does not hold here, line {line}: {text}", err=True)
        raise typer.Exit(1) from error
    yield render.Step(exercises_of(lesson))


def frames(error: BaseException) -> Any:
    trace = error.__traceback__
    while trace:
        yield trace
        trace = trace.tb_next


def page(lesson: Lesson, before: str = "", after: str = "") -> str:
    return render.page(lesson.question, "".join(map(render.part, played(lesson))), before, after)


def in_terminal(lesson: Lesson, ask: bool) -> None:
    """Read and run a lesson; its figure goes into this folder."""
    console, guess = Console(), ""
    for step in played(lesson):
        if guess and step.block.kind == "answer":
            console.print(f"You said {guess}.\n", markup=False, highlight=False)
        if step.block.kind == "code":
            console.print(Syntax(step.block.text, "python", theme="ansi_dark", background_color="default", word_wrap=True))
            console.print()
            for line in step.said.splitlines():
                console.out("  | " + line, highlight=False)
        else:
            console.print(Markdown(step.block.text, code_theme="ansi_dark"))
        console.print()
        if ask and step.block.kind == "predict":
            guess = typer.prompt("Your answer", prompt_suffix=": ").strip().lower()
            console.print()
        for figure in step.figures:
            name = Path(f"lesson_{lesson.number:02}.png")
            replace(name, partial(figure.savefig, dpi=160))
            console.out(f"The figure is in {name}.\n", highlight=False)
    after = [each for each in lessons() if each.number > lesson.number]
    if after:
        console.out(f"Next: rnn-from-scratch lesson {after[0].number}", highlight=False)


def write_site(folder: Path, runs: list[Path]) -> None:
    """index.html, a page for each lesson, one for each cell, and one for each run directory."""
    missing = [run for run in runs if not run.is_dir()]
    names = [f"run_{run.resolve().name}.html" for run in runs]
    if missing:
        raise InputError(f"--site: {missing[0]}: no such run directory; lessons are not named, the site has all of them")
    if len(set(names)) < len(names):
        raise InputError(f"--site: expected run directories of different names, got {' '.join(map(str, runs))}")
    from ..explain.commands import STEPS, UNITS
    from ..explain.example import example
    from ..explain.pages import SMALLER
    from ..explain.pages import page as page_of_cell
    from ..explain.pages import render as render_page
    from ..explain.pages import write as write_page

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--site {folder}: cannot be made: {error.strerror}") from error
    check_writable(folder, f"--site {folder}")
    known = [find(str(each.number)) for each in lessons() if not lacks(each)]
    rows = ["<table><thead><tr><th>Lesson</th><th>Question</th><th>Minutes</th></tr></thead><tbody>"]
    for before, each, after in zip([None, *known], known, [*known[1:], None]):
        rows.append(f"<tr><td>{each.number}</td><td>{link(each)}</td><td>{each.minutes}</td></tr>")
        ways = ['<a href="index.html">All lessons</a>']
        ways += [f"{word}: {link(to)}" for word, to in (("Before", before), ("Next", after)) if to]
        around = "".join(f"<span>{way}</span>" for way in ways)
        write(folder / f"{each.path.stem}.html", "--site", page(each, f"<header><nav>{around}</nav></header>\n"))
    for each in lessons():
        if each not in known:
            typer.echo(f"--site: without lesson {each.number}: {lacks(each)}", err=True)
            told = f"{html.escape(each.question)} (left out: it needs g++)"
            rows.append(f"<tr><td>{each.number}</td><td>{told}</td><td>{each.minutes}</td></tr>")
    rows += ["</tbody></table>\n<h2>The cells at work</h2>\n<p>Every number, forward and backward; turn it and see.</p>\n<ul>"]
    for name, cell in cells.CELLS.items():
        shown = example(cell(), UNITS, STEPS)
        print(page_of_cell([(shown.cell, shown.params)], shown.x, loss=shown.loss, out=folder / f"{name}.html"))
        rows.append(f'<li><a href="{name}.html">{cell.__name__}</a></li>')
    rows.append("</ul>\n")
    if runs:
        from ..explain.runs import document_of

        rows.append("<h2>Runs</h2>\n<ul>")
        for run, name in zip(runs, names):
            document = document_of(run)
            print(write_page(folder / name, render_page(document), SMALLER))
            rows.append(f'<li><a href="{html.escape(name)}">{html.escape(document["title"])}</a></li>')
        rows.append("</ul>\n")
    text = render.part(render.Step(render.Block("markdown", INTRODUCTION, 0)))
    write(folder / "index.html", "--site", render.page("Lessons", text + "".join(rows)))


def link(lesson: Lesson) -> str:
    return f'<a href="{lesson.path.stem}.html">{html.escape(lesson.question)}</a>'
