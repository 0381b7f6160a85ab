"""What machine code and text of a kernel must not hold. Each function returns complaints, none if all is well."""

from __future__ import annotations

import re

from .nvrtc import Kernel

REGISTERS = {"float32": 64, "float64": 128}  # 4 or 2 blocks of 256 threads on a multiprocessor of 65536 registers
STATIC_SHARED = 48 << 10
FAST_MATH = re.compile(r"__(exp|exp10|log|log2|log10|pow|sin|cos|tan|tanh|sincos|fdivide|saturate)f\(|use_fast_math|approx")
FLOAT_ATOMICS = re.compile(r"(RED|ATOM)\S*\.(F16|F32|F64|BF16)")
DOUBLES = re.compile(r"^D(ADD|MUL|FMA|SETP|MNMX)|F64|64H")


def code(name: str, kernel: Kernel, dtype: str) -> list[str]:
    """Complaints about the machine code of one kernel, which computes in dtype."""
    complaints = []
    if kernel.stack or kernel.local:
        complaints.append(f"{kernel.stack} bytes of stack, {kernel.local} of local memory")
    if kernel.registers > REGISTERS[dtype]:
        complaints.append(f"{kernel.registers} registers, allowed {REGISTERS[dtype]}")
    if kernel.shared > STATIC_SHARED:
        complaints.append(f"{kernel.shared} bytes of shared memory, allowed {STATIC_SHARED}")
    for instruction in sorted(set(kernel.instructions)):
        if instruction.startswith(("LDL", "STL")):
            complaints.append(f"spills: {instruction}")
        if FLOAT_ATOMICS.match(instruction):
            complaints.append(f"a float atomic, whose order is not fixed: {instruction}")
        if instruction.startswith("MUFU.TANH"):
            complaints.append(f"an inexact tanh: {instruction}")
        if dtype == "float32" and DOUBLES.search(instruction):
            complaints.append(f"float64 in a float32 kernel: {instruction}")
    if not kernel.instructions:
        complaints.append("no code")
    return [f"{name}: {complaint}" for complaint in complaints]


def text(source: str) -> list[str]:
    """Complaints about fast-math intrinsics: machine code does not tell __expf from expf."""
    plain = re.sub(r"//[^\n]*", "", source)
    return [f"fast math: {match[0]}" for match in FAST_MATH.finditer(plain)]
