"""The inputs, right and wrong, that torch's own tests keep for its recurrent modules: ours give what torch.nn gives."""

import re
import warnings
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("expecttest", reason="torch's list of inputs needs expecttest: pip install expecttest")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

from rnn_from_scratch import torch as ours  # noqa: E402

from .helpers import assert_same, results  # noqa: E402

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
MODULES = {info.module_cls.__name__: info for info in module_db if info.module_cls.__name__ in NAMES}
DTYPE = {"device": "cpu", "dtype": torch.float64, "requires_grad": True}


def test_every_module_is_in_the_list():
    assert find_spec("expecttest") and set(MODULES) == set(NAMES)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_results(name, training):
    info, compared = MODULES[name], 0
    torch.manual_seed(0)
    for given in info.module_inputs_func(info, training=training, **DTYPE):
        made, call = given.constructor_input, given.forward_input
        theirs = info.module_cls(*made.args, **made.kwargs, dtype=torch.float64).train(training)
        if made.kwargs.get("proj_size"):
            with pytest.raises(ValueError, match="proj_size"):
                getattr(ours, name)(*made.args, **made.kwargs, dtype=torch.float64)
            continue
        module = getattr(ours, name)(*made.args, **made.kwargs, dtype=torch.float64).train(training)
        module.load_state_dict(theirs.state_dict())
        assert_same(results(module, *call.args), results(theirs, *call.args))
        compared += 1
    assert compared >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_same_errors(name):
    info = MODULES[name]
    for wrong in info.module_error_inputs_func(info, training=True, **DTYPE):
        made, call = wrong.module_error_input.constructor_input, wrong.module_error_input.forward_input

        def run(made=made, call=call, wrong=wrong):
            module = getattr(ours, name)(*made.args, **{"dtype": torch.float64, **made.kwargs})
            assert wrong.error_on == ModuleErrorEnum.FORWARD_ERROR
            module(*call.args)

        with pytest.raises(wrong.error_type) as raised:
            run()
        assert re.search(wrong.error_regex, str(raised.value)), (str(raised.value), wrong.error_regex)
