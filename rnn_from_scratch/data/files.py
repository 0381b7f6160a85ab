"""Text files in pieces, so that a large one never lies in memory whole; what is wrong with one is said with its line."""

from __future__ import annotations

import codecs
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from . import InputError

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
PIECE = 1 << 20  # bytes


def text_pieces(path: Path) -> Iterator[str]:
    """The text of a UTF-8 file, or of UTF-16 with its mark, plain, .gz or .xz, with "\\n" at every line's end. Raises InputError."""
    if path.is_dir():
        raise InputError(f"{path}: expected a file, got a folder")
    decoder, line, empty, left = None, 1, True, ""
    try:
        file: IO[bytes]
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            while True:
                piece = file.read(PIECE)
                if decoder is None:
                    encoding = "UTF-16" if piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "UTF-8-sig"
                    decoder = codecs.getincrementaldecoder(encoding)()
                try:
                    text = left + decoder.decode(piece, final=not piece)
                except UnicodeDecodeError as error:
                    line += error.object[: error.start].count(b"\n")
                    byte, name = error.object[error.start], encoding.removesuffix("-sig")
                    raise InputError(f"{path}, line {line}: not {name}: byte {byte:#04x}; convert it with iconv") from error
                if "\0" in text:
                    raise InputError(f"{path}, line {line + text[: text.index(chr(0))].count(chr(10))}: a zero byte: not a text file")
                left = "\r" if text.endswith("\r") and piece else ""  # its "\n" may follow
                text = text.removesuffix(left).replace("\r\n", "\n").replace("\r", "\n")
                line, empty = line + text.count("\n"), empty and not text.strip()
                yield text
                if not piece:
                    break
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if empty:
        raise InputError(f"{path}: holds no text")


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, without their ends. Raises InputError."""
    rest = ""
    for text in text_pieces(path):
        *lines, rest = (rest + text).split("\n")
        yield from lines
    if rest:
        yield rest
