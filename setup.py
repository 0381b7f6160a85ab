"""Packages, extras, the mapping of kernels/ and bench/ into the package, and the build of the native backend.

The native backend is optional: without a compiler everything else installs, and kernels/native-LEVEL.log keeps what the
compiler said. It is no Python extension module but a shared library for ctypes, one for each instruction set level.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

here = Path(__file__).resolve().parent
version = re.search(r'__version__ = "(.+)"', (here / "rnn_from_scratch/__init__.py").read_text(encoding="utf-8")).group(1)

FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra", "-Werror"]
X86 = platform.machine().lower() in ("x86_64", "amd64")
LEVELS = {"generic": [], **({level: [f"-march={level}"] for level in ("x86-64-v3", "x86-64-v4")} if X86 else {})}
spec = spec_from_file_location("sources", here / "rnn_from_scratch/backends/native/sources.py")
sources = module_from_spec(spec)
spec.loader.exec_module(sources)
BUILD = Path("build/native")


class BuildNative(build_ext):
    """Compiles kernels/native-LEVEL.so for every level; a level that fails is left out, and the reason logged.

    What is compiled stays in build/native, and is used again as long as the command and all files it was made from say the same.
    """

    def run(self):
        kernels = here / "kernels" if self.inplace else Path(self.build_lib) / "rnn_from_scratch/kernels"
        kernels.mkdir(parents=True, exist_ok=True)
        (here / BUILD).mkdir(parents=True, exist_ok=True)
        units = sources.units(here / "kernels")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = {(level, unit): pool.submit(self.compile, level, unit, *units[unit]) for level in LEVELS for unit in units}
        for level in LEVELS:
            objects = [BUILD / f"{level}-{unit}.o" for unit in units]
            errors = [error for unit in units if (error := made[level, unit].result())]
            errors = errors or [make(BUILD / f"native-{level}.so", ["-shared", *objects], lambda objects=objects: objects, self.force)]
            (kernels / f"native-{level}.log").write_text(errors[0], encoding="utf-8")
            library = kernels / f"native-{level}.so"
            if errors[0]:
                library.unlink(missing_ok=True)
                print(f"warning: the native backend was not built for {level}: {errors[0]}")
            else:
                put_in_place(here / BUILD / library.name, library)

    def compile(self, level, unit, source, *options):
        listed = BUILD / f"{level}-{unit}.d"
        arguments = [*LEVELS[level], *options, "-MMD", "-MF", listed, "-c", Path("kernels") / source]
        return make(BUILD / f"{level}-{unit}.o", arguments, lambda: files_of(listed), self.force)

    def get_outputs(self):
        return []

    def get_output_mapping(self):
        return {}


def make(target, arguments, files, force):
    """Have the compiler make a file, unless the same command made it before from files() of the same contents.

    Returns what the compiler says when it fails, else an empty string. CXX and CXXFLAGS are heeded. All paths are seen from here.
    """
    command = [os.environ.get("CXX", "c++"), *FLAGS, *os.environ.get("CXXFLAGS", "").split(), *map(str, arguments), "-o", f"{target}.new"]
    key = here / f"{target}.key"
    try:
        if not force and (here / target).exists() and key.exists() and key.read_text(encoding="utf-8") == key_of(command, files()):
            return ""
        done = subprocess.run(command, cwd=here, capture_output=True, text=True)
    except OSError as error:
        return f"{command[0]}: {error.strerror}; a C++17 compiler is needed, named by CXX"
    if done.returncode:
        return f"{' '.join(command)}\n{done.stderr}"
    os.replace(here / f"{target}.new", here / target)
    key.write_text(key_of(command, files()), encoding="utf-8")
    return ""


def key_of(command, files):
    """A digest of the command, the compiler's version, and the names and contents of files."""
    total = hashlib.sha256("\0".join([*command, version_of(command[0])]).encode())
    for file in files:
        path = here / file
        total.update(f"\0{file}\0".encode() + (path.read_bytes() if path.exists() else b"is gone"))
    return total.hexdigest()


@cache
def version_of(compiler):
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout


def files_of(listed):
    """The files in a list that the compiler wrote in make's language: "target: file file"."""
    text = (here / listed).read_text(encoding="utf-8") if (here / listed).exists() else ""
    names = re.findall(r"(?:\\.|\S)+", text.partition(": ")[2].replace("\\\n", " "))
    return [re.sub(r"\\(.)", r"\1", name) for name in names]


def put_in_place(made, library):
    """Copy a library, whole: a process may have the old one open."""
    if library.exists() and library.read_bytes() == made.read_bytes():
        return
    shutil.copyfile(made, library.with_suffix(".new"))
    os.replace(library.with_suffix(".new"), library)


# N of manylinux_2_N -> the newest GLIBCXX_3.4.M of the libstdc++ beside that glibc (PEP 600; the policies of auditwheel)
LIBSTDCXX = {17: 19, 24: 22, 27: 24, 31: 28, 34: 29, 35: 30, 39: 33}


def platform_tag(plain, libraries):
    """manylinux_2_N for the oldest systems that have every symbol of the libraries; else `plain`, the platform's own tag."""
    text = b"".join(library.read_bytes() for library in libraries)
    glibc, libstdcxx = (max(map(int, re.findall(name + rb"(\d+)", text)), default=0) for name in (rb"GLIBC_2\.", rb"GLIBCXX_3\.4\."))
    if not plain.startswith("linux_") or not glibc:
        return plain
    least = next((n for n, newest in LIBSTDCXX.items() if n >= glibc and newest >= libstdcxx), None)
    return f"manylinux_2_{least}_{plain.removeprefix('linux_')}" if least else plain


class Wheel(bdist_wheel):
    """The library serves every Python: one wheel per platform."""

    def get_tag(self):
        kernels = Path(self.get_finalized_command("build").build_lib) / "rnn_from_scratch/kernels"
        return ("py3", "none", platform_tag(super().get_tag()[2], kernels.glob("native-*.so")))


LINUX = '; platform_system == "Linux"'
extras = {
    "tensorflow": ["tensorflow>=2.18", "matplotlib>=3.7"],
    "torch": ["torch>=2.4"],
    "jax": ["jax>=0.4.35"],
    # ctk brings cuBLAS and NVRTC, which CuPy leaves to the system otherwise
    "cuda12": ["cupy-cuda12x[ctk]>=14", "ml_dtypes>=0.4"],  # beside TensorFlow, whose own CUDA is 12
    "cuda13": ["cupy-cuda13x[ctk]>=14", "ml_dtypes>=0.4"],
    "bench": ["pytest>=8", "pytest-benchmark>=4", "matplotlib>=3.7"],
    "test": [
        "tensorflow>=2.18",
        "tf_keras>=2.18",
        "matplotlib>=3.7",
        "pytest>=8",
        "pytest-benchmark>=4",
        "pytest-xdist>=3",
        "hypothesis>=6.100",
        "nbmake>=1.5",  # with ipykernel
        "quickjs-ng>=0.10",  # runs the JavaScript twins where there is no Node
        "playwright>=1.45",  # drives the Chromium of the system through the pages
        "sacrebleu>=2",  # BLEU is compared with its
        "onnx>=1.16",
        "onnxruntime>=1.18",
        "ruff>=0.6",
        "mypy>=1.11",
        "setuptools>=77",
        "wheel",
        f"auditwheel>=6{LINUX}",
        "ml_dtypes>=0.4",
        # CUDA's compiler and disassembler, of one release; no GPU and no driver needed
        f"nvidia-cuda-nvrtc==13.5.37{LINUX}",
        f"nvidia-cuda-cuobjdump==13.5.37{LINUX}",
        f"nvidia-cuda-nvdisasm==13.5.37{LINUX}",
        f"nvidia-cuda-nvrtc-cu12==12.9.86{LINUX}",
    ],
}
extras["docs"] = ["pdoc>=14"]
extras["all"] = sorted({requirement for name in ("tensorflow", "bench") for requirement in extras[name]})

setup(
    name="rnn_from_scratch",
    version=version,
    description="RNNs from the inside out: readable cells and BPTT, fused kernels, Keras layers, and the tools to check them",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="MIT",
    keywords=["RNN", "LSTM", "GRU", "BPTT", "gradient check", "NumPy", "Keras", "CUDA", "education"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",  # this and Python 3.11 are what all tests have run with
        "Programming Language :: C++",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Software Development :: Testing",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["rnn_from_scratch", "rnn_from_scratch.*"]),
        "rnn_from_scratch.kernels",
        "rnn_from_scratch.bench",
    ],
    package_dir={"rnn_from_scratch.kernels": "kernels", "rnn_from_scratch.bench": "bench"},
    package_data={
        "rnn_from_scratch": ["py.typed", "*/*.md", "explain/page.png", "data/embedded/*", "verify/book_rnn.json"],
        "rnn_from_scratch.explain": ["schema.json", "web/*"],
        "rnn_from_scratch.lessons": ["style.css", "solutions/*.py", "exercises/stubs/*.py"],
        "rnn_from_scratch.bench": ["*.cu", "README.md"],
        "rnn_from_scratch.kernels": ["*.cu", "**/*.cpp", "**/*.h", "**/*.md", "**/*.png"],
    },
    ext_modules=[Extension("rnn_from_scratch.kernels.native", ["kernels/native.cpp"])],
    cmdclass={"build_ext": BuildNative, "bdist_wheel": Wheel},
    install_requires=["numpy>=1.26", "typer>=0.12", "rich>=13"],
    extras_require=extras,
    entry_points={
        "console_scripts": ["rnn-from-scratch = rnn_from_scratch.__main__:main"],
        # the name is the module's: pytest then knows it for the one that a conftest.py may name in pytest_plugins
        "pytest11": ["rnn_from_scratch.verify.plugin = rnn_from_scratch.verify.plugin"],
    },
)
