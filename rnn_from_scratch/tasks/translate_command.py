"""The command translate: one line in, one line out, with a model that `train translate` made."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data import InputError
from ..data.files import text_lines
from . import rundir
from .commands import load

BEAM, WIDEST = 4, 100
Chosen = tuple[Any, Any, dict[str, Any]]  # translator, tokens, settings


def translate(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of translate.")],
    text: Annotated[str | None, typer.Option(help="What to translate; else --file, or standard input, line by line.")] = None,
    file: Annotated[Path | None, typer.Option(help="A text file, plain or .gz, translated line by line.")] = None,
    beam: Annotated[int, typer.Option(help="Candidates kept side by side; 1 always takes the likeliest token.", min=1, max=WIDEST)] = BEAM,
    attention: Annotated[Path | None, typer.Option(help="Picture of where the decoder looked, for one line.", dir_okay=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="A line of JSON for each: source, translation, tokens, attention.")] = False,
) -> None:
    """Translate with a trained model: one line out for each line in; an empty one stays empty."""
    if text is not None and file is not None:
        raise InputError("--text and --file: expected one of them, got both")
    lines = [text] if text is not None else list(text_lines(file)) if file is not None else None
    if text is not None:
        check_text(text)
    load()
    from . import plots
    from . import translate as task

    chosen = restore(run_dir)
    if attention is not None:
        check_picture(attention, chosen, run_dir)
        plots.check_name(attention, "--attention")
    lines = read_input() if lines is None else lines
    if attention is not None and len(lines) != 1:
        raise InputError(f"--attention: expected one line to draw, got {len(lines)}; give it by --text")
    translator, vocabulary, settings = chosen
    for note in notes(lines, vocabulary, settings):
        typer.echo(note, err=True)
    if json:
        for line in lines:
            print(json_module.dumps(described(line, chosen, beam), ensure_ascii=False))
    else:
        for made in task.translate(lines, translator, vocabulary, settings, beam):
            print(made)
    if attention is not None:
        figure = task.picture(lines[0], translator, vocabulary, settings, beam)
        rundir.replace(attention, lambda path: figure.savefig(path, dpi=160))


def check_text(text: str) -> str:
    """The text. Raises InputError unless there is one line of it."""
    if not text.strip():
        raise InputError("--text: expected some text, got none")
    if "\n" in text.strip():
        raise InputError("--text: expected one line; give several by --file or standard input")
    return text


def check_picture(path: Path, chosen: Chosen, run_dir: Path) -> None:
    if not chosen[2]["attention"]:
        raise InputError(f"--attention: {run_dir} was trained with --no-attention: there is nothing to draw")
    if path.exists():
        raise InputError(f"--attention {path}: exists already; nothing is written over")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--attention {path}: no such folder: {path.parent}")


def restore(run_dir: Path) -> Chosen:
    """The translator of a run, wherever its folder lies now. Raises InputError."""
    from ..data import tokens
    from .training import load_model, read_json
    from .translator import Translator

    run, model = load_model(run_dir, "translate")
    path = run.path / "vocabulary.json"
    try:
        vocabulary = tokens.from_json(read_json(path))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged: expected kind, tokens and merges") from error
    if len(vocabulary) != model.outputs[0].shape[-1]:
        raise InputError(f"{path}: damaged: expected {model.outputs[0].shape[-1]:,} tokens, got {len(vocabulary):,}")
    return Translator(model, run.settings), vocabulary, run.settings


def read_input() -> list[str]:
    """The lines of standard input. Raises InputError if they are not UTF-8."""
    content = sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode("utf-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"standard input, line {line}: not UTF-8: byte {content[error.start]:#04x}") from error
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def notes(lines: list[str], vocabulary: Any, settings: dict[str, Any]) -> list[str]:
    """What the translations of some lines suffer from, in a line each."""
    from ..data.tokens import UNKNOWN

    codes = [vocabulary.encode(line.strip()) for line in lines]
    unknown = [n for n, found in enumerate(codes, 1) if UNKNOWN in found]
    long = [n for n, found in enumerate(codes, 1) if len(found) > settings["max_length"]]
    told = []
    if unknown:
        told.append(f"note: line {unknown[0]}{more(unknown)}: has what the training never had; it is read as <unk>")
    if long:
        told.append(f"note: line {long[0]}{more(long)}: longer than the {settings['max_length']} tokens of training; expect little")
    return told


def more(lines: list[int]) -> str:
    return f" and {len(lines) - 1} more" if len(lines) > 1 else ""


def described(line: str, chosen: Chosen, beam: int) -> dict[str, Any]:
    """What --json says of a line."""
    from . import translate as task

    translator, vocabulary, settings = chosen
    (made,) = task.translate([line], translator, vocabulary, settings, beam)
    found: dict[str, Any] = {"source": line, "translation": made}
    if settings["attention"] and line.strip():
        read, written, p = task.look(line, translator, vocabulary, settings, beam)
        found |= {"read": read, "written": written, "attention": p.astype("float64").round(4).tolist()}
    return found
