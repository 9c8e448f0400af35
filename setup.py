"""Installs the package `avslowfast` with what it needs."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "avslowfast/__init__.py").read_text()).group(1)

setup(
    name="avslowfast",
    version=VERSION,
    description="Audiovisual SlowFast Networks (arXiv 2001.08740): models, data, training and testing",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["avslowfast", "avslowfast.*"]),
    install_requires=[
        # torchaudio ends at 2.11 and needs a torch built for the same CUDA 13 runtime; INSTALL.md says more.
        "torch>=2.11,<2.15",
        "torchvision",
        "torchaudio>=2.11,<2.12",
        "fvcore",
        "iopath",
        "simplejson",
        "av>=14",
        "librosa",
        "matplotlib",
        "tensorboard",
        "yacs",
        "numpy",
        "pillow",
        "pandas",
        "pyyaml",
        "scikit-learn",
        "tqdm",
    ],
    extras_require={
        "export": ["onnx", "onnxscript", "onnxruntime"],
        "features": ["h5py"],
        "dev": ["pytest", "pytest-xdist", "hypothesis", "ruff", "scipy", "h5py", "onnx", "onnxscript", "onnxruntime"],
    },
)
