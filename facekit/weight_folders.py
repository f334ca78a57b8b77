"""Models that are folders of files: what belongs to one, whether it is sound, how it arrives."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from facekit import arrivals
from facekit.errors import BadWeights
from facekit.openface_members import Member


def fault(folder: Path, members: Sequence[Member]) -> str:
    """What is wrong with a folder; files that are no members do not count.

    Args:
        folder: where the members lie.
        members: what it must hold.

    Returns:
        The first member that is missing or not what it should be; empty if none is.

    >>> fault(Path("nowhere"), [Member(path="a/b.dat", sha256="0" * 64, size_bytes=1)])
    'a/b.dat is missing'
    """
    for member in members:
        path = folder / member.path
        if not path.is_file():
            return f"{member.path} is missing"
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if sha256 != member.sha256:
            return f"the sha256 of {member.path} is {sha256}, it should be {member.sha256}"
    return ""


def sha256_of(members: Sequence[Member]) -> str:
    """What `facekit.weights.sha256_of` says of a folder that holds the members and nothing else."""
    lines = (f"{m.path}\0{m.sha256}\n" for m in sorted(members, key=lambda m: Path(m.path)))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def receive(
    members: Sequence[Member], base_url: str, target: Path, open_url: Callable[[str], IO[bytes]]
) -> None:
    """Download every member; the folder is there only when all have come and are right.

    Args:
        members: paths below the address and below the folder alike.
        base_url: ends in a slash.
        target: the folder; one that is there is replaced, anything else of that name stays.
        open_url: opens an address.

    Raises:
        BadWeights: a member is something else, or more; the error names it. Or the folder's name
            is taken by a link or a file.
        DiskFull: no room.
        OSError: the connection broke.
    """
    if target.is_symlink() or target.is_file():
        raise BadWeights(f"{target} is no folder: move it away, then fetch again")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        folder = Path(scratch) / target.name
        for member in members:
            with open_url(base_url + member.path) as stream:
                place = folder / member.path
                arrivals.receive(stream, place, member.sha256, member.size_bytes)
        if target.exists():
            shutil.rmtree(target)
        folder.replace(target)
        arrivals.sync_folder(target.parent)
