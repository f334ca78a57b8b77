"""One run at a time in a folder."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from facekit.errors import BadInput, FolderLocked
from facekit.shards.disk import disk_full

NAME: Final = ".facekit.lock"


@contextmanager
def locked(folder: Path, *, force: bool = False) -> Iterator[None]:
    """Hold the lock of a folder while the block runs.

    The lock is a file made with `O_EXCL`, which holds on network file systems where advisory locks
    do not. One whose process is gone on this host is taken over; a run on another host cannot be
    checked, so its lock stands until `force`.

    Args:
        folder: an existing folder.
        force: take over whatever lock there is.

    Raises:
        FolderLocked: another run holds it.
        BadInput: the folder cannot be written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
    ...     (Path(folder) / NAME).exists()
    True
    """
    path = folder / NAME
    try:
        with disk_full(path):
            if force:
                path.unlink(missing_ok=True)
            _take(path)
    except OSError as problem:
        raise BadInput(
            f"{path} cannot be written: {problem.strerror}; give another folder"
        ) from problem
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path) -> None:
    mine = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()})
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            _release_if_stale(path)
            continue
        with os.fdopen(descriptor, "w") as lock:
            lock.write(mine)
        return
    raise FolderLocked(f"another run took {path} just now; wait for it, or use another folder")


def _release_if_stale(path: Path) -> None:
    """Remove a lock whose process is gone, or say who holds it."""
    import psutil

    try:
        holder = json.loads(path.read_text())
        pid, host, started = int(holder["pid"]), str(holder["host"]), float(holder["started"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        # Killed between making the file and writing it: nobody can be running behind it for long.
        pid, host, started = 0, socket.gethostname(), 0.0
    if host == socket.gethostname():
        try:
            # A process younger than the lock only inherited the number.
            alive = pid > 0 and psutil.Process(pid).create_time() <= started
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            path.unlink(missing_ok=True)
            return
    raise FolderLocked(
        f"{path.parent} is in use by process {pid} on {host}; wait for it, or --force if it is gone"
    )
