"""Files that no reader of text takes, and how each must be refused."""

import pytest

from rnn_from_scratch.data import InputError

# name -> content (None: no such file), what the error says of it
UNREADABLE = {
    "missing": (None, "cannot be read: No such file or directory"),
    "empty": (b"", "holds no text"),
    "binary": (b"Load\n1\n\x00\x01", ", line 3: a zero byte: not a text file"),
    "encoding": (b"Load\n1\n\xe9\n", ", line 3: not UTF-8: byte 0xe9; convert it with iconv"),
}


def refused(path, content, message, read):
    """read(path) must raise an InputError of one line that begins with the file's name."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert message in text
    assert "\n" not in text
