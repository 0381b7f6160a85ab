"""The reference backend: the NumPy loop of bptt.py with the NumPy cells. The truth in float64; always usable."""

from __future__ import annotations

from ..bptt import backward, forward

__all__ = ["available", "backward", "forward"]


def available() -> tuple[bool, str]:
    """(usable, why not)"""
    return True, ""
