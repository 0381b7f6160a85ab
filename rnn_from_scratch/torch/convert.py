"""Between torch.nn's modules and these: in place in a model, and back for TorchScript, ONNX export or quantization."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch.nn import Module

from ..interop.conventions import layout_row
from . import modules, single_step

# class of torch.nn -> class here
OURS = {
    torch.nn.RNN: modules.RNN,
    torch.nn.LSTM: modules.LSTM,
    torch.nn.GRU: modules.GRU,
    torch.nn.RNNCell: single_step.RNNCell,
    torch.nn.LSTMCell: single_step.LSTMCell,
    torch.nn.GRUCell: single_step.GRUCell,
}
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
OPTIONS = ("num_layers", "batch_first", "dropout", "bidirectional", "nonlinearity")


class Replaced(NamedTuple):
    """What from_torch did to a model."""

    model: Module
    names: list[str]  # of the modules that run on our kernels now; "" is the model itself
    left: dict[str, str]  # name of a recurrent module that stays torch.nn's -> why


def from_torch(model: Module, *, backend: str = "auto") -> Replaced:
    """Replace every recurrent module of torch.nn in a model, in place, by ours on the same parameters.

    model     a module; if it is itself a torch.nn.LSTM or the like, .model of the result is ours
    backend   of the new modules

    The parameters are the same objects, so that an optimizer goes on. Subclasses of torch.nn's, modules with proj_size, and those with
    hooks, weight_norm or parametrizations stay and are named in .left.

    >>> import torch
    >>> from rnn_from_scratch.torch import from_torch
    >>> tagger = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 5, bidirectional=True), "out": torch.nn.Linear(10, 2)})
    >>> from_torch(tagger).names, type(tagger["lstm"]).__module__
    (['lstm'], 'rnn_from_scratch.torch.modules')
    """
    names: list[str] = []
    left: dict[str, str] = {}
    made: dict[Module, Module] = {}  # a module may have several names
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if not isinstance(module, (torch.nn.RNNBase, torch.nn.modules.rnn.RNNCellBase)):
            continue
        if type(module) not in OURS:
            left[name] = f"{type(module).__name__} is a class of its own; replace it by hand"
        elif getattr(module, "proj_size", 0):
            left[name] = f"proj_size={module.proj_size} has no counterpart here"
        elif set(dict(module.named_parameters())) - set(dict(module.named_parameters(recurse=False))) or hooked(module):
            left[name] = "it has hooks or parametrizations, which are tied to the module; replace it before they are added"
        else:
            ours = made[module] = made.get(module) or like(OURS[type(module)], module, backend=backend)
            if name:
                parent, _, child = name.rpartition(".")
                setattr(model.get_submodule(parent), child, ours)
            else:
                model = ours
            names.append(name)
    return Replaced(model, names, left)


def hooked(module: Module) -> bool:
    return any(hooks for kind, hooks in vars(module).items() if kind.endswith("_hooks"))


def to_torch(module: Module) -> Module:
    """The module of torch.nn with the same weights (copies), or a copy of a model with every module of ours replaced so.

    Raises ValueError where torch.nn has no such module: peepholes, coupled gates, the reset gate before the product, other
    activations, recurrent dropout.

    >>> import torch
    >>> from rnn_from_scratch.torch import GRU, to_torch
    >>> ours = GRU(3, 5)
    >>> theirs = to_torch(ours)
    >>> bool(torch.allclose(theirs(torch.ones(7, 2, 3))[0], ours(torch.ones(7, 2, 3))[0], atol=1e-6))
    True
    """
    if isinstance(module, (modules.Recurrent, single_step.SingleStep)):
        return leave(module, type(module).__name__)
    model = copy.deepcopy(module)
    made: dict[Module, Module] = {}
    for name, part in list(model.named_modules(remove_duplicate=False)):
        if isinstance(part, (modules.Recurrent, single_step.SingleStep)):
            parent, _, child = name.rpartition(".")
            made[part] = made.get(part) or leave(part, name)
            setattr(model.get_submodule(parent), child, made[part])
    return model


def leave(module: Any, name: str) -> Module:
    """The module of torch.nn for one of ours."""
    try:
        layout_row("torch", module.cell)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if getattr(module, "recurrent_dropout", 0):
        raise ValueError(f"{name}: torch.nn has no recurrent_dropout, got {module.recurrent_dropout}; set it to 0 first")
    theirs = like(THEIRS[type(module)], module)
    theirs.load_state_dict({key: value.detach().clone() for key, value in module.state_dict().items()})
    return theirs


def like(kind: type[Module], module: Any, **more: Any) -> Any:
    """A module of another class with the options and the mode of one; a module of ours has its parameters, the very objects."""
    options = {name: getattr(module, name) for name in OPTIONS if hasattr(module, name)}
    first = next(module.parameters())
    new: Any = kind(module.input_size, module.hidden_size, bias=module.bias, device=first.device, dtype=first.dtype, **options, **more)
    if kind in THEIRS:
        for name, parameter in module.named_parameters(recurse=False):
            setattr(new, name, parameter)
    return new.train(module.training)
