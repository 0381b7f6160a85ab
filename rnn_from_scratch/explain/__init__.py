"""See inside a cell: a page that shows a model at work and proves its own numbers, and the lines of a cell with theirs.

page writes one HTML file, save the document that it is made of; watch keeps the executed lines of a cell.
"""

from __future__ import annotations

from .pages import page, save
from .watch import watch

__all__ = ["page", "save", "watch"]
