"""tf.raw_ops.BlockLSTMV2: the one fused LSTM that shows its gates. float32, tanh and sigmoid, no mask.

Time-major; gate order i, f, c, o is ours; wci, wcf, wco are the rows of p; cs is c at every step. Its backward is called by
name: the gradient that TensorFlow registers for BlockLSTMV2 is that of BlockLSTM, which reads w in the order i, c, f, o.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...interop.weight_layouts import LAYOUTS
from ...typing import Array
from ..cases import Problem
from . import absent, lacks, named, tensorflow

NAME, COVERS = "BlockLSTMV2", LAYOUTS["block_lstm_v2"].rows
FLOAT32_ONLY = True


def missing() -> str:
    return absent("tensorflow", "TensorFlow", '"rnn_from_scratch[tensorflow]"')


def cannot(p: Problem) -> str:
    if reason := lacks(NAME, COVERS, p.cell):
        return reason
    if set(p.options) - {"initial_state", "go_backwards"}:
        return "no masks and no scale of h"
    return "" if p.x.dtype == np.float32 else "float32 only"


def solve(p: Problem) -> dict[str, Array]:
    """Also tape.i, tape.f, tape.g, tape.o and tape.c [B,T,H], in the time order of x."""
    tf = tensorflow()
    H, T = p.params["Wh"].shape[0], p.x.shape[1]
    order = slice(None, None, -1) if p.options.get("go_backwards") else slice(None)
    (h0, c0), (dh, dc) = p.options["initial_state"], p.dstate
    wci, wcf, wco = p.params.get("p", np.zeros((3, H), "float32"))
    inputs = {
        "seq_len_max": np.int64(T),
        "x": time_major(p.x[:, order]),
        "cs_prev": c0,
        "h_prev": h0,
        "w": np.concatenate([p.params["Wx"], p.params["Wh"]]),
        "wci": wci,
        "wcf": wcf,
        "wco": wco,
        "b": p.params.get("b", np.zeros(4 * H, "float32")),
        "use_peephole": "p" in p.params,
    }
    h_grad, cs_grad = time_major(p.dy).copy(), np.zeros((T, *dc.shape), "float32")
    h_grad[-1] += dh
    cs_grad[-1] = dc
    with tf.device("CPU:0"):
        out = tf.raw_ops.BlockLSTMV2(**inputs, cell_clip=0.0)._asdict()
        grad = tf.raw_ops.BlockLSTMGradV2(**inputs, **out, cs_grad=cs_grad, h_grad=h_grad)
    y, cs = time_major(out["h"]), time_major(out["cs"])
    dWx, dWh = np.split(grad.w_grad, [p.x.shape[2]])
    dparams = {"Wx": dWx, "Wh": dWh, "b": grad.b_grad, "p": np.stack([grad.wci_grad, grad.wcf_grad, grad.wco_grad])}
    dx = time_major(grad.x_grad)[:, order]
    results = named(p, y, (y[:, -1], cs[:, -1]), dx, {n: dparams[n] for n in p.params}, (grad.h_prev_grad, grad.cs_prev_grad))
    gates = {name: time_major(out[theirs]) for name, theirs in (("i", "i"), ("f", "f"), ("g", "ci"), ("o", "o"))}
    results.update({f"tape.{name}": value[:, order] for name, value in (*gates.items(), ("c", cs))})
    return results


def time_major(a: Any) -> Array:
    """Swaps batch and time."""
    return np.asarray(a).swapaxes(0, 1)
