"""`make docs`: the static pages are written without a warning, every public module has one, and the guides' links lead to pages."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from ..conftest import ROOT
from ..helpers.guides import PAGES

pytestmark = [pytest.mark.check, pytest.mark.skipif(not find_spec("pdoc"), reason="needs pdoc: pip install 'rnn_from_scratch[docs]'")]
# modules with an __all__ that are no page of their own
INTERNAL = {
    "rnn_from_scratch.backends.reference": "called through rnn_from_scratch.backends",
    "rnn_from_scratch.backends.native": "called through rnn_from_scratch.backends",
    "rnn_from_scratch.lessons.exercises": "the command `exercise` alone uses it",
    "rnn_from_scratch.backends.emulator": "called through rnn_from_scratch.backends",
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-W", "error", ".ci/docs.py", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Warn" not in done.stderr
    return folder


def test_every_public_module_has_a_page(pages):
    for path in sorted((ROOT / "rnn_from_scratch").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name == "rnn_from_scratch.torch" and not find_spec("torch"):
            continue
        if re.search(r"^__all__ =", path.read_text(encoding="utf-8"), re.M) and name not in INTERNAL:
            assert (pages / f"{name.replace('.', '/')}.html").exists(), name


def test_lazy_names_are_documented(pages):
    assert 'id="gradcheck"' in (pages / "rnn_from_scratch.html").read_text(encoding="utf-8")
    assert 'id="to_onnx"' in (pages / "rnn_from_scratch/verify.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_guide_lead_to_pages(page, pages):
    path = pages / ("index.html" if page == "README.md" else page.replace(".md", ".html"))
    for link in re.findall(r'(?:href|src)="([^"#]+)"', path.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link
