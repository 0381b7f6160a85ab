"""The native backend as a custom call of XLA: the bits of the call through Python, its errors, its threads, the structs of XLA."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from ..conftest import ROOT
from ..helpers.sample import drawn

pytestmark = pytest.mark.skipif(not find_spec("jax"), reason="needs JAX")
MANY = ["SimpleRNN", "SimpleRNN masked", "LSTM", "GRU after", "GRU after masked, no training", "GRU before, dropout", "CoupledLSTM"]


def found(*names, **more):
    """What ../helpers/jax_calls.py prints."""
    env = {**os.environ, "KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", **more}
    command = [sys.executable, "-m", "tests.helpers.jax_calls", *names]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_same_bits_as_through_python_and_no_step_is_refused():
    same, *refused = found("LSTM masked, dropout", "refusals")
    assert same == "LSTM masked, dropout: same"
    assert ["T of at least 1, got [6, 0, 3]" in words for words in refused] == [True, True, False, False]
    assert "INVALID_ARGUMENT: x: expected [B, T, I] with T of at least 1, got T = 0" in refused[2]
    assert "INVALID_ARGUMENT: rnn_xla_call: expected the attributes form and plan" in refused[3]


@pytest.mark.check
def test_every_kind_has_the_same_bits_as_through_python():
    kinds = [*drawn(MANY, every=2), "PeepholeLSTM masked"]
    assert found(*kinds) == [f"{kind}: same" for kind in kinds]


@pytest.mark.check
def test_transforms_fallback_and_threads():
    right, without, other, threads = found("transforms", "fallback", "threads")
    assert right == "right"
    begins = "JAX calls the native kernels through Python, which takes longer: "
    assert without.startswith(begins) and without.endswith("has no jax.ffi; install a newer one")
    assert other.startswith(begins) and other.endswith("was built from another xla_handler.cpp; install the package again")
    assert threads == "0 3 0"


@pytest.mark.check
def test_a_program_from_the_cache_of_another_process_gives_the_same_bits(tmp_path):
    folder = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "PYTHONHASHSEED": "0"}
    first = found("cached", **folder)
    kept = set(tmp_path.glob("jit_lstm*-cache"))
    assert len(kept) == 1
    assert found("cached", **folder) == first
    assert set(tmp_path.glob("jit_lstm*-cache")) == kept


STRUCTS = r"""
#include <cstddef>
#include "xla/ffi/api/c_api.h"
#include "xla_handler.cpp"
#define SAME(theirs, field, ours, own) static_assert(offsetof(theirs, field) == offsetof(ours, own), #field)
SAME(XLA_FFI_CallFrame, extension_start, Frame, extensions);
SAME(XLA_FFI_CallFrame, api, Frame, api);
SAME(XLA_FFI_CallFrame, args, Frame, arguments);
SAME(XLA_FFI_CallFrame, rets, Frame, results);
SAME(XLA_FFI_CallFrame, attrs, Frame, attributes);
static_assert(XLA_FFI_CallFrame_STRUCT_SIZE == sizeof(Frame));
SAME(XLA_FFI_Args, size, Buffers, count);
SAME(XLA_FFI_Args, args, Buffers, buffers);
SAME(XLA_FFI_Rets, rets, Buffers, buffers);
SAME(XLA_FFI_Attrs, size, Attributes, count);
SAME(XLA_FFI_Attrs, names, Attributes, names);
SAME(XLA_FFI_Attrs, attrs, Attributes, values);
SAME(XLA_FFI_Buffer, dtype, Buffer, type);
SAME(XLA_FFI_Buffer, data, Buffer, data);
SAME(XLA_FFI_Buffer, rank, Buffer, rank);
SAME(XLA_FFI_Buffer, dims, Buffer, dims);
SAME(XLA_FFI_ByteSpan, len, Text, size);
SAME(XLA_FFI_Array, size, Array, size);
SAME(XLA_FFI_Array, data, Array, data);
SAME(XLA_FFI_Api, api_version, Api, version);
SAME(XLA_FFI_Api, XLA_FFI_Error_Create, Api, create_error);
SAME(XLA_FFI_Api_Version, major_version, Version, major);
SAME(XLA_FFI_Api_Version, minor_version, Version, minor);
SAME(XLA_FFI_Error_Create_Args, message, Failure, message);
SAME(XLA_FFI_Error_Create_Args, errc, Failure, code);
SAME(XLA_FFI_Extension_Base, type, Extension, type);
SAME(XLA_FFI_Extension_Base, next, Extension, next);
SAME(XLA_FFI_Metadata, api_version, Metadata, version);
SAME(XLA_FFI_Metadata_Extension, metadata, MetadataExtension, metadata);
static_assert(int(METADATA) == XLA_FFI_Extension_Metadata && int(FLOAT) == XLA_FFI_DataType_F32 && int(DOUBLE) == XLA_FFI_DataType_F64);
static_assert(int(INVALID_ARGUMENT) == XLA_FFI_Error_Code_INVALID_ARGUMENT && int(INTERNAL) == XLA_FFI_Error_Code_INTERNAL);
static_assert(int(RESOURCE_EXHAUSTED) == XLA_FFI_Error_Code_RESOURCE_EXHAUSTED);
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_structs_are_those_of_jaxlib():
    import jaxlib

    headers = [f"-I{os.path.dirname(jaxlib.__file__)}/include", f"-I{ROOT}/kernels"]
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wno-invalid-offsetof", '-DDIGEST=""', *headers, "-x", "c++", "-"]
    done = subprocess.run(command, input=STRUCTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
