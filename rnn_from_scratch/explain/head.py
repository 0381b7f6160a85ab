"""What stands after the layers: a dense layer, a softmax, and in a decoder attention before them; forward, and back to the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..typing import Array
from .steps import Passed

if TYPE_CHECKING:
    from .record import Model


def head_outputs(model: Model, passed: list[Passed], keys: Array | None = None) -> Array | None:
    """What the head says: [T,V], or [1,V] where it reads the last step alone; log probabilities if it is a softmax.

    keys [S,K]: what the attention looks at, if the head has one.
    """
    if model.head is None:
        return None
    reads = model.head["reads"]
    every = passed if reads == "last of every layer" else passed[-1:]
    h = np.concatenate([p.y[0] for p in every], axis=1)
    if keys is not None:
        h = attend(model, h, keys)[0]
    z = (h if reads == "all" else h[-1:]) @ model.head["W"] + model.head["b"]
    if model.head["activation"] == "softmax":
        z = z - z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z


def attend(model: Model, y: Array, keys: Array) -> tuple[Array, Array]:
    """out [T,U] and p [T,S]: where each step looks."""
    from ..layers import attention_by_hand

    assert model.head is not None
    out, p = attention_by_hand.forward(y[None], keys[None], *(model.head["attention"][name] for name in "WVb"))
    return out[0], p[0]


def head_gradients(
    model: Model, passed: list[Passed], outputs: Array | None, loss: dict[str, Any], keys: Array | None = None
) -> tuple[list[Array], Any, Array | None]:
    """The gradients of the loss by the y of every layer, by the top layer's final state (or None), and by the keys (or None)."""
    dys: list[Array] = [np.zeros_like(p.y) for p in passed]
    dstate: Any = None
    dkeys = None
    if "state" in loss:
        cell, units = model.cells[-1], model.params[-1]["Wh"].shape[0]
        dstate = [np.zeros((1, units)) for _ in cell.states]
        dstate[cell.states.index(loss["state"])][0, loss["unit"]] = 1
    elif model.head is None or outputs is None:
        dys[-1][0, loss["step"], loss["output"]] = 1
    else:
        softmax = model.head["activation"] == "softmax"
        row = outputs[loss["step"] if model.head["reads"] == "all" else -1]
        dz = np.eye(len(row))[loss["output"]] - (np.exp(row) if softmax else 0)
        dh, at = model.head["W"] @ dz, 0
        if keys is not None:
            from ..layers import attention_by_hand

            dout = np.zeros((1, len(outputs), len(dh)))
            dout[0, loss["step"]] = dh
            W, V, b = (model.head["attention"][name] for name in "WVb")
            dy, dk, *_ = attention_by_hand.backward(passed[-1].y, keys[None], W, V, b, None, dout)
            assert dy is not None and dk is not None
            dys[-1], dkeys = dy, dk[0]
            return dys, dstate, dkeys
        for n in range(len(passed)) if model.head["reads"] == "last of every layer" else [len(passed) - 1]:
            H = dys[n].shape[2]
            dys[n][0, loss["step"]] += dh[at : at + H]
            at += H
    return dys, dstate, dkeys
