"""Calls whose like came before: the same bits as the long way, on tensors that lie elsewhere and hold other numbers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch.nn.utils.rnn import pack_sequence  # noqa: E402

from rnn_from_scratch import backends  # noqa: E402
from rnn_from_scratch import torch as ours  # noqa: E402
from rnn_from_scratch.backends.native import loader  # noqa: E402
from rnn_from_scratch.torch import prepared  # noqa: E402

from .helpers import ALL, random, results, states_of  # noqa: E402

pytestmark = pytest.mark.skipif(not backends.available()["native"][0], reason="needs the native backend")
OPTIONS = {
    "plain": {},
    "both directions of two layers": {"num_layers": 2, "bidirectional": True},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "dropout of h": {"recurrent_dropout": 0.3, "bidirectional": True},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Every native call that did not go the long way."""
    calls, call = [], prepared.Prepared.__call__
    prepared.kept.clear()
    monkeypatch.setattr(prepared.Prepared, "__call__", lambda self, tensors: calls.append(len(tensors)) or call(self, tensors))
    yield calls
    prepared.kept.clear()


def module_of(name, seed, dtype=torch.float64, **options):
    torch.manual_seed(seed)
    return getattr(ours, name)(3, 5, dtype=dtype, **options)


def both_ways(module, *arguments):
    """The results, made the long way and then as a call whose like came before."""
    prepared.kept.clear()
    found = []
    for _ in range(2):
        torch.manual_seed(9)  # of dropout
        found.append(results(module, *arguments))
    return found


def check_bits(found, expected):
    assert len(found) == len(expected)
    for k, (a, b) in enumerate(zip(found, expected)):
        assert a.shape == b.shape and a.stride() == b.stride() and torch.equal(a, b), f"tensor {k} of {len(expected)}"


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", ALL)
def test_other_numbers_elsewhere_give_the_bits_of_the_long_way(name, options, quick):
    shape = (2, 7, 3) if options.get("batch_first") else (7, 2, 3)
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    for dtype in (torch.float32, torch.float64):
        first, module = module_of(name, 0, dtype, **options), module_of(name, 1, dtype, **options)
        given = [random(*shape, seed=2, dtype=dtype)], [random(*shape, seed=3, dtype=dtype), states_of(module, count, 2, 5)]
        for arguments in (given[0], [given[1][0], as_dtype(given[1][1], dtype)]):
            torch.manual_seed(9)
            long = results(module, *arguments)
            prepared.kept.clear()
            results(first, random(*shape, seed=4, dtype=dtype), *arguments[1:])
            quick.clear()
            torch.manual_seed(9)
            check_bits(results(module, *arguments), long)
            assert len(quick) == 2 * count  # forward and backward


def as_dtype(states, dtype):
    return states.to(dtype) if isinstance(states, torch.Tensor) else tuple(s.to(dtype) for s in states)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_packed_rows_and_nothing_kept(name, quick):
    module = module_of(name, 0)
    packed = pack_sequence([random(length, 3, seed=length, grad=False) for length in (2, 7, 4)], enforce_sorted=False)
    check_bits(*both_ways(module, packed))
    assert len(quick) == 2
    with torch.no_grad():
        quick.clear()
        once, again = module(packed)[0].data, module(packed)[0].data
        assert torch.equal(once, again) and len(quick) == 1  # another kind of call: it saves nothing


def test_how_a_tensor_lies_is_part_of_the_kind(quick):
    module, wide = module_of("LSTM", 0), random(14, 4, 6, grad=False)
    lying = [wide[:7, :2, :3], wide[::2, 1:3, ::2], wide[:7, :2, :1].expand(7, 2, 3), wide.transpose(0, 1)[:4].transpose(0, 1)[:7, :2, :3]]
    expected = [results(module, x.clone()) for x in lying]
    for _ in range(2):
        for x, right in zip(lying, expected):
            for a, b in zip(results(module, x), right):
                assert torch.equal(a, b)
    assert len(quick) >= 8


def test_what_the_kernels_cannot_read_goes_the_long_way(quick):
    module = module_of("LSTM", 0)
    negated = torch.randn(7, 2, 3, dtype=torch.complex128).conj().imag
    assert negated.is_neg()
    memory = np.zeros(7 * 2 * 3 * 8 + 1, np.uint8)
    crooked = torch.from_numpy(memory[1:].view(np.float64).reshape(7, 2, 3))
    crooked.copy_(random(7, 2, 3, grad=False))
    for x in (crooked, torch.zeros(7, 0, 3, dtype=torch.float64)):
        straight = x.clone()
        long = results(module, straight)
        prepared.kept.clear()
        quick.clear()
        for _ in range(2):
            check_bits(results(module, x), long)
        assert not quick
    results(module, torch.randn(7, 2, 3, dtype=torch.complex128).imag)  # with the same strides
    for _ in range(2):
        with pytest.raises(RuntimeError, match="negative bit"):
            module(negated)


def test_upstream_gradients_that_are_one_number_said_to_be_many(quick):
    module, x = module_of("GRU", 0), random(7, 2, 3)
    found = [torch.autograd.grad(module(x)[0].sum() + module(x)[1].sum(), [x, *module.parameters()]) for _ in range(3)]
    check_bits(found[1], found[0])
    check_bits(found[2], found[0])
    assert len(quick) == 5 + 4  # of 6 calls each way; backward meets two kinds: the gradient of y alone, that of h alone


def test_results_are_on_the_cpu_whatever_the_default_device_is(quick):
    module, x = module_of("LSTM", 0), random(7, 2, 3)
    expected = results(module, x)
    prepared.kept.clear()
    for _ in range(2):
        with torch.device("meta"):
            y, (h, c) = module(x)
            found = torch.autograd.grad(y.sum() + h.sum() + c.sum(), module.weight_hh_l0)[0]
        assert torch.equal(y, expected[0]) and torch.equal(c, expected[2]) and found.device.type == "cpu"
    assert len(quick) == 2


def test_many_threads_at_once(quick, monkeypatch):
    monkeypatch.setattr(prepared, "MOST", 3)
    module, inputs = module_of("GRU", 0), [random(length, 2, 3) for length in range(2, 10)]
    expected = [results(module, x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: results(module, inputs[k % 8]), range(160)))
    for k, got in enumerate(found):
        check_bits(got, expected[k % 8])


def test_threads_and_another_library_are_seen(quick):
    module, x = module_of("LSTM", 0), random(30, 7, 3)
    expected = results(module, x)
    for count in (1, 3, None):
        backends.set_num_threads(count)
        check_bits(results(module, x), expected)
    assert len(quick) == 6
    try:
        loader.forget()
        check_bits(results(module, x), expected)
        assert len(quick) == 6  # what was prepared for another library is not called
    finally:
        backends.set_num_threads(None)


def test_no_more_than_so_many_are_kept():
    module = module_of("RNN", 0)
    for length in range(1, prepared.MOST + 9):
        results(module, random(length, 1, 3))
    assert len(prepared.kept) == prepared.MOST
