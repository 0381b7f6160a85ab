"""Runs a cell in another framework, with that framework's arrays: NumPy in, NumPy out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rnn_from_scratch.interop.weight_layouts import LAYOUTS, kind


def run(framework, cell, arrays, x, states, **options):
    """arrays: name -> array in layout order; x [B,T,I]; states: tuple of [B,H]. Returns y [B,T,H], final states."""
    return RUNNERS[framework](cell, arrays, x, states, **options)


def run_keras(module, cell, arrays, x, states):
    import tensorflow as tf

    units = states[0].shape[1]
    options = {"activation": cell.activation, "use_bias": cell.use_bias, "return_sequences": True, "return_state": True}
    for name in ("recurrent_activation", "reset_after"):
        if hasattr(cell, name):
            options[name] = getattr(cell, name)
    layer = getattr(module.layers, type(cell).__name__)(units, dtype=x.dtype.name, **options)
    layer.build(x.shape)
    layer.set_weights(list(arrays.values()))
    y, *final = layer(tf.constant(x), initial_state=[tf.constant(s) for s in states])
    return np.asarray(y), tuple(np.asarray(s) for s in final)


def run_keras3(cell, arrays, x, states):
    import keras

    return run_keras(keras, cell, arrays, x, states)


def run_keras2(cell, arrays, x, states):
    import tf_keras

    return run_keras(tf_keras, cell, arrays, x, states)


def run_tf1(cell, arrays, x, states, *, basic=False, forget_bias=1.0):
    import tensorflow as tf
    from tf_keras.src.layers.rnn import legacy_cells

    options = {"dtype": x.dtype.name, "activation": cell.activation}
    name = {"SimpleRNN": "BasicRNNCell", "GRU reset before": "GRUCell"}.get(kind(cell), "BasicLSTMCell" if basic else "LSTMCell")
    if "LSTM" in name:
        options["forget_bias"] = forget_bias
    if kind(cell) == "PeepholeLSTM":
        options["use_peepholes"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # every one of these classes warns that it is deprecated
        theirs = getattr(legacy_cells, name)(states[0].shape[1], **options)
    theirs.build((x.shape[0], x.shape[2]))
    assert [v.name.split("/", 1)[1].removesuffix(":0") for v in theirs.weights] == list(arrays)
    theirs.set_weights(list(arrays.values()))
    state = legacy_cells.LSTMStateTuple(*map(tf.constant, states[::-1])) if len(states) > 1 else tf.constant(states[0])
    y = []
    for t in range(x.shape[1]):
        h, state = theirs(tf.constant(x[:, t]), state)
        y.append(h.numpy())
    final = (state.h, state.c) if len(states) > 1 else (state,)
    return np.stack(y, axis=1), tuple(s.numpy() for s in final)


def run_block(op, cell, arrays, x, states, **options):
    import tensorflow as tf

    out = getattr(tf.raw_ops, op)(
        **arrays, x=x.swapaxes(0, 1), seq_len_max=x.shape[1], h_prev=states[0], cs_prev=states[1],
        cell_clip=-1, use_peephole=bool(cell.extras), **options,
    )  # fmt: skip
    return out.h.numpy().swapaxes(0, 1), (out.h.numpy()[-1], out.cs.numpy()[-1])


def run_torch(cell, arrays, x, states):
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    name = LAYOUTS["torch"].rows[kind(cell)].called
    options = {"nonlinearity": cell.activation} if name == "RNN" else {}
    module = getattr(torch.nn, name)(x.shape[2], states[0].shape[1], bias=cell.use_bias, batch_first=True, **options)
    module = module.to(torch.from_numpy(x).dtype)
    module.load_state_dict({key: torch.from_numpy(a) for key, a in arrays.items()})
    first = tuple(torch.from_numpy(s[None]) for s in states)
    with torch.no_grad():
        y, final = module(torch.from_numpy(x), first if name == "LSTM" else first[0])
    return y.numpy(), tuple(s.numpy()[0] for s in (final if name == "LSTM" else (final,)))


def run_onnx(cell, arrays, x, states, *, alpha=1 / 6):
    """One bare ONNX node, so that the converter is tested without to_onnx."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    op = {"SimpleRNN": "RNN", "GRU": "GRU"}.get(type(cell).__name__, "LSTM")
    functions = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "linear": "Affine", "hard_sigmoid": "HardSigmoid"}
    phi, sigma = cell.activation, getattr(cell, "recurrent_activation", None)
    used = [sigma, phi, phi] if op == "LSTM" else [sigma, phi] if op == "GRU" else [phi]
    constants = {"linear": (1.0, 0.0), "hard_sigmoid": (alpha, 0.5)}
    attributes = {
        "hidden_size": states[0].shape[1],
        "activations": [functions[name] for name in used],
        "activation_alpha": [constants[name][0] for name in used if name in constants],
        "activation_beta": [constants[name][1] for name in used if name in constants],
    }
    attributes = {name: value for name, value in attributes.items() if value != []}
    if "input_forget" in LAYOUTS["onnx"].rows[kind(cell)].called:
        attributes["input_forget"] = 1
    if op == "GRU":
        attributes["linear_before_reset"] = int(cell.reset_after)
    feeds = {"X": x.swapaxes(0, 1), **arrays, "h0": states[0][None], **({"c0": states[1][None]} if len(states) > 1 else {})}
    order = ["X", "W", "R", "B", "", "h0", "c0", "P"]
    inputs = [name if name in feeds else "" for name in order]
    while not inputs[-1]:
        inputs.pop()
    outputs = ["Y", "Yh", "Yc"][: 3 if op == "LSTM" else 2]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, a.shape) for name, a in feeds.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list("TDBH" if name == "Y" else "DBH")) for name in outputs]
    node = helper.make_node(op, inputs, outputs, **attributes)
    model = helper.make_model(
        helper.make_graph([node], "cell", info, results), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model)
    Y, *final = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)
    return Y[:, 0].swapaxes(0, 1), tuple(s[0] for s in final)


def run_cudnn(cell, arrays, x, states):
    """torch.nn keeps its weights in cuDNN's order: read the one vector back from its declared shapes. No GPU needed."""
    vector = np.concatenate([a.ravel() for a in arrays.values()])
    (I, H), G = (x.shape[2], states[0].shape[1]), len(cell.gates)
    ends = np.cumsum([G * H * I, G * H * H, G * H])
    W, R, bW, bR = np.split(vector, ends)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return run_torch(cell, dict(zip(names, (W.reshape(-1, I), R.reshape(-1, H), bW, bR))), x, states)


RUNNERS = {
    "keras3": run_keras3,
    "keras2": run_keras2,
    "tf1": run_tf1,
    "block_lstm": lambda *args, **options: run_block("BlockLSTM", *args, **options),
    "block_lstm_v2": lambda *args, **options: run_block("BlockLSTMV2", *args, **options),
    "torch": run_torch,
    "onnx": run_onnx,
    "cudnn": run_cudnn,
}
FLOAT32_ONLY = ("block_lstm", "block_lstm_v2", "onnx")
