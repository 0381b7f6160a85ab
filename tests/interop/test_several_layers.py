"""Weights of several layers and two directions: torch's whole modules and ONNX's bidirectional nodes, computed there and here."""

import numpy as np
import pytest

from rnn_from_scratch import cells, forward, init_params
from rnn_from_scratch.interop.conventions import from_framework, layout_row, to_framework
from rnn_from_scratch.interop.weight_layouts import LAYOUTS
from rnn_from_scratch.measure import error

FORMS = {name: cells.forms()[name] for name in LAYOUTS["torch"].rows}
ONNX = [cells.forms()[name] for name in LAYOUTS["onnx"].rows]


def layers_of(cell, inputs, units, layers, directions, seed, dtype="float64"):
    """Random parameters, biases too: a list of layers, as from_framework returns it."""
    rng, found = np.random.default_rng(seed), []
    for k in range(layers):
        ways = []
        for _ in range(directions):
            shapes = init_params(cell, inputs if k == 0 else directions * units, units, 0, dtype)
            ways.append({name: (0.5 * rng.standard_normal(a.shape)).astype(dtype) for name, a in shapes.items()})
        found.append(tuple(ways) if directions == 2 else ways[0])
    return found


def run(cell, layers, x, states):
    """y, and the final states [layers * directions, B, H], one array for each state; `states` are the initial ones in that form."""
    y, final, at = x, [], 0
    for layer in layers:
        outputs = []
        for backwards, params in enumerate(layer if isinstance(layer, tuple) else (layer,)):
            out, state, _ = forward(cell, params, y, tuple(s[at] for s in states), go_backwards=bool(backwards))
            outputs.append(out[:, ::-1] if backwards else out)
            final.append(state)
            at += 1
        y = np.concatenate(outputs, axis=-1)
    return y, [np.stack(parts) for parts in zip(*final)]


def torch_module(cell, *sizes, **options):
    torch = pytest.importorskip("torch", reason="needs torch")
    row = layout_row("torch", cell)[1]
    if "relu" in row.activations:
        options["nonlinearity"] = cell.activation
    return getattr(torch.nn, row.called)(*sizes, bias=cell.use_bias, batch_first=True, dtype=torch.float64, **options)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_torch_modules_compute_the_same(form, layers, directions, bias):
    torch = pytest.importorskip("torch", reason="needs torch")
    cell = type(FORMS[form])(use_bias=bias)
    for seed, (B, T, I, H) in enumerate([(3, 6, 4, 5), (1, 1, 1, 1), (2, 9, 7, 3)]):
        torch.manual_seed(seed)
        module = torch_module(cell, I, H, num_layers=layers, bidirectional=directions == 2)
        rng = np.random.default_rng(seed)
        x, states = rng.standard_normal((B, T, I)), [rng.standard_normal((layers * directions, B, H)) for _ in cell.states]
        given = [torch.from_numpy(s) for s in states]
        y, final = module(torch.from_numpy(x), tuple(given) if len(given) > 1 else given[0])
        final = final if isinstance(final, tuple) else (final,)
        for arrays in (module.state_dict(), dict(module.named_parameters()), {n: a.numpy() for n, a in module.state_dict().items()}):
            found = from_framework("torch", cell, arrays)
        ours, ours_final = run(cell, found if isinstance(found, list) else [found], x, states)
        assert isinstance(found, dict) == (layers == directions == 1)
        assert error(ours, y.detach().numpy()) <= 1e-12
        for a, b in zip(ours_final, final, strict=True):
            assert error(a, b.detach().numpy()) <= 1e-12


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_there_and_back_by_torch(form, layers, directions, seed):
    torch = pytest.importorskip("torch", reason="needs torch")
    cell = FORMS[form]
    ours = layers_of(cell, 4, 5, layers, directions, seed)
    arrays = to_framework("torch", cell, ours)
    module = torch_module(cell, 4, 5, num_layers=layers, bidirectional=directions == 2)
    module.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})  # every name and shape is right
    assert list(arrays) == list(module.state_dict())
    x = np.random.default_rng(seed).standard_normal((2, 6, 4))
    zero = [np.zeros((layers * directions, 2, 5)) for _ in cell.states]
    assert error(run(cell, ours, x, zero)[0], module(torch.from_numpy(x))[0].detach().numpy()) <= 1e-12
    back = from_framework("torch", cell, module.state_dict())
    for a, b in zip(flat(back if isinstance(back, list) else [back]), flat(ours), strict=True):
        assert list(a) == list(b) and all(a[name].tobytes() == b[name].tobytes() for name in a)


def flat(layers):
    return [params for layer in layers for params in (layer if isinstance(layer, tuple) else (layer,))]


@pytest.mark.parametrize("form", FORMS)
def test_cells_of_torch_have_names_without_a_layer(form):
    torch = pytest.importorskip("torch", reason="needs torch")
    cell = FORMS[form]
    step = getattr(torch.nn, layout_row("torch", cell)[1].called + "Cell")(4, 5, dtype=torch.float64)
    params = from_framework("torch", cell, step.state_dict())
    x = np.random.default_rng(0).standard_normal((3, 1, 4))
    h = step(torch.from_numpy(x[:, 0]))
    assert error(forward(cell, params, x)[0][:, 0], (h[0] if isinstance(h, tuple) else h).detach().numpy()) <= 1e-12


@pytest.mark.parametrize("cell", ONNX, ids=repr)
@pytest.mark.parametrize("seed", range(2))
def test_onnx_nodes_of_both_directions(cell, seed):
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    from onnx import helper, numpy_helper

    B, T, I, H = (3, 5, 4, 6) if seed else (2, 4, 1, 3)
    layers = layers_of(cell, I, H, 1, 2, seed, "float32")
    arrays = to_framework("onnx", cell, layers)
    assert {a.shape[0] for a in arrays.values()} == {2}
    back = from_framework("onnx", cell, arrays)
    for a, b in zip(flat(back), flat(layers), strict=True):
        assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    called = layout_row("onnx", cell)[1].called
    op = called.split("(")[0].split()[0]
    attributes = {"hidden_size": H, "direction": "bidirectional"}
    attributes.update({part.split("=")[0]: int(part.split("=")[1]) for part in called.partition("(")[2].rstrip(")").split(",") if part})
    places = ["x", "W", "R", "B" if "B" in arrays else "", "", "", "", "P" if "P" in arrays else ""]
    node = helper.make_node(op, places if op == "LSTM" else places[:4], ["y"], **attributes)
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    graph = helper.make_graph([node], "g", info[:1], info[1:], [numpy_helper.from_array(a, name) for name, a in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.random.default_rng(seed).standard_normal((B, T, I)).astype("float32")
    theirs = runtime.InferenceSession(model.SerializeToString()).run(None, {"x": x.swapaxes(0, 1)})[0]  # [T,2,B,H]
    ours, _ = run(cell, back, x, [np.zeros((2, B, H), "float32") for _ in cell.states])
    assert error(ours, theirs.transpose(2, 0, 1, 3).reshape(B, T, 2 * H)) <= 1e-5


def torch_arrays(layers=2, directions=2):
    return to_framework("torch", cells.LSTM(), layers_of(cells.LSTM(), 4, 5, layers, directions, 0))


def without(arrays, name):
    return {n: a for n, a in arrays.items() if n != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: without(a, "weight_hh_l1_reverse"), r"for torch.nn LSTM; missing \['weight_hh_l1_reverse'\], unknown \[\]"),
        (lambda a: {**a, "weight_ih_l3": a["weight_ih_l1"]}, r"missing \['weight_ih_l2', "),
        (lambda a: {**a, "weight_ih_l999999999999": a["weight_ih_l1"]}, r"unknown \['weight_ih_l999999999999'\]"),
        (lambda a: {**a, "weight_hr_l0": np.zeros((2, 5))}, "unknown .*; proj_size: no cell here projects its state"),
        (lambda a: {f"encoder.rnn.{n}": v for n, v in a.items()}, "; give the state_dict of encoder.rnn alone, whose names"),
        (
            lambda a: {**a, "weight_ih_l1_reverse": np.zeros((20, 9))},
            r"inputs of layer 1, backward: expected I = 2 H = 10, which layer 0 gives, for LSTM, got 9",
        ),
        (lambda a: {**a, "weight_ih_l0_reverse": np.zeros((20, 3))}, "inputs of layer 0, backward: expected I = 4, as in its other"),
        (
            lambda a: {**a, "weight_hh_l1_reverse": np.zeros((20, 4))},
            r"weight_hh_l1_reverse: expected \[GH, H\] with G = 4 = \[20, 5\] for LSTM, got \[20, 4\]",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_layer_and_direction(change, message):
    with pytest.raises(ValueError, match=message):
        from_framework("torch", cells.LSTM(), change(torch_arrays()))


def test_lists_of_layers_that_no_framework_has():
    cell = cells.LSTM()
    one = layers_of(cell, 4, 5, 1, 1, 0)[0]
    for framework, params, message in (
        ("keras3", [(one, one)], "params: Keras 3 has 1 layers, 2 directions in no one set of arrays; convert the parameters"),
        ("onnx", layers_of(cell, 4, 5, 2, 1, 0), "params: ONNX has 2 layers, 1 direction in no one set"),
        ("torch", [], "params: expected a list of layers: parameters each, or .forward, backward. each, for LSTM; got 0 layers"),
        ("torch", [one, (one, one)], r"got 2 layers of \[1, 2\] directions"),
        ("torch", [one, one], "inputs of layer 1: expected I = 1 H = 5, which layer 0 gives, for LSTM, got 4"),
        ("torch", [(one, one, one)], r"got 1 layers of \[3\] directions"),
    ):
        with pytest.raises(ValueError, match=message):
            to_framework(framework, cell, params)
    arrays = to_framework("onnx", cell, [(one, one)])
    with pytest.raises(ValueError, match=r"R: expected 2 directions in axis 0, as W has, got shape \[1, 20, 5\]"):
        from_framework("onnx", cell, {**arrays, "R": arrays["R"][:1]})
