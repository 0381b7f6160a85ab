"""Packages, extras and the mapping of kernels/ into the package as rnn_from_scratch.kernels."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "rnn_from_scratch/__init__.py").read_text(encoding="utf-8")).group(1)

extras = {
    "tensorflow": ["tensorflow>=2.18", "matplotlib>=3.7"],
    "bench": ["pytest>=8", "pytest-benchmark>=4", "matplotlib>=3.7"],
    "test": [
        "tensorflow>=2.18",
        "tf_keras>=2.18",
        "matplotlib>=3.7",
        "pytest>=8",
        "pytest-benchmark>=4",
        "hypothesis>=6.100",
        "ruff>=0.6",
        "mypy>=1.11",
        "setuptools>=68",
        "wheel",
    ],
}
extras["all"] = sorted({requirement for name in ("tensorflow", "bench") for requirement in extras[name]})

setup(
    name="rnn_from_scratch",
    version=version,
    description="RNNs from the inside out: readable cells and BPTT, fused kernels, Keras layers, and the tools to check them",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[*find_packages(include=["rnn_from_scratch", "rnn_from_scratch.*"]), "rnn_from_scratch.kernels"],
    package_dir={"rnn_from_scratch.kernels": "kernels"},
    package_data={
        "rnn_from_scratch": ["py.typed", "data/embedded/*", "verify/book_rnn.json"],
        "rnn_from_scratch.kernels": ["*.cu", "*.cpp", "*.h", "**/*.h"],
    },
    install_requires=["numpy>=1.26", "typer>=0.12", "rich>=13"],
    extras_require=extras,
    entry_points={"console_scripts": ["rnn-from-scratch = rnn_from_scratch.cli:main"]},
)
