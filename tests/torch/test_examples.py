"""The examples in the docstrings of the modules run as they are written."""

import pytest

pytest.importorskip("torch", reason="needs PyTorch")

from rnn_from_scratch import torch as ours

from ..project.test_doctests import failures


@pytest.mark.parametrize("name", ["RNN", "LSTM", "from_torch", "to_torch"])
def test_examples_in_docstrings(name):
    assert failures(name, getattr(ours, name)) == []
