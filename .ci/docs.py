"""Writes the static pages: python -W error .ci/docs.py FOLDER    the guides, from README.md on, and the API reference by pdoc

pdoc documents what it finds in a module's namespace. So names that are imported on first use are imported before, and the types of
named tuples, which Python keeps as text, are looked up before.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import typing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", PDOC_ALLOW_EXEC="1")  # TensorFlow runs uname when imported
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pdoc  # noqa: E402
from pdoc.render_helpers import to_html  # noqa: E402

# pdoc goes from a module to those in its __all__, or to all if it has none; the others are named here
MODULES = [
    *("rnn_from_scratch", "rnn_from_scratch.typing", "rnn_from_scratch.params", "rnn_from_scratch.bptt", "rnn_from_scratch.measure"),
    *("rnn_from_scratch.backends.truncated", "rnn_from_scratch.data", "rnn_from_scratch.interop"),
    *("rnn_from_scratch.verify", "rnn_from_scratch.verify.cases", "rnn_from_scratch.verify.parity", "rnn_from_scratch.verify.books"),
    *("rnn_from_scratch.verify.mutants", "rnn_from_scratch.verify.plugin", "rnn_from_scratch.layers", "rnn_from_scratch.tasks"),
    *("rnn_from_scratch.verify.functions.score", "rnn_from_scratch.explain"),
    *("rnn_from_scratch.verify.torch", "rnn_from_scratch.verify.jax"),
    *(["rnn_from_scratch.torch"] if find_spec("torch") else []),
]
ROOMS = ("rnn_from_scratch", "kernels", "bench", "tests")
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ max-width: 60em; margin: 2em auto; padding: 0 1em; font-family: system-ui, sans-serif; line-height: 1.45 }}
pre {{ background: #f4f4f4; padding: 0.7em; overflow-x: auto }} td, th {{ padding: 0.15em 0.6em; text-align: left; vertical-align: top }}
img {{ max-width: 100% }}</style></head><body><nav><a href="{up}index.html">rnn_from_scratch</a> |
<a href="{up}rnn_from_scratch.html">API reference</a></nav>{body}</body></html>
"""


def show_everything() -> None:
    """Put lazy names and the types of named tuples where pdoc looks for them."""
    for name in pdoc.extract.walk_specs(MODULES):
        module = import_module(name)
        for public in getattr(module, "__all__", ()):
            vars(module).setdefault(public, getattr(module, public))
    for name, module in list(sys.modules.items()):
        for item in list(vars(module).values()) if name.startswith("rnn_from_scratch") else ():
            if isinstance(item, type) and hasattr(item, "_fields") and item.__module__ == name:
                item.__new__.__annotations__ = typing.get_type_hints(item)


def target(page: Path) -> Path:
    """Where a guide goes, in the folder of the pages."""
    return Path("index.html") if page == Path("README.md") else page.with_suffix(".html")


def write_guide(page: Path, folder: Path) -> None:
    """One guide as HTML. Links to other guides lead to their pages, pictures are copied, links into the sources become plain text."""

    def link(found: re.Match[str]) -> str:
        words, to = found[1], found[2]
        if re.match("https?:", to):
            return found[0]
        if to.endswith(".md"):
            there = Path(os.path.normpath(page.parent / to))
            return f"[{words}]({os.path.relpath(target(there), target(page).parent)})"
        if to.endswith(".png"):
            (folder / page.parent).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / page.parent / to, folder / page.parent / to)
            return found[0]
        return words

    text = re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, (ROOT / page).read_text(encoding="utf-8"))
    title = re.search(r"^# (.+)", text, re.M)
    path = folder / target(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * (len(target(page).parts) - 1)
    path.write_text(PAGE.format(title=title[1] if title else page.name, up=up, body=to_html(text)), encoding="utf-8")


def main(folder: Path) -> None:
    show_everything()
    pdoc.pdoc(*MODULES, output_directory=folder)
    guides = [*ROOT.glob("*.md"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.md"))]
    for page in guides:
        write_guide(page.relative_to(ROOT), folder)
    print(f"{len(guides)} guides and {len(list(folder.rglob('*.html'))) - len(guides)} pages of the API in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
