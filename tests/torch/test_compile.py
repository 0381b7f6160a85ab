"""torch.compile takes a module in one graph, and computes the same bits; torch.export takes it too."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from rnn_from_scratch import torch as ours  # noqa: E402
from rnn_from_scratch.torch.layout import Call  # noqa: E402

from .helpers import ALL, random, results  # noqa: E402

pytestmark = [pytest.mark.check, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]
OPTIONS = ({}, {"batch_first": True, "bidirectional": True, "num_layers": 2})


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("compiler", ["aot_eager", "inductor"])
def test_one_graph_and_the_same_bits(compiler, name, options):
    if compiler == "inductor" and (name not in ("LSTM", "GRU") or not shutil.which("g++")):
        pytest.skip("inductor: two cells are enough, with g++")
    torch._dynamo.reset()
    module = getattr(ours, name)(3, 5, **options)
    compiled = torch.compile(module, fullgraph=True, backend=compiler)
    x = random(7, 2, 3, dtype=torch.float32)
    for found, expected in zip(results(compiled, x), results(module, x)):
        assert torch.equal(found, expected)
    with torch.no_grad():
        assert torch.equal(compiled(x)[0], module(x)[0])


@pytest.mark.parametrize(("time_major", "reverse"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("name", ["lstm", "peephole_lstm", "gru"])
def test_fakes_have_the_shapes_and_strides_of_the_operators(name, time_major, reverse):
    G, E = {"lstm": 4, "peephole_lstm": 4, "gru": 3}[name], 3 * (name == "peephole_lstm")
    call = Call(name, (("use_bias", True),), time_major, reverse, "auto").text()
    x, ones = torch.randn(*((7, 2) if time_major else (2, 7)), 3), [torch.randn(2, 5) for _ in range(1 if name == "gru" else 2)]
    weights = [torch.randn(G * 5, 3), torch.randn(G * 5, 5), torch.randn(G * 5), torch.randn(G * 5), *[torch.randn(E * 5)] * bool(E)]
    given = (call, x, ones, weights, [torch.rand(2, 7) < 0.7, None, None])
    operators = torch.ops.rnn_from_scratch
    checks = ("test_schema", "test_faketensor")
    for save in (True, False):
        torch.library.opcheck(operators.forward.default, (*given, save), test_utils=checks)
    y, *rest = operators.forward(*given, True)
    final, tape = rest[: len(ones)], rest[len(ones) :]
    for wrt in ([True, True, True], [False, True, False], [True, False, True]):
        torch.library.opcheck(operators.backward.default, (*given, tape, y, [final[0], *[None] * (len(ones) - 1)], wrt), test_utils=checks)


def test_a_model_around_it_is_one_graph():
    torch._dynamo.reset()
    model = torch.nn.Sequential(ours.GRU(3, 5), torch.nn.Flatten())
    model.forward = lambda x: torch.relu(model[0](x * 2)[0]).sum(0)
    compiled, x = torch.compile(model, fullgraph=True, backend="aot_eager"), random(7, 2, 3, dtype=torch.float32)
    for found, expected in zip(results(compiled, x), results(model, x)):
        assert torch.allclose(found, expected, atol=1e-6)


def test_export():
    module, x = ours.LSTM(3, 5).eval(), random(7, 2, 3, grad=False, dtype=torch.float32)
    exported = torch.export.export(module, (x,))
    assert torch.equal(exported.module()(x)[0], module(x)[0])


def test_products_in_bfloat16_are_in_the_graph():
    module, x = ours.GRU(3, 5, backend="reference"), torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(torch.compile(module, fullgraph=True, backend="aot_eager")(x)[0], module(x)[0])
