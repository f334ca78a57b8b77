"""Files that appear whole or not at all, and a full disk as one clean error."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from facekit.errors import BadShard, DiskFull

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def disk_full(path: Path) -> Iterator[None]:
    """Turn the system's ways of saying that there is no room into `DiskFull`.

    Args:
        path: what is being written; the message names it.

    Raises:
        DiskFull: the body ran out of disk, quota or the file size allowed.

    >>> with disk_full(Path("faces.h5")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    facekit.errors.DiskFull: faces.h5: No space left on device; free some and run it again
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        reason = error.strerror or os.strerror(error.errno)
        raise DiskFull(f"{_target_of(path)}: {reason}; free some and run it again") from error


@contextlib.contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Turn whatever h5py and the system raise over a file's content into `BadShard`.

    Args:
        path: what is being read; the message names it.

    Raises:
        BadShard: the body could not make sense of the file, or not find it.

    >>> with damaged(Path("faces.h5")):
    ...     raise KeyError("image")
    Traceback (most recent call last):
    ...
    facekit.errors.BadShard: faces.h5: cannot be read: KeyError: 'image'
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        raise BadShard(f"{path}: cannot be read: {reason}") from error
    except (KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise BadShard(f"{path}: cannot be read: {reason}") from error


def require_free(folder: Path, needed_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: an existing folder on the disk that will be written to.
        needed_bytes: how much is about to be written.

    Raises:
        DiskFull: less than that is free.

    >>> require_free(Path("."), 1)
    """
    free = free_bytes(folder)
    if free < needed_bytes:
        raise DiskFull(
            f"{folder}: {needed_bytes / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free; "
            "free some and run it again"
        )


def free_bytes(folder: Path) -> int:
    """Bytes that can still be written on the disk of an existing folder.

    >>> free_bytes(Path(".")) > 0
    True
    """
    return shutil.disk_usage(folder).free


def temporary(target: Path, purpose: str = "") -> Path:
    """Hidden name beside a target, this process's own: `.NAME.tmp-PID`, or `.NAME.tmp-PID-PURPOSE`.

    Whoever holds the folder may remove what a killed process left: all of `.*.tmp-*`.
    """
    suffix = f"-{purpose}" if purpose else ""
    return target.with_name(f".{target.name}.tmp-{os.getpid()}{suffix}")


def _target_of(path: Path) -> Path:
    """The name that a temporary file would get, which is what a person knows it by."""
    hidden = re.fullmatch(r"\.(.+)\.tmp-\d+(-\w+)?", path.name)
    return path.with_name(hidden[1]) if hidden else path


def publish(finished: Path, target: Path) -> None:
    """Give a finished file its name such that a crash leaves the old or the new, never half.

    Args:
        finished: a closed file in the target's folder.
        target: the name it gets; an existing file is replaced.

    Raises:
        DiskFull: the disk ran out while the file was flushed to it.
    """
    with disk_full(target):
        _sync(finished)
        finished.replace(target)
        _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def publishing(target: Path) -> Iterator[Path]:
    """Give a temporary path to write; publish it if the body ends well, remove it if not.

    Args:
        target: the name the file gets in the end.

    Yields:
        A path in the target's folder.

    Raises:
        DiskFull: the disk ran out.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with publishing(Path(folder) / "note.txt") as draft:
    ...         _ = draft.write_text("whole")
    ...     [path.name for path in Path(folder).iterdir()]
    ['note.txt']
    """
    draft = temporary(target)
    try:
        with disk_full(target):
            yield draft
        publish(draft, target)
    finally:
        draft.unlink(missing_ok=True)


class Sink:
    """The file HDF5 writes to, which never tells it that a write failed.

    HDF5 2.0 dies of SIGSEGV at exit once a file could not be closed for want of space. So the
    first failure is kept for `check`, and from there on what HDF5 writes is held in memory, where
    it finds its own metadata again while it closes. Whoever writes calls `check` after each block,
    which bounds what is held to one block and HDF5's caches.

    Args:
        path: created, or emptied if it exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_full(path):
            self._file = path.open("w+b", buffering=0)
        self._at = 0
        self._end = 0
        self._failure: BaseException | None = None
        self._held: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the first failure, if there was one.

        Raises:
            DiskFull: the disk ran out.
        """
        if self._failure is not None:
            with disk_full(self._path):
                raise self._failure

    def close(self) -> None:
        """Close the file; what was held is lost."""
        self._held.clear()
        self._file.close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as `io.RawIOBase.seek` does."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = origin + offset
        return self._at

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._at

    def write(self, data: memoryview) -> int:
        """Write all of it, or hold it if the disk cannot take it."""
        if self._failure is None:
            try:
                self._write_through(data)
            except BaseException as error:  # noqa: BLE001 - a signal's too: `check` raises it
                self._failure = error
        if self._failure is not None:
            self._held.append((self._at, bytes(data)))
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def _write_through(self, data: memoryview) -> None:
        self._file.seek(self._at)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def read(self, size: int = -1) -> bytes:
        """The next bytes; h5py takes an object for a file only if it can do this."""
        size = max(self._end - self._at, 0) if size < 0 else size
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with what was written here, on the disk or held."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        got = self._file.readinto(view)
        view[got:] = bytes(len(view) - got)
        for start, data in self._held:
            low, high = max(start, self._at), min(start + len(data), self._at + len(view))
            if low < high:
                view[low - self._at : high - self._at] = data[low - start : high - start]
        self._at += len(view)
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the length."""
        if self._failure is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self._failure = error
        self._end = size
        return size

    def flush(self) -> None:
        """Nothing to do: writes are not buffered here."""
