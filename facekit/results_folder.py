"""Folders of results: files that are whole, and one, written last, that says the rest is there."""

from collections.abc import Mapping
from pathlib import Path

from facekit.errors import BadInput
from facekit.shards import publishing


def begin(out: Path, last: str) -> None:
    """Make a folder, or take away what says that it is complete.

    Args:
        out: the folder.
        last: name of the file that will be written last.

    Raises:
        BadInput: the folder cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / last).unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write to {out}: {error.strerror}") from error


def write(out: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files in order, each whole or not at all.

    Args:
        out: the folder.
        files: name -> content.

    Returns:
        Their paths.

    Raises:
        DiskFull: the disk ran out.
    """
    for name, content in files.items():
        with publishing(out / name) as draft:
            draft.write_bytes(content)
    return [out / name for name in files]
