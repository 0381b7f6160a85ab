"""How fast, and against what. Read in this order:

    cases.py            the one table: shapes, cells, passes, and the seeded arrays of a case
    parity.py           the gate: what is not right is not timed
    test_sequence.py    every case on every backend (pytest-benchmark)
    test_variants.py    masks, dropout scales and other cells beside the plain cell
    peers.py            what stands beside us: torch, tf.keras, BlockLSTM, ONNX Runtime, and the bare matrix products
    time_one.py         times one of them, or one of our backends, alone in its process
    interleaved.py      starts those processes, ours and theirs, and lets them work in turn
    steady.py           is a number to be believed: how far its samples lie apart, how long its threads waited
    test_steps.py       single steps of a stream, beside torch's single-step cells
    test_peers.py       the ratio to each peer                  test_sweeps.py    time against T, B and H, memory against T
    fit.py, stacked.py, torch_fit.py    training steps of whole models, each a command;  words.py: word2vec and translate
    scaling.py          more threads than two: predicted by scaling_model.py, measured where there are the cores
    keras_backends.py   the same with Keras on PyTorch and JAX
    second_order.py     gradients of gradients: the ratio to the first order, torch and tf.keras beside it
    report.py           JSON -> tables, plots (plots.py), the table in README.md
    compare.py          what became slower, beside a file or beside an older checkout;  run.py: the command `rnn-from-scratch bench`
    gpu_check.py        all that a GPU can tell: its sections are in gpu_sections.py, gpu_parity.py, gpu_timing.py, its report in
                        gpu_report.py;  gpu_model.py: what is predicted without a GPU; gpu_fit.py: the model's
                        constants from a report; gpu_designs.py: what two designs would bring
    ptx.py              every launch of a call, for emulators and cards of others; nvrtc.py: CUDA's compiler from PyPI

    pytest bench                        times everything (more than an hour; --quick, --seconds and --rounds shorten it)
    pytest bench --benchmark-disable    runs small cases once, untimed
    pytest bench/test_peers.py -k LSTM --benchmark-json LSTM.json; python -m bench.report *.json --readme bench/README.md    in parts

Run nothing else meanwhile. Settings are handed on to every process: RNN_NUM_THREADS, RNN_NATIVE_ISA, and a peer's own, as in
ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 RNN_NATIVE_ISA=x86-64-v3.
"""
