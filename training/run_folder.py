"""The folder of a run: what it was started with, its lock, and where its files lie.

runs/a/run.json       what was asked for: folders of shards and config
       log.jsonl      one line of metrics each so many steps
       snapshots/     see `training.checkpoint`
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from facekit.errors import BadInput, FolderLocked
from facekit.shards.disk import disk_full, publishing
from training.config import Config

ASKED: Final = "run.json"
LOG: Final = "log.jsonl"
LOCK: Final = ".facekit.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if it is not there, while the block runs.

    The lock is the kernel's and ends with the process however that ends.

    Raises:
        FolderLocked: another process trains there.
        BadInput: the folder cannot be written to.
        DiskFull: the disk ran out.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder) / "a"):
    ...     (Path(folder) / "a").is_dir()
    True
    """
    path = folder / LOCK
    try:
        with disk_full(path):
            folder.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
    except OSError as problem:
        raise BadInput(f"{folder} cannot be written: {problem.strerror}") from problem
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            lock.seek(0)
            holder = lock.read(20) or "unknown"
            raise FolderLocked(
                f"{folder} is in use: process {holder} trains there; wait for it, "
                "or give another folder"
            ) from held
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def write(folder: Path, shards: Sequence[Path], config: Config) -> None:
    """Say what the run was started with.

    Raises:
        DiskFull: the disk ran out.
    """
    told = {"shards": [str(path.resolve()) for path in shards], "config": config.as_json()}
    with publishing(folder / ASKED) as draft:
        draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def exists(folder: Path) -> bool:
    """Whether a run began there: one that was refused before its first step has left no log."""
    return (folder / LOG).exists()


def read(folder: Path) -> tuple[tuple[Path, ...], Config]:
    """The folders of shards and the config that a run was started with.

    Raises:
        BadInput: no run was started there, or its `run.json` cannot be made sense of.
    """
    path = folder / ASKED
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Path(each) for each in told["shards"]), Config.of(told["config"], str(path))
    except FileNotFoundError as error:
        raise BadInput(f"{folder} holds no run to resume: there is no {ASKED}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error


def begin(folder: Path, shards: Sequence[Path], config: Config | None, *, resume: bool) -> None:
    """Say what a new run is, or refuse what is not the run that is there.

    Args:
        folder: of the run, held by the caller.
        shards: where they lie; with `resume` none leaves that as it is.
        config: None takes the defaults, or with `resume` the run's own.
        resume: whether a run that is there goes on.

    Raises:
        BadInput: there is a run and none shall go on, or the other way round, or another config.
        DiskFull: the disk ran out.
    """
    if exists(folder) and not resume:
        raise BadInput(
            f"{folder} already holds a run; go on with it by --resume {folder}, or give another "
            "folder"
        )
    if not resume:
        write(folder, shards, config or Config())
        return
    _, kept = read(folder)
    require_same(kept, config or kept, folder)
    if shards:
        write(folder, shards, kept)


def require_same(kept: Config, asked: Config, folder: Path) -> None:
    """Refuse to go on with a run under another config.

    Args:
        kept: what the run was started with.
        asked: what it shall go on with.
        folder: of the run, for the error.

    Raises:
        BadInput: they differ; the first field that does is named.
    """
    were = kept.as_json()
    for section, values in asked.as_json().items():
        for name, value in values.items():
            if value != were[section][name]:
                raise BadInput(
                    f"{folder} was started with {section}.{name} = {were[section][name]}, not "
                    f"{value}: that would be another run; give another folder"
                )
