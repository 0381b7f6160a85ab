"""What is refused: the errors of torch.nn by the same kind, and by name what only torch.nn can do."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from rnn_from_scratch import torch as ours  # noqa: E402

from .helpers import FORMS  # noqa: E402


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((3.0, 5), {}),
        ((0, 5), {}),
        ((-1, 5), {}),
        ((3, 5.0), {}),
        ((3, 0), {}),
        ((3, 5, 0), {}),
        ((3, 5), {"bias": 1}),
        ((3, 5), {"batch_first": "False"}),
        ((3, 5), {"dropout": 2}),
        ((3, 5), {"dropout": True}),
    ],
)
@pytest.mark.parametrize("name", FORMS)
def test_constructors_raise_as_torch_does(name, arguments, options):
    with pytest.raises((TypeError, ValueError)) as expected:
        getattr(torch.nn, name)(*arguments, **options)
    with pytest.raises(expected.type) as found:
        getattr(ours, name)(*arguments, **options)
    assert str(expected.value)[:40] == str(found.value)[:40]


@pytest.mark.parametrize("shape", [(7, 2, 4), (7,), (7, 2, 3, 1), (0, 2, 3)])
@pytest.mark.parametrize("name", FORMS)
def test_inputs_raise_as_torch_does(name, shape):
    x = torch.zeros(shape)
    with pytest.raises((RuntimeError, ValueError)) as expected:
        getattr(torch.nn, name)(3, 5)(x)
    with pytest.raises(expected.type):
        getattr(ours, name)(3, 5)(x)


@pytest.mark.parametrize("shape", [(1, 3, 5), (2, 2, 5), (1, 2, 4), (2, 5)])
@pytest.mark.parametrize("name", FORMS)
def test_initial_states_raise_as_torch_does(name, shape):
    hx = torch.zeros(shape) if name != "LSTM" else (torch.zeros(shape), torch.zeros(shape))
    with pytest.raises((RuntimeError, ValueError)) as expected:
        getattr(torch.nn, name)(3, 5)(torch.zeros(7, 2, 3), hx)
    with pytest.raises(expected.type) as found:
        getattr(ours, name)(3, 5)(torch.zeros(7, 2, 3), hx)
    assert str(expected.value)[:24] == str(found.value)[:24]


def test_by_name():
    with pytest.raises(ValueError, match=r"proj_size: LSTM here has no projection, got 2; use torch.nn.LSTM"):
        ours.LSTM(3, 5, proj_size=2)
    with pytest.raises(ValueError, match="Unknown nonlinearity 'gelu'"):
        ours.RNN(3, 5, nonlinearity="gelu")
    with pytest.raises(ValueError, match="activation: expected"):
        ours.LSTM(3, 5, activation="gelu")
    with pytest.raises(RuntimeError, match="hx: expected a tuple of 2 tensors, h and c, got Tensor"):
        ours.LSTM(3, 5)(torch.zeros(7, 2, 3), torch.zeros(1, 2, 5))
    with pytest.raises(ValueError, match=r"RNN input dtype \(torch.float64\) does not match weight dtype \(torch.float32\)"):
        ours.LSTM(3, 5)(torch.zeros(7, 2, 3, dtype=torch.float64))
    for wrong in (torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match=f"the weights are {wrong}; expected float32 or float64"):
            ours.LSTM(3, 5, dtype=wrong)(torch.zeros(7, 2, 3, dtype=wrong))
    with pytest.raises(ValueError, match="input: expected a tensor on the CPU or on CUDA, got one on meta"):
        ours.LSTM(3, 5)(torch.zeros(7, 2, 3, device="meta"))
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
        ours.GRU(3, 5, dropout=0.5)


@pytest.mark.parametrize("name", FORMS)
def test_a_weight_on_another_device_raises_as_torch_does(name):
    """Also after calls that all went well, which the kernels remember."""
    for module in (getattr(torch.nn, name)(3, 5), getattr(ours, name)(3, 5)):
        with torch.no_grad():
            for _ in range(3):
                module(torch.zeros(7, 2, 3))
            module.weight_hh_l0 = torch.nn.Parameter(module.weight_hh_l0.to("meta"))
            with pytest.raises(RuntimeError, match="Input and parameter tensors are not at the same device, found input tensor at cpu"):
                module(torch.zeros(7, 2, 3))


@pytest.mark.parametrize("wrong", [(torch.zeros(2, 4),), (torch.zeros(2, 3), torch.zeros(2, 6)), (torch.zeros(2, 3), torch.zeros(4, 5))])
@pytest.mark.parametrize("name", ["GRUCell", "RNNCell"])
def test_single_steps_raise_as_torch_does(name, wrong):
    with pytest.raises(RuntimeError) as expected:
        getattr(torch.nn, name)(3, 5)(*wrong)
    with pytest.raises(RuntimeError) as found:
        getattr(ours, name)(3, 5)(*wrong)
    assert str(expected.value).split(":")[0][:30] == str(found.value).split(":")[0][:30]


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
def test_autocast_returns_the_dtypes_of_torch(name):
    """LSTM, RNN and RNNCell bfloat16, the others float32."""
    module = getattr(ours, name)(3, 5)
    x = torch.randn(2, 3) if "Cell" in name else torch.randn(7, 2, 3)
    first = lambda result: result[0] if isinstance(result, tuple) else result  # noqa: E731
    expected = first(module(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for given in (x, x.bfloat16()):
            y = first(module(given))
            assert y.dtype == (torch.bfloat16 if name in ("LSTM", "RNN", "RNNCell") else torch.float32)
            assert torch.allclose(y.float(), expected, atol=0.02)
