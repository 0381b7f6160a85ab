"""Loaders. The small embedded data lies in embedded/, with ATTRIBUTION.md beside it."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """What the user gave cannot be used. One line: what, why, what to do; the command line prints it and exits with 2."""
