"""The command `rnn-from-scratch`, also python -m rnn_from_scratch. The command line itself is cli.py, which needs typer and rich."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main(args: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. 2 if a package that it needs is missing: one line says what to install."""
    if missing := [name for name in ("typer", "rich") if find_spec(name) is None]:
        print(f"error: rnn-from-scratch needs {' and '.join(missing)}: pip install {' '.join(missing)}", file=sys.stderr)
        return 2
    from . import cli

    return cli.main(args)


if __name__ == "__main__":
    sys.exit(main())
