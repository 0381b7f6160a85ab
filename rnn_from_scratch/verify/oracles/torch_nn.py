"""torch.nn's recurrent layers: a second opinion on everything that needs neither mask nor scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...cells import form_name
from ...interop.weight_layouts import LAYOUTS
from ...typing import Array
from ..cases import Problem
from . import absent, lacks, named

NAME, COVERS = "torch.nn", LAYOUTS["torch"].rows


def missing() -> str:
    return absent("torch", "PyTorch", "torch")


def cannot(p: Problem) -> str:
    if set(p.options) - {"initial_state", "go_backwards"}:
        return "no masks (a packed sequence cannot be empty) and no scales"
    return lacks(NAME, COVERS, p.cell)


def solve(p: Problem) -> dict[str, Array]:
    import torch

    layer, order = torch_layer(p)
    x, dy, dstate = torch.tensor(p.x, requires_grad=True), torch.tensor(p.dy), [torch.tensor(d) for d in p.dstate]
    s0 = [torch.tensor(s, requires_grad=True) for s in p.options["initial_state"]]
    first = [s[None] for s in s0]  # [layers,B,H]
    y, state = layer(x.flip(1) if p.options.get("go_backwards") else x, tuple(first) if len(first) > 1 else first[0])
    state = [s[0] for s in (state if len(first) > 1 else [state])]
    torch.autograd.backward([y, *state], [dy, *dstate])

    def ours(gradient: Any) -> Array:
        """[G*H] or [G*H,K] in our gate order, transposed as our weights are."""
        g = gradient.numpy()
        return g.reshape(len(order), -1, *g.shape[1:])[np.argsort(order)].reshape(g.shape).T

    dparams = {ours_name: ours(getattr(layer, name).grad) for ours_name, name in parameter_names(p).items()}
    assert x.grad is not None
    return named(p, y.detach().numpy(), [s.detach() for s in state], x.grad.numpy(), dparams, [s.grad for s in s0])


def torch_layer(p: Problem) -> tuple[Any, list[int]]:
    """The layer with p's weights, and its gate order in our numbering."""
    import torch

    (I, _), (H, _) = p.params["Wx"].shape, p.params["Wh"].shape
    row = COVERS[form_name(p.cell)]
    options = {"bias": p.cell.use_bias, "batch_first": True, "dtype": torch.tensor(p.x).dtype}
    if len(row.activations.split()) > 1:  # where there is a choice
        options["nonlinearity"] = p.cell.activation
    layer = getattr(torch.nn, row.called)(I, H, **options)
    order = [p.cell.gates.index(gate) for gate in row.gates.split()]
    values = {name: p.params[ours_name] for ours_name, name in parameter_names(p).items()}
    if "b" in p.params:
        values["bias_hh_l0"] = np.zeros_like(p.params["b"])  # torch adds two biases
    with torch.no_grad():
        for name, value in values.items():
            by_gate = value.T.reshape(len(order), H, *value.shape[:-1])[order]
            getattr(layer, name).copy_(torch.tensor(by_gate.reshape(value.T.shape)))
    return layer, order


def parameter_names(p: Problem) -> dict[str, str]:
    """Our name -> torch's."""
    names = {"Wx": "weight_ih_l0", "Wh": "weight_hh_l0", "b": "bias_ih_l0", "bx": "bias_ih_l0", "bh": "bias_hh_l0"}
    return {name: names[name] for name in p.params}
