"""What stands beside us. A peer is built with the weights of a case and gives run() -> raw, and arrays(raw) -> y, dx.

Arrays are brought into the peer's own layout before the clock starts, and graphs are traced; run() is one pass and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from rnn_from_scratch import backends
from rnn_from_scratch.cells import form_name
from rnn_from_scratch.interop.conventions import to_framework
from rnn_from_scratch.interop.to_onnx import OPERATORS, attributes_of
from rnn_from_scratch.typing import Array
from rnn_from_scratch.verify.cases import Problem
from rnn_from_scratch.verify.oracles import block_lstm, keras_layers, lacks, torch_nn

from .cases import STEP, TRAIN, runner

Run = Callable[[], Any]


class Peer(NamedTuple):
    """needs: package -> what to install. cannot(p, what): why it computes no such pass, or ''. build(p, what) -> run, arrays."""

    needs: dict[str, str]
    cannot: Callable[[Problem, str], str]
    build: Callable[[Problem, str], tuple[Run, Callable[[Any], tuple[Array, Array | None]] | None]]


def missing(peer: str) -> str:
    """'needs ...: pip install ...' where a package of the peer is not installed, else ''. Imports nothing."""
    lacking = [install for package, install in PEERS[peer].needs.items() if find_spec(package) is None]
    return f"needs {' and '.join(lacking)}: pip install {' '.join(lacking)}" if lacking else ""


def own(backend: str) -> Peer:
    """One of our backends."""
    return Peer({}, lambda p, what: "", lambda p, what: (runner(p, what, backend), first_step if what == STEP else lambda found: found))


def first_step(h: Array) -> tuple[Array, None]:
    """The first h [B,H] of a stream as y [B,1,H]."""
    return h[:, None], None


def torch_build(p: Problem, what: str) -> Any:
    import torch

    torch.set_num_threads(backends.num_threads())
    layer, _ = torch_nn.torch_layer(p)
    if what == STEP:
        return torch_step(layer, torch.tensor(p.x[:, 0]))
    x, dy = torch.tensor(p.x, requires_grad=what == TRAIN), torch.tensor(p.dy)

    def inference() -> Any:
        with torch.no_grad():
            return layer(x)[0], None

    def forward() -> Any:
        return layer(x)[0], None  # keeps what backward needs

    def train() -> Any:
        layer.zero_grad()
        x.grad = None
        y = layer(x)[0]
        y.backward(dy)
        return y, x.grad

    run = {"inference": inference, "forward": forward, TRAIN: train}[what]
    return run, lambda raw: tuple(None if a is None else a.detach().numpy() for a in raw)


def torch_step(layer: Any, x_t: Any) -> Any:
    """The single-step cell of a torch layer, which carries the state on."""
    import torch

    options = {"nonlinearity": layer.nonlinearity} if type(layer) is torch.nn.RNN else {}
    cell = getattr(torch.nn, f"{type(layer).__name__}Cell")(layer.input_size, layer.hidden_size, **options)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in layer.state_dict().items()})
    state = None

    def run() -> Any:
        nonlocal state
        with torch.no_grad():
            state = cell(x_t, state)
        return state

    return run, lambda raw: first_step((raw[0] if isinstance(raw, tuple) else raw).numpy())


def keras_build(jit: bool) -> Callable[[Problem, str], Any]:
    def build(p: Problem, what: str) -> Any:
        import tensorflow as tf

        layer = keras_layers.keras_layer(p)
        x, dy = tf.constant(p.x), tf.constant(p.dy)

        @tf.function(jit_compile=jit)
        def step(x: Any, dy: Any) -> Any:
            if what != TRAIN:
                return layer(x)[0]
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)[0]
            return y, tape.gradient(y, [x, *layer.trainable_variables], output_gradients=dy)

        graph = step.get_concrete_function(x, dy)
        return lambda: graph(x, dy), lambda raw: (raw[0].numpy(), raw[1][0].numpy()) if what == TRAIN else (raw.numpy(), None)

    return build


def block_build(p: Problem, what: str) -> Any:
    """BlockLSTMV2 and its gradient, called by name: the gradient that TensorFlow registers reads w in another gate order."""
    import tensorflow as tf

    (B, T, _), (H, _) = p.x.shape, p.params["Wh"].shape
    zero, peephole = tf.zeros([B, H]), "p" in p.params
    wci, wcf, wco = tf.constant(p.params["p"] if peephole else np.zeros((3, H), "float32"))
    w, b = tf.constant(np.concatenate([p.params["Wx"], p.params["Wh"]])), tf.constant(p.params["b"])
    x, dy = (tf.constant(np.ascontiguousarray(a.swapaxes(0, 1))) for a in (p.x, p.dy))
    names = {"cs_prev": zero, "h_prev": zero, "w": w, "wci": wci, "wcf": wcf, "wco": wco, "b": b, "use_peephole": peephole}
    names["seq_len_max"] = tf.constant(T, tf.int64)

    @tf.function
    def step(x: Any, dy: Any) -> Any:
        out = tf.raw_ops.BlockLSTMV2(x=x, cell_clip=0.0, **names)
        if what != TRAIN:
            return out.h, out.h
        grad = tf.raw_ops.BlockLSTMGradV2(x=x, **names, **out._asdict(), cs_grad=tf.zeros_like(out.cs), h_grad=dy)
        return out.h, grad.x_grad, grad.w_grad, grad.b_grad

    graph = step.get_concrete_function(x, dy)
    return lambda: graph(x, dy), lambda raw: (swap(raw[0]), swap(raw[1]) if what == TRAIN else None)


def swap(a: Any) -> Array:
    """Batch-major from time-major."""
    return np.asarray(a).swapaxes(0, 1)


def block_cannot(p: Problem, what: str) -> str:
    return lacks(block_lstm.NAME, block_lstm.COVERS, p.cell) or ("" if p.cell.use_bias else "it is timed with bias")


def onnx_build(p: Problem, what: str) -> Any:
    """One ONNX operator, time-major and without what to_onnx puts around it."""
    import onnx
    import onnxruntime
    from onnx import helper

    (B, T, I), (H, _) = p.x.shape, p.params["Wh"].shape
    weights = to_framework("onnx", p.cell, p.params)
    inputs = ["x", "W", "R", "B"] + (["", "", "", "P"] if "P" in weights else [])
    operator = OPERATORS[form_name(p.cell)].name
    node = helper.make_node(operator, inputs, ["y"], hidden_size=H, **attributes_of(p.cell))
    floats = onnx.TensorProto.FLOAT
    x_info, y_info = (helper.make_tensor_value_info(n, floats, s) for n, s in (("x", [T, B, I]), ("y", [T, 1, B, H])))
    initial = [onnx.numpy_helper.from_array(a, n) for n, a in weights.items()]
    graph = helper.make_graph([node], "layer", [x_info], [y_info], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = backends.num_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(p.x.swapaxes(0, 1))
    return lambda: session.run(None, {"x": x}), lambda raw: (raw[0][:, 0].swapaxes(0, 1), None)


def onnx_cannot(p: Problem, what: str) -> str:
    if what != "inference":
        return "its recurrent operators are for inference"
    if form_name(p.cell) not in OPERATORS:
        return f"to_onnx has no {form_name(p.cell)}"
    plain = getattr(p.cell, "recurrent_activation", "sigmoid") == "sigmoid" and p.cell.activation in ("tanh", "relu")
    return "" if plain and p.cell.use_bias else "tanh or relu, sigmoid, with bias"


def gemm_build(p: Problem, what: str) -> Any:
    """The bound: the matrix products that the pass cannot avoid, by NumPy, step by step. Computes no layer: nothing to check."""
    (B, T, I), (H, N) = p.x.shape, p.params["Wh"].shape
    rng = np.random.default_rng(0)
    x, W, U = p.x.reshape(-1, I), p.params["Wx"], p.params["Wh"]
    h, z = rng.standard_normal((B, H), "float32"), rng.standard_normal((B, N), "float32")
    all_h, all_z = rng.standard_normal((B * T, H), "float32"), rng.standard_normal((B * T, N), "float32")
    xg, hg, dh, U_T = np.empty_like(all_z), np.empty_like(z), np.empty_like(h), np.ascontiguousarray(U.T)

    def run() -> None:
        np.matmul(x, W, out=xg)
        for _ in range(T):
            np.matmul(h, U, out=hg)
        if what == TRAIN:
            for _ in range(T):
                np.matmul(z, U_T, out=dh)
            x.T @ all_z, all_h.T @ all_z, all_z @ W.T

    return run, None


TENSORFLOW = {"tensorflow": "tensorflow"}
PEERS = {
    "torch": Peer({"torch": "torch"}, lambda p, what: torch_nn.cannot(p), torch_build),
    "keras": Peer(TENSORFLOW, lambda p, what: keras_layers.cannot(p), keras_build(jit=False)),
    "keras-xla": Peer(TENSORFLOW, lambda p, what: keras_layers.cannot(p), keras_build(jit=True)),
    "blocklstm": Peer(TENSORFLOW, block_cannot, block_build),
    "onnxruntime": Peer({"onnx": "onnx", "onnxruntime": "onnxruntime"}, onnx_cannot, onnx_build),
    "gemm": Peer({}, lambda p, what: "", gemm_build),
    **{name: own(name) for name in backends.BACKENDS},
}
