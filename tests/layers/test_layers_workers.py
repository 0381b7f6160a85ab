"""Training on two workers, as the guide of the layers shows it: two processes end where one with the joined batches does."""

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack

import h5py
import numpy as np
import pytest

from ..conftest import ROOT
from ..helpers.guides import blocks

pytestmark = pytest.mark.check
PROGRAM = next(code for code in blocks("rnn_from_scratch/layers/README.md") if "MultiWorkerMirroredStrategy" in code)
FIT = """
with strategy.scope():
    net = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4), keras.layers.Dense(2)])
    net.compile("sgd", "mse")
net.fit(data, verbose=0)
"""


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def run(program, folder, workers):
    """The finished processes; 180 seconds at most."""
    (folder / "train.py").write_text(program)
    base = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
    base.update(PYTHONPATH=str(ROOT), TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    addresses = [f"localhost:{port}" for port in free_ports(workers)]
    started = []
    for index in range(workers):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        env = {**base, **({"TF_CONFIG": json.dumps(config)} if workers > 1 else {})}
        started.append(subprocess.Popen([sys.executable, "train.py"], cwd=folder, env=env, text=True, stdout=-1, stderr=-1))
    try:
        return [(*process.communicate(timeout=180), process.returncode) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


def weights(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_two_workers_end_where_one_does(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    outputs = [*run(PROGRAM, tmp_path / "one", 1), *run(PROGRAM, tmp_path / "two", 2)]
    for out, err, code in outputs:
        assert code == 0, err[-3000:]
        assert re.findall(r"epoch \d: \d\.\d{4}", out), out
    one, a, b = (weights(tmp_path / name) for name in ("one/worker0.weights.h5", "two/worker0.weights.h5", "two/worker1.weights.h5"))
    assert len(one) == 8 and one.keys() == a.keys() == b.keys()
    for name, value in one.items():
        assert np.array_equal(a[name], b[name]), name
        assert np.max(np.abs(a[name] - value)) <= 1e-5, name
    losses = [float(v) for v in re.findall(r": (\d\.\d{4})", outputs[0][0])]
    assert losses[-1] < losses[0]


def test_keras_own_fit_fails_there_for_its_own_layers(tmp_path):
    """When this fails, Keras has mended it: say in layers/README.md that fit works."""
    found = run(PROGRAM.split("for epoch in range(3):")[0] + FIT, tmp_path, 2)
    assert all(code for *_, code in found)
    assert all("PerReplica" in err for _, err, _ in found), found[0][1][-3000:]
