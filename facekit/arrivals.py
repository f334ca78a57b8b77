"""What comes over the network becomes a file: counted, hashed, and only then given its name."""

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from facekit.errors import BadWeights, DiskFull

if TYPE_CHECKING:
    from zipfile import ZipInfo

_BLOCK_BYTES: Final = 1 << 20
_LARGEST_BYTES: Final = 2 << 30


def receive(stream: IO[bytes], target: Path, sha256: str | None, size_bytes: int) -> str:
    """Copy a stream to a file, which is there only when all of it has come and is right.

    Args:
        stream: what comes.
        target: the file; folders above it are made.
        sha256: what it must hash to; None takes anything.
        size_bytes: most that may come; 0 if unknown.

    Returns:
        The sha256 of what came.

    Raises:
        BadWeights: it is something else, or more.
        DiskFull: no room for it.
        OSError: the connection broke.
    """
    with arriving(stream, target, sha256, size_bytes) as (part, got):
        _publish(part, target)
    return got


def unpack(zip_path: Path, target: Path, sha256: str | None, size_bytes: int, *, pack: str) -> str:
    """Take the one file of an archive that is called like `target`; see `receive`.

    Args:
        zip_path: the archive.
        target: the file.
        sha256: what the file must hash to.
        size_bytes: of the file.
        pack: what to call the archive in errors.

    Raises:
        BadWeights: the archive is damaged or hostile, or does not hold one such file.
    """
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(zip_path) as archive:
            for member in archive.infolist():
                _refuse_hostile(member)
            mine = [m for m in archive.infolist() if Path(m.filename).name == target.name]
            if len(mine) != 1:
                raise BadWeights(f"the pack {pack} holds {len(mine)} files {target.name}, not one")
            with archive.open(mine[0]) as stream:
                return receive(stream, target, sha256, size_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadWeights(f"the pack {pack} is damaged: {error}") from error


@contextmanager
def arriving(
    stream: IO[bytes], target: Path, sha256: str | None, size_bytes: int
) -> Iterator[tuple[Path, str]]:
    """Copy a stream to a temporary file beside `target`; it is gone when the block ends.

    Yields:
        The temporary file and the sha256 of what came. For the rest see `receive`.
    """
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as out:
            part = Path(out.name)
            got = _copy(stream, out, size_bytes or _LARGEST_BYTES, target.name)
            out.flush()
            os.fsync(out.fileno())
        if sha256 not in (None, got):
            raise BadWeights(f"{target.name}: what came has the sha256 {got}, not {sha256}")
        yield part, got
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room for {target.name} in {target.parent}") from error
        raise
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make sure that names in a folder outlive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(stream: IO[bytes], out: IO[bytes], most_bytes: int, name: str) -> str:
    digest, total_bytes = hashlib.sha256(), 0
    while block := stream.read(_BLOCK_BYTES):
        total_bytes += len(block)
        if total_bytes > most_bytes:
            raise BadWeights(f"{name}: more than the {most_bytes} bytes that were promised")
        digest.update(block)
        out.write(block)
    if getattr(stream, "length", None):  # http.client counts down; a cut connection leaves a rest
        raise ConnectionError(f"the connection ended after {total_bytes} bytes")
    return digest.hexdigest()


def _publish(part: Path, target: Path) -> None:
    part.chmod(0o644)
    part.replace(target)
    sync_folder(target.parent)


def _refuse_hostile(member: "ZipInfo") -> None:
    name = member.filename
    if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name or ":" in name:
        raise BadWeights(f"a pack member would be written outside its folder: {name!r}")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadWeights(f"a pack member is a link: {name!r}")
