# make demo    install, verify the cells, train on real digits (about two minutes after installation)
# make test    the quick tests            make check   the long ones         make lint   ruff and mypy
# make mutants all planted bugs, of which `make check` draws a part
# make bench   the benchmark suites       make wheel   build the wheel and try it in a bare environment
# make docs    the guides and the API reference as static pages, in build/docs
# make scaling times of 1, 2, 4, ... threads beside what the model of bench/README.md predicts, and constants that fit
# make tables  write the tables of the guides again    make gpu-check MINUTES=8   checks and times of the CUDA kernels; PYTHON needs CuPy
# make programs MNIST=FOLDER SHAKESPEARE=FILE ABC=FILE WORDS=FILE PAIRS=FILE   train every program of the books (hours), write their table
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test check mutants lint docs bench scaling gpu-check wheel tables programs clean
.DELETE_ON_ERROR:

# installed once; again when the project's own files say something else
$(VENV)/.installed: setup.py pyproject.toml $(wildcard kernels/*.cpp kernels/native/* kernels/cells/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "needs Python 3.10 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,bench,docs]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/rnn-from-scratch verify
	$(BIN)/rnn-from-scratch train mnist --cell lstm --units 150 --epochs 20 --learning-rate 0.003 --out demo --overwrite

# on every core; the tests of one file stay together, since they share what they build; tests/conftest.py has the order of the files
PYTEST := $(BIN)/python -m pytest -q --numprocesses auto --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed
	$(PYTEST) -m 'not check' tests

check: $(VENV)/.installed
	$(PYTEST) -m check tests

# the whole of every list of which `make check` draws a part: planted bugs, seeds, lessons, Keras' backends
mutants: $(VENV)/.installed
	RNN_MUTANTS=all $(PYTEST) -m check tests/kernels tests/verify tests/lessons tests/layers/test_keras_backends.py tests/tasks/test_fast.py

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.installed
	$(BIN)/python -W error .ci/docs.py build/docs

gpu-check:
	$(PYTHON) -m bench.gpu_check $(if $(MINUTES),--minutes $(MINUTES))

bench: $(VENV)/.installed
	$(BIN)/python -m pytest -q bench

scaling: $(VENV)/.installed
	$(BIN)/python -m bench.scaling --measure

tables: $(VENV)/.installed
	$(BIN)/python -m bench.scaling --readme bench/README.md
	$(BIN)/python -m rnn_from_scratch.verify.table rnn_from_scratch/verify/README.md
	$(BIN)/python -m tests.helpers.planned kernels/sequence.md
	$(BIN)/python -m tests.helpers.planned_tensor kernels/tensor.md
	$(BIN)/python -m bench.gpu_designs kernels
	$(BIN)/python -m rnn_from_scratch.verify.mutants.table rnn_from_scratch/verify/README.md
	$(BIN)/python -m rnn_from_scratch.verify.functions.score rnn_from_scratch/verify/README.md

MNIST ?= $(error programs needs MNIST=FOLDER, with the four IDX files)
SHAKESPEARE ?= $(error programs needs SHAKESPEARE=FILE, all plays as text)
TRAIN := $(BIN)/rnn-from-scratch train --overwrite
CELLS  = $(shell $(BIN)/python -c 'from rnn_from_scratch import cells; print(*cells.CELLS)')
LONGER := --epochs 12 --batch-size 64 --learning-rate 0.002 --decay 0.8
ADAM  := --units 32 --optimizer adam --learning-rate 0.003 --epochs 5 --batch-size 200

programs: $(VENV)/.installed
	for seed in 0 1 2; do \
		for task in mnist-rnn mnist-deep-rnn mnist-lstm mnist-lstm-proj; do \
			$(TRAIN) $$task --data '$(MNIST)' --seed $$seed --out runs/$$task-$$seed || exit; done; \
		$(TRAIN) series --seed $$seed --out runs/series-$$seed || exit; done
	for task in series-one deep-series series-dropout; do $(TRAIN) $$task --out runs/$$task || exit; done
	for cell in $(CELLS); do \
		$(TRAIN) mnist-rnn --data '$(MNIST)' --cell $$cell --epochs 10 --out runs/mnist-$$cell || exit; \
		$(TRAIN) series --cell $$cell --activation tanh --learning-rate 0.01 --out runs/series-$$cell || exit; \
		$(TRAIN) load --cell $$cell --out runs/load-$$cell || exit; \
		$(TRAIN) load --cell $$cell --steps 96 $(ADAM) --out runs/load-96-$$cell || exit; \
		$(TRAIN) char --cell $$cell --units 128 --epochs 4 --learning-rate 0.004 --out runs/char-$$cell || exit; done
	$(TRAIN) char --data '$(SHAKESPEARE)' --layers 2 --units 256 --bptt 100 --epochs 6 --learning-rate 0.004 --decay 0.7 --out runs/char
	$(if $(ABC),$(TRAIN) char --data '$(ABC)' --layers 2 --units 256 --bptt 100 --epochs 11 --learning-rate 0.004 --decay 0.8 --out runs/abc)
	for seed in 0 1 2; do \
		$(TRAIN) translate --seed $$seed --out runs/dates-$$seed || exit; \
		$(TRAIN) translate --no-attention --seed $$seed --out runs/dates-without-$$seed || exit; \
		$(if $(WORDS),$(TRAIN) word2vec --data '$(WORDS)' --seed $$seed --out runs/word2vec-$$seed || exit;) \
		$(if $(PAIRS),$(TRAIN) translate --data '$(PAIRS)' --seed $$seed --out runs/translate-$$seed || exit; \
		$(TRAIN) translate --data '$(PAIRS)' $(LONGER) --seed $$seed --out runs/translate-longer-$$seed || exit;) done
	for cell in $(CELLS); do $(TRAIN) translate --cell $$cell --out runs/dates-$$cell || exit; done
	$(if $(WORDS),$(TRAIN) word2vec-book --data '$(WORDS)' --out runs/word2vec-book)
	$(if $(PAIRS),$(TRAIN) translate-book --data '$(PAIRS)' --out runs/translate-book)
	$(BIN)/python -m rnn_from_scratch.tasks.table runs rnn_from_scratch/tasks/README.md

wheel: $(VENV)/.installed
	mkdir -p dist
	RNN_DIST=$(CURDIR)/dist $(BIN)/python -m pytest -q -m check tests/project/test_wheel.py

clean:
	rm -rf build dist demo *.egg-info
