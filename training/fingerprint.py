"""What a run was trained on and with: digests of its shards, versions of its packages."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facekit.errors import BadShard
from facekit.shards import MANIFEST_NAME
from facekit.versions import installed

PACKAGES: Final = ("facekit", "h5py", "numpy", "pandas", "scikit-learn", "timm", "torch")
"""Packages whose version may change what a run comes to."""


def of(folders: Sequence[Path]) -> tuple[str, ...]:
    """The sha256 of each manifest, which tells those of its shards; of a lone shard its own.

    Args:
        folders: of shards, or single shards.

    Raises:
        BadShard: one cannot be read.
    """
    return tuple(_sha256(path / MANIFEST_NAME if path.is_dir() else path) for path in folders)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadShard(f"{path} cannot be read: {error.strerror}") from error


def versions() -> dict[str, str]:
    """Package -> version.

    >>> versions().keys() <= set(PACKAGES)
    True
    """
    return {
        package: told[package] for package in PACKAGES if package in (told := installed(package))
    }
