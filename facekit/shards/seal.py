"""The seal: a digest of the whole file in its first 512 bytes, so that no bit flips unseen.

HDF5 checksums its metadata (format v110) and our data (fletcher32), not the gaps between them.
The seal stands in the file's user block, which HDF5 leaves to applications, and is plain text:
`head -n 4 faces-00000.h5` shows it.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

from facekit import schema
from facekit.errors import BadShard
from facekit.shards.disk import damaged, disk_full

SEAL_BYTES: Final = 512
"""Length of the user block: the smallest that HDF5 allows."""

_PIECE_BYTES: Final = 1 << 20


def render(body_sha256: str, file_bytes: int) -> bytes:
    """The only 512 bytes that seal a file of this length with this digest of what follows them.

    >>> print(render("00ff", 4096).rstrip(bytes(1)).decode())
    facekit shard
    format 1
    bytes 4096
    sha256 00ff
    <BLANKLINE>
    """
    text = (
        f"facekit shard\nformat {schema.FORMAT}\nbytes {file_bytes}\nsha256 {body_sha256}\n"
    ).encode("ascii")
    return text.ljust(SEAL_BYTES, b"\0")


def seal(path: Path) -> None:
    """Write the seal of a finished HDF5 file that has a user block.

    Raises:
        DiskFull: the disk ran out.
    """
    with disk_full(path), path.open("r+b") as file:
        file.seek(SEAL_BYTES)
        body_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        file.write(render(body_sha256, file_bytes))


def check_seal(path: Path) -> str:
    """Compare every byte of a file with its seal, without touching HDF5.

    Returns:
        The sha256 of the whole file, as `sha256sum` prints it.

    Raises:
        BadShard: a bit differs from what was sealed, or this is no shard.
    """
    check_length(path)
    with damaged(path), path.open("rb") as file:
        block = file.read(SEAL_BYTES)
        body, whole = hashlib.sha256(), hashlib.sha256(block)
        while piece := file.read(_PIECE_BYTES):
            body.update(piece)
            whole.update(piece)
        file_bytes = file.tell()
    if block != render(body.hexdigest(), file_bytes):
        raise BadShard(f"{path}: damaged: its bytes do not match its seal; make it again")
    return whole.hexdigest()


def check_length(path: Path) -> None:
    """Check in no time that a file is a shard of this format and neither cut nor grown.

    Raises:
        BadShard: it is not.
    """
    with damaged(path), path.open("rb") as file:
        lines = file.read(SEAL_BYTES).split(b"\n")
        file_bytes = file.seek(0, os.SEEK_END)
    if lines[0] != b"facekit shard" or len(lines) != 5:
        raise BadShard(f"{path}: no facekit shard, or its first bytes are damaged")
    if lines[1] != f"format {schema.FORMAT}".encode():
        raise BadShard(f"{path}: another format: {lines[1]!r}; this facekit reads {schema.FORMAT}")
    if lines[2] != f"bytes {file_bytes}".encode():
        raise BadShard(f"{path}: cut or damaged: {file_bytes} bytes, its seal says {lines[2]!r}")
