"""Runs JavaScript without a browser: by Node if it is on the PATH, else by quickjs-ng if that can be imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

WEB = Path(__file__).parents[2] / "rnn_from_scratch/explain/web"
NODE = shutil.which("node")
ENGINES = [name for name, there in (("node", NODE), ("quickjs", find_spec("quickjs"))) if there]
MISSING = "needs a JavaScript engine: node on the PATH, or pip install quickjs-ng"


def need(found: Any, missing: str) -> None:
    """Skip the test with the reason where something is missing; where CI is true it fails instead."""
    if not found and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if not found:
        pytest.skip(missing)


def sources(*names: str) -> str:
    return "\n".join((WEB / name).read_text(encoding="utf-8") for name in names)


def call(text: str, argument: Any, engine: str | None = None) -> Any:
    """The answer of main(argument), a function that the text defines; both are JSON."""
    need(ENGINES, MISSING)
    engine = engine or ENGINES[0]
    whole = f'"use strict";\n{text}\nfunction run(json) {{ return JSON.stringify(main(JSON.parse(json))); }}\n'
    if engine == "quickjs":
        import quickjs

        context = quickjs.Context()
        context.eval(whole)
        return json.loads(context.get("run")(json.dumps(argument)))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "run.js")
        script.write_text(whole + 'console.log(run(require("fs").readFileSync(0, "utf8")));', encoding="utf-8")
        done = subprocess.run([str(NODE), str(script)], input=json.dumps(argument), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
