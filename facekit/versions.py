"""Versions of the packages that touch the numbers."""

from importlib import metadata
from typing import Final

STAND_INS: Final = {
    "onnxruntime": ("onnxruntime-gpu",),
    "opencv-python": (
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}
"""Distributions that bring the same import; two of them at once overwrite each other's files."""

MEASURING: Final = (
    "facekit",
    "av",
    "face-alignment",
    "h5py",
    "insightface",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "pandas",
    "pillow",
    "py-feat",
    "scikit-learn",
    "scipy",
    "skops",
    "torch",
    "xgboost",
)
"""Packages whose version may change what a video becomes; a shard records them."""


def installed(package: str) -> dict[str, str]:
    """Distribution -> version of a package and of those that stand in for it; empty if none is.

    Args:
        package: name of the distribution.

    >>> list(installed("numpy")), installed("no-such-package")
    (['numpy'], {})
    """
    found = {}
    for name in (package, *STAND_INS.get(package, ())):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def measuring() -> dict[str, str]:
    """Package -> version, for each of `MEASURING`; of a stand-in with its name.

    >>> measuring().keys() == set(MEASURING)
    True
    """
    return {package: _told(package) for package in MEASURING}


def _told(package: str) -> str:
    found = installed(package)
    if package in found:
        return found[package]
    return ", ".join(f"{v} ({name})" for name, v in found.items()) or "not installed"
