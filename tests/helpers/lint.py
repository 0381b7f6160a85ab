"""What machine code and text of a kernel must not hold. Each function returns complaints, none if all is well."""

from __future__ import annotations

import re

from .nvrtc import Kernel

REGISTERS = {"float32": 64, "float64": 128}  # 4 or 2 blocks of 256 threads on a multiprocessor of 65536 registers
DUAL_REGISTERS = 128  # of the kernels whose numbers carry tangents: 2 blocks
STATIC_SHARED = 48 << 10
FAST_MATH = re.compile(r"__(exp|exp10|log|log2|log10|pow|sin|cos|tan|tanh|sincos|fdivide|saturate)f\(|use_fast_math|approx")
FLOAT_ATOMICS = re.compile(r"(RED|ATOM)\S*\.(F16|F32|F64|BF16)")
RELEASE, LOOK = r"REDG?\.E\.ADD\.STRONG\.GPU", r"LDG\.E\.STRONG\.GPU"
WIDE = r"LDG\.E\.128\.STRONG\.GPU"  # what the blocks exchange
DOUBLES = re.compile(r"^D(ADD|MUL|FMA|SETP|MNMX)|F64|64H")


def code(name: str, kernel: Kernel, dtype: str, registers: int = 0) -> list[str]:
    """Complaints about the machine code of one kernel, which computes in dtype; registers: allowed, if not those of REGISTERS."""
    registers = registers or (DUAL_REGISTERS if name.startswith("dual_") else REGISTERS[dtype])
    complaints = []
    if kernel.stack or kernel.local:
        complaints.append(f"{kernel.stack} bytes of stack, {kernel.local} of local memory")
    if kernel.registers > registers:
        complaints.append(f"{kernel.registers} registers, allowed {registers}")
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


def between_blocks(kernel: Kernel, barriers: int) -> list[str]:
    """Complaints about how a kernel of sequence.cu, which has so many barriers between blocks, exchanges what it published."""
    complaints = []

    def count(pattern: str) -> int:
        return sum(bool(re.match(pattern, i)) for i in kernel.instructions)

    expected = {  # a barrier fences twice, before it arrives and when all have
        "fences": ("MEMBAR", 2 * barriers),
        "cache invalidations": (r"CCTL\.IVALL", barriers),
        "releases": (RELEASE, barriers),
        "looks at the counter": (LOOK, barriers),
    }
    for what, (pattern, number) in expected.items():
        if count(pattern) != number:
            complaints.append(f"{count(pattern)} {what} for {barriers} barriers")
    complaints += around_release(kernel.instructions)
    if count(r"LDG\S*(CONSTANT|\.NC)"):
        complaints.append("loads past the coherent caches: what other blocks write could be missed")
    if not count(WIDE):
        complaints.append("what the blocks exchange is not loaded 128 bits at a time from the level 2 cache")
    if count(r"LDG\.E\.128(?!\.STRONG\.GPU)"):
        complaints.append("a wide load that may come from the level 1 cache")
    return complaints


def sequence(name: str, kernel: Kernel, dtype: str, barriers: int, loads: int = 1, several: bool = False) -> list[str]:
    """Complaints about a kernel of sequence.cu with the products of product.h.

    loads: wide ones that must be on their way together; several: tiles, the next of which is to be fetched while one is used.
    """
    complaints = [*tile_loop(kernel.instructions, loads, several), *between_blocks(kernel, barriers)]
    wide = [i for i, instruction in enumerate(kernel.instructions) if instruction.startswith("LDS") and instruction.endswith(".128")]
    if not wide:
        return [f"{name}: no wide loads from shared memory", *(f"{name}: {c}" for c in complaints)]
    end = wide[-1] + 1  # what the last of them brings is used until something is stored
    while end < len(kernel.instructions) and not kernel.instructions[end].startswith(("STS", "BAR")):
        end += 1
    loop = kernel.instructions[wide[0] : end]
    sums, loads = (sum(i.startswith(kind) for i in loop) for kind in ("FFMA" if dtype == "float32" else "DFMA", "LDS"))
    if sums < 2 * loads and dtype == "float32":
        complaints.append(f"{sums} multiply-adds for {loads} loads from shared memory in the product")
    return [f"{name}: {complaint}" for complaint in complaints]


def tile_loop(instructions: tuple[str, ...], loads: int, several: bool) -> list[str]:
    """Complaints about the loads of a tile: how many are on their way before the first is waited for, and what is done meanwhile."""
    together, most, ahead = 0, 0, False
    for instruction in instructions:
        if re.match(WIDE, instruction):
            together += 1
        elif instruction.startswith(("STS", "BAR")):
            together = 0
        ahead |= together > 0 and instruction.startswith(("FFMA", "DFMA"))
        most = max(most, together)
    complaints = [f"{most} loads of a tile on their way at once, {loads} wanted"] if most < loads else []
    return [*complaints, "the next tile is not fetched while one is used"] if several and not ahead else complaints


def tensor(name: str, kernel: Kernel, barriers: int, multiply: str, held: bool, loads: int) -> list[str]:
    """Complaints about a kernel of sequence.cu with the products of tensor_product.h, which are instructions of the name `multiply`.

    Fragments of the weights are made before the first step: from then on they come from registers (held) or from shared memory.
    """
    instructions = kernel.instructions
    complaints = [*tile_loop(instructions, loads, False), *between_blocks(kernel, barriers)]
    kinds = {i for i in instructions if "MMA" in i}
    if kinds != {multiply}:
        complaints.append(f"products by {', '.join(sorted(kinds)) or 'nothing'}, expected {multiply}")
    products, since = [], list[str]()  # what stands between the look at the counter (a barrier, if there is none) and the products
    for instruction in instructions:
        if re.match(LOOK, instruction) or (not barriers and instruction.startswith("BAR.SYNC")):
            since = []
        since.append(instruction)
        if instruction == multiply:
            products.append(tuple(since))
    meanwhile = {i for part in products for i in part}
    if any(i.startswith("LDG") and not re.match(f"{WIDE}|{LOOK}", i) for i in meanwhile):
        complaints.append("weights, or something else, come from memory at every step")
    if any(i.startswith("F2F") and "TF32" not in i for i in meanwhile):
        complaints.append("numbers become 16 bits at every step")
    if products and held == any(i.startswith("LDS") and i.endswith(".128") for i in meanwhile):
        complaints.append(f"weights in {'registers, but wide' if held else 'shared memory, but no wide'} loads from shared memory")
    if products and not any(i.startswith("LDS") and i.endswith(".64") for i in meanwhile):
        complaints.append("no lane gets its words of the operand in one load")
    return [f"{name}: {complaint}" for complaint in complaints]


def around_release(instructions: tuple[str, ...]) -> list[str]:
    """Complaints about what stands before a release, between it and the wait (where the next step's numbers are fetched), and after."""
    complaints, fetched = [], 0
    releases = [i for i, instruction in enumerate(instructions) if re.match(RELEASE, instruction)]
    for at in releases:
        before = next((i for i in reversed(instructions[:at]) if i.startswith(("BAR", "LDG", "STG"))), "")
        if not before.startswith("BAR.SYNC"):
            complaints.append(
                f"{before or 'nothing'} before a release, not the block's barrier: what others in it published may be late"
            )
        look = next((i for i in range(at, len(instructions)) if re.match(LOOK, instructions[i])), at)
        fetched += sum(i.startswith("LDG") for i in instructions[at:look])
        end = next((i for i in releases if i > look), len(instructions))
        late = [i for i in instructions[look + 1 : end] if i.startswith("LDG") and not re.match(WIDE, i)]
        complaints += [f"{load} after the wait, when it could have been on its way" for load in sorted(set(late))]
    if releases and not fetched:
        complaints.append("nothing is fetched between a release and the wait")
    return complaints


def text(source: str) -> list[str]:
    """Complaints about fast-math intrinsics: machine code does not tell __expf from expf."""
    plain = re.sub(r"//[^\n]*", "", source)
    return [f"fast math: {match[0]}" for match in FAST_MATH.finditer(plain)]
