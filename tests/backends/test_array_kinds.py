"""Results are of the kind that x is: NumPy arrays, or torch tensors on the CPU; what would lose a gradient or its kind is refused."""

import subprocess
import sys

import numpy as np
import pytest

from rnn_from_scratch import backends, backward, cells, forward, gradcheck, init_params, truncated_bptt
from rnn_from_scratch.array_kinds import as_tensor

torch = pytest.importorskip("torch", reason="needs torch")
B, T, I, H = 2, 5, 3, 4


def tensors(values):
    return {name: torch.from_numpy(a) for name, a in values.items()}


def problem(cell, dtype, seed):
    rng = np.random.default_rng(seed)
    draw = {"x": (B, T, I), "dy": (B, T, H), **{s: (B, H) for s in cell.states}, **{f"d{s}": (B, H) for s in cell.states}}
    return init_params(cell, I, H, seed, dtype), {name: rng.standard_normal(shape).astype(dtype) for name, shape in draw.items()}


def run(cell, params, a, lengths, backend="auto"):
    y, state, tape = forward(cell, params, a["x"], tuple(a[s] for s in cell.states), lengths, backend=backend)
    grads = backward(tape, a["dy"], tuple(a[f"d{s}"] for s in cell.states))
    return {"y": y, "x": grads.x, **dict(zip(cell.states, state)), **{f"d{n}": g for n, g in grads.params.items()}} | {
        f"d{s}": g for s, g in zip(cell.states, grads.initial_state)
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", cells.forms())
@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_tensors_in_tensors_out_with_the_same_bits(form, dtype, backend):
    cell = cells.forms()[form]
    for seed in range(3):
        params, a = problem(cell, dtype, seed)
        ours = run(cell, params, a, np.array([5, 2]), backend)
        theirs = run(cell, tensors(params), tensors(a), torch.tensor([5, 2]), backend)
        assert all(type(value) is torch.Tensor for value in theirs.values())
        assert {name: value.numpy().tobytes() for name, value in theirs.items()} == {name: value.tobytes() for name, value in ours.items()}


def test_the_kind_of_x_decides_and_nothing_is_copied():
    cell = cells.GRU()
    params, a = problem(cell, "float32", 0)
    y, _, tape = forward(cell, params, torch.from_numpy(a["x"]))  # parameters of init_params beside a tensor
    assert type(y) is torch.Tensor
    assert np.shares_memory(tape.x, a["x"])
    assert type(tape.gate("z")) is np.ndarray
    grads = backward(tape, a["dy"], wrt="params")
    assert grads.x is None
    assert type(grads.params["Wh"]) is torch.Tensor
    y, _, tape = forward(cell, tensors(params), a["x"])
    assert type(y) is type(backward(tape, torch.from_numpy(a["dy"])).x) is np.ndarray
    assert forward(cell, params, torch.from_numpy(a["x"]), save=False)[2] is None
    assert backends.choose(cell, params, torch.from_numpy(a["x"])) == backends.choose(cell, params, a["x"])


def test_views_that_numpy_does_not_have():
    """Strided, transposed, negated and conjugate tensors hold the numbers that torch shows."""
    cell = cells.SimpleRNN()
    params = init_params(cell, I, H)
    z = torch.randn(B, I, T, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    for x in (z.conj().imag.transpose(1, 2), torch.randn(B, 2 * T, I)[:, ::2], torch.randn(1, T, I).expand(B, T, I)):
        assert torch.equal(forward(cell, params, x)[0], torch.from_numpy(forward(cell, params, np.array(x.tolist(), "float32"))[0]))


@pytest.mark.parametrize("name", ["x", "Wx", "b", "initial_state h", "x_scale", "dy", "dstate h"])
def test_a_tensor_that_requires_grad_is_refused_by_name(name):
    cell = cells.SimpleRNN()
    params, a = problem(cell, "float32", 0)
    given = {**tensors(a), **tensors(params), "x_scale": torch.ones(B, I)}
    given |= {"initial_state h": torch.zeros(B, H), "dstate h": torch.ones(B, H)}
    given[name].requires_grad_()

    def call():
        state, weights = (given["initial_state h"],), {n: given[n] for n in params}
        tape = forward(cell, weights, given["x"], state, x_scale=given["x_scale"])[2]
        backward(tape, given["dy"], (given["dstate h"],))

    with pytest.raises(TypeError, match=f"^{name}: got a torch tensor that requires grad, .* use {name}.detach"):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.bfloat16(), r"x: expected float32 or float64, got torch.bfloat16; use x.float\(\)"),
        (lambda x: x.half(), "x: expected float32 or float64, got float16"),
        (lambda x: x.long(), "x: expected float32 or float64, got int64"),
        (lambda x: x.to("meta"), r"x: expected a torch tensor on the CPU, got one on meta; use x.cpu\(\)"),
        (lambda x: x.to_sparse(), r"x: expected a dense torch tensor, got layout torch.sparse_coo; use x.to_dense\(\)"),
        (lambda x: torch.nn.Parameter(x), "x: got a torch tensor that requires grad"),
    ],
)
def test_tensors_that_no_array_stands_for(change, message):
    cell = cells.LSTM()
    x = change(torch.ones(B, T, I))
    params = init_params(cell, I, H)
    for call in (forward, backends.choose, lambda cell, params, x: gradcheck(cell, params, x)):
        if call is not backends.choose or "requires grad" in message:
            with pytest.raises(TypeError, match=message):
                call(cell, params, x)


def test_arrays_of_other_libraries_are_refused_with_the_way():
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    cell, params = cells.LSTM(), init_params(cells.LSTM(), I, H)
    x = np.ones((B, T, I), "float32")
    with pytest.raises(TypeError, match=r"x: expected a NumPy array, a CuPy array or a torch tensor, got tensorflow.*; use x.numpy\(\)"):
        forward(cell, params, tf.constant(x))
    with pytest.raises(TypeError, match=r"Wx: expected .* got tensorflow.*; use Wx.numpy\(\)"):
        forward(cell, {**params, "Wx": tf.Variable(params["Wx"])}, x)
    with pytest.raises(TypeError, match=r"lengths: expected .* got tensorflow.*; use lengths.numpy\(\)"):
        forward(cell, params, x, lengths=tf.constant([1, 2]))

    class Other:  # what any library may bring
        def __array__(self, dtype=None, copy=None):
            return x

    with pytest.raises(TypeError, match=r"x: expected .*Other; use numpy.asarray\(x\)"):
        forward(cell, params, Other())
    assert type(forward(cell, params, np.ma.masked_array(x))[0]) is np.ndarray
    assert type(forward(cell, {n: a.astype(float) for n, a in params.items()}, x.tolist())[0]) is np.ndarray


def test_jax_arrays_are_refused():
    jax = pytest.importorskip("jax", reason="needs JAX")
    with pytest.raises(TypeError, match=r"x: expected .* got jax.*; use numpy.asarray\(x\)"):
        forward(cells.LSTM(), init_params(cells.LSTM(), I, H), jax.numpy.ones((B, T, I)))


@pytest.mark.parametrize("seed", range(2))
def test_truncated_bptt_keeps_the_kind(seed):
    cell = cells.GRU()
    params, a = problem(cell, "float64", seed)
    seen = []

    def loss(y, t0, t1):
        seen.append(type(y))
        return 2 * y

    ours = truncated_bptt(cell, params, a["x"], loss, 2, 3, update=lambda grads: seen.append(type(grads.x)))
    theirs = truncated_bptt(cell, tensors(params), torch.from_numpy(a["x"]), loss, 2, 3, update=lambda grads: seen.append(type(grads.x)))
    assert set(seen[: len(seen) // 2]) == {np.ndarray}
    assert set(seen[len(seen) // 2 :]) == {torch.Tensor}
    one, other = ([y, state[0], grads.x, grads.params["Wh"]] for y, state, grads in (ours, theirs))
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(one, other))
    assert type(theirs[2].initial_state[0]) is torch.Tensor


def test_gradcheck_takes_tensors():
    cell = cells.LSTM()
    params, a = problem(cell, "float64", 1)
    options = {"x_scale": torch.full((B, I), 0.5, dtype=torch.float64), "lengths": torch.tensor([5, 2])}
    assert gradcheck(cell, tensors(params), torch.from_numpy(a["x"]), **options).ok


def test_a_16_bit_result_is_a_tensor_too():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs ml_dtypes")
    values = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    assert torch.equal(as_tensor(values), torch.tensor([1.5, -2.0], dtype=torch.bfloat16))


def test_numpy_arrays_import_no_torch():
    code = "import sys, numpy as np; from rnn_from_scratch import cells, forward, init_params; "
    code += "forward(cells.LSTM(), init_params(cells.LSTM(), 3, 4), np.ones((2, 3, 3), 'float32')); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
