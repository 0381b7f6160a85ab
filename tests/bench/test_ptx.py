"""What bench.ptx writes is enough to run every launch again without the project's host code, and --check sees what is off."""

import json

import numpy as np
import pytest

from bench import nvrtc, ptx
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator.program import Program, memory

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable or bool(nvrtc.missing()), reason=why_not or nvrtc.missing())


def written(folder, *options):
    assert ptx.main(["--out", str(folder), *options]) == 0
    return json.loads((folder / "launches.json").read_text(encoding="utf-8"))


def run_again(folder, document, change=lambda text: text):
    """Run each launch from the files alone, as a stranger would, and write what the kernels leave behind."""
    for launch in document["launches"]:
        text = change((folder / launch["module"].replace(".ptx", ".cu")).read_text(encoding="utf-8"))
        arrays = []
        for each in launch["memories"]:
            before = np.load(folder / each["before"])
            arrays.append(memory(before.shape, before.dtype))
            arrays[-1][...] = before
        arguments = []
        for a in launch["arguments"]:
            if "memory" in a:
                whole = arrays[a["memory"]]
                arguments.append(whole[a["offset"] // whole.itemsize :])
            else:
                arguments.append(None if "null" in a else np.dtype(a["dtype"]).type(a["value"]))
        Program(text).launch(launch["kernel"], launch["grid"], launch["block"], arguments, shared=launch["shared"])
        for each, array in zip(launch["memories"], arrays):
            if "after" in each:
                np.save(folder / each["after"].replace(".after", ".found"), np.array(array))


@pytest.mark.parametrize(
    "options",
    [
        ["--tier", "sequence", "--sizes", "3,3,2,19"],
        pytest.param(["--cell", "gru", "--dtype", "float64", "--sizes", "2,3,1,5"], marks=pytest.mark.check),
        pytest.param(["--cell", "peephole_lstm", "--release", "12", "--architecture", "compute_60"], marks=pytest.mark.check),
    ],
    ids=" ".join,
)
def test_every_launch_can_be_run_again_from_the_files(options, tmp_path, capsys):
    folder = tmp_path / "call"
    document = written(folder, *options)
    kernels = [launch["kernel"] for launch in document["launches"]]
    assert {"forward", "backward"} <= set(kernels) and kernels.index("forward") < kernels.index("backward")
    for launch in document["launches"]:
        text = (folder / launch["module"]).read_text(encoding="utf-8")
        assert f".entry {launch['kernel']}(" in text and "\0" not in text
        assert launch["cooperative"] == bool(launch["shared"])
        assert any("after" in each for each in launch["memories"]), "a launch that writes nothing"
    assert ptx.main(["--check", str(folder)]) == 1  # nobody has run them
    run_again(folder, document)
    capsys.readouterr()
    assert ptx.main(["--check", str(folder)]) == 0
    assert " memories compared, 0 complaints" in capsys.readouterr().out


@pytest.mark.check
def test_what_is_off_missing_or_of_another_kind_is_told(tmp_path, capsys):
    folder = tmp_path / "call"
    document = written(folder, "--sizes", "2,2,1,3", "--cell", "simple_rnn", "--dtype", "float64")
    run_again(folder, document, lambda text: text.replace("dh * Phi::derivative(h)", "dh"))
    backward = next(n for n, launch in enumerate(document["launches"]) if launch["kernel"] == "backward")
    capsys.readouterr()
    assert ptx.main(["--check", str(folder)]) == 1
    assert f"launch {backward}, backward, dxg: off by " in capsys.readouterr().out
    run_again(folder, document)
    for break_it, told in (
        (lambda file, a: np.save(file, a.astype("float32")), "expected float64 "),
        (lambda file, a: np.save(file, np.full_like(a, np.nan)), "off by inf"),
        (lambda file, a: file.unlink(), " is missing"),
    ):
        file = next(folder.glob("*_backward/dxg.found.npy"))
        kept = np.load(file)
        break_it(file, kept)
        capsys.readouterr()
        assert ptx.main(["--check", str(folder)]) == 1
        assert told in capsys.readouterr().out
        np.save(file, kept)
    (file, after) = next((f, a) for f in folder.glob("*/*.after.npy") if np.isnan(a := np.load(f)).any())
    np.save(str(file).replace(".after", ".found"), np.nan_to_num(after))
    capsys.readouterr()
    assert ptx.main(["--check", str(folder)]) == 1
    assert "elements were written that no thread writes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "."], "is here already; name a new folder"),
        (["--out", "new", "--cell", "lsmt"], "--cell: expected one of "),
        (["--out", "new", "--sizes", "1,2,3"], "expected B,T,I,H"),
        (["--check", "new"], "expected a folder with launches.json"),
    ],
)
def test_wrong_use_is_told(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        ptx.main(words)
    assert told in capsys.readouterr().err
