"""Whether a dataset is what it was when it was written; and a lost manifest made again."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

import facekit
from facekit.errors import BadInput, BadShard
from facekit.shards.audit import Finding, told
from facekit.shards.disk import damaged
from facekit.shards.manifest import (
    MANIFEST_NAME,
    Manifest,
    ShardEntry,
    read_manifest,
    shard_name,
    shard_paths,
    write_manifest,
)
from facekit.shards.seal import check_length, check_seal

CHILD: Final = (sys.executable, "-P", "-c", "from facekit.shards import audit; audit.main()")
"""The process that touches HDF5; `-P` keeps the working folder out of its imports."""

IDLE_S: Final = 300.0
"""Seconds without a sign of life after which the child is killed; a block takes below one."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Args:
        where: file name.
        what: one line.
    """

    where: str
    what: str


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What `verify` found.

    Args:
        deep: whether every byte was read.
        shards: shards looked at.
        rows: faces in those without a problem.
        videos: videos in those without a problem.
        problems: empty if all is well.
    """

    deep: bool
    shards: int
    rows: int
    videos: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def lines(self) -> list[str]:
        """The report for a person: one line a problem, then the sum."""
        how = "every byte read" if self.deep else "names, lengths and counts compared"
        sound = f"{self.rows} faces of {self.videos} videos are sound"
        return [
            *(f"{problem.where}: {problem.what}" for problem in self.problems),
            f"{self.shards} shards, {len(self.problems)} problems; {sound} ({how})",
        ]

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {"ok": self.ok, **asdict(self)}


def verify(
    path: Path | str, *, deep: bool = False, progress: Callable[[Path], None] = lambda _: None
) -> VerifyReport:
    """Check a dataset, or one shard by itself.

    Fast, it compares names, lengths, numbers of rows and layout with the manifest. Deep, it
    compares digests, reads every chunk, draws the masks again and checks that all of it adds up.
    HDF5 opens nothing in this process, so a hostile file costs one problem, never the caller.

    Args:
        path: a folder of shards with its manifest, or one shard or part.
        deep: read every byte.
        progress: called with each shard when it has been read.

    Returns:
        The problems, in order of file; none of them is raised.

    Raises:
        BadInput: there is no such file or folder.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = (Path(folder) / "faces-00000.h5").write_text("no shard")
    ...     for line in verify(Path(folder) / "faces-00000.h5").lines():
    ...         print(line)
    faces-00000.h5: no facekit shard, or its first bytes are damaged
    1 shards, 1 problems; 0 faces of 0 videos are sound (names, lengths and counts compared)
    """
    path = Path(path)
    if not (path.is_dir() or path.is_file()):
        raise BadInput(f"{path}: no such file or folder")
    paths, manifest, problems = _listing(path) if path.is_dir() else ([path], None, [])
    broken = _broken_bytes(paths, manifest, deep=deep)
    whole = [each for each in paths if each.name not in {problem.where for problem in broken}]
    findings: dict[Path, Finding] = {}
    for shard, finding in _findings(whole, deep=deep):
        findings[shard] = finding
        progress(shard)
    problems += [*broken, *_inside(findings, manifest)]
    sound = [finding for finding in findings.values() if not finding.problems]
    return VerifyReport(
        deep=deep,
        shards=len(paths),
        rows=sum(finding.rows for finding in sound),
        videos=sum(finding.videos for finding in sound),
        problems=tuple(sorted(problems, key=lambda problem: problem.where)),
    )


def rebuild_manifest(folder: Path | str) -> Manifest:
    """Make a lost or damaged manifest again from the shards, if every one of them is whole.

    A shard that was lost with the manifest leaves no trace here if it was the last: compare the
    numbers in what is returned with what was extracted.

    Args:
        folder: where the shards lie.

    Returns:
        The manifest, now written: the same bytes as the one that was lost.

    Raises:
        BadInput: it is no folder, or holds no shard at all.
        BadShard: a shard is damaged, missing or measured otherwise, or an intact manifest says
            that the shards are not what they were. Nothing is written then.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = (Path(folder) / "faces-00000.h5").write_text("no shard")
    ...     try:
    ...         rebuild_manifest(folder)
    ...     except BadShard as error:
    ...         print(str(error).removeprefix(folder))
    /faces-00000.h5: no facekit shard, or its first bytes are damaged; no manifest written
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; a manifest is written for a folder of shards")
    report = verify(folder, deep=True)
    others = [problem for problem in report.problems if problem.where != MANIFEST_NAME]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise BadShard(f"{folder / others[0].where}: {others[0].what}{more}; no manifest written")
    if report.ok:
        return read_manifest(folder)
    names = [path.name for path in shard_paths(folder)]
    if names != [shard_name(i) for i in range(len(names))]:
        raise BadShard(f"{folder}: of its shards one is missing; no manifest written")
    return write_manifest(folder)


def _listing(folder: Path) -> tuple[list[Path], Manifest | None, list[Problem]]:
    """The shards that lie in a folder, its manifest if that is whole, and how the two differ."""
    paths = shard_paths(folder)
    try:
        manifest = read_manifest(folder)
    except BadShard as error:
        return paths, None, [Problem(where=MANIFEST_NAME, what=str(error))]
    listed, lying = {entry.name for entry in manifest.shards}, {path.name for path in paths}
    missing = [Problem(where=name, what="is missing") for name in listed - lying]
    extra = [Problem(where=name, what="is not in the manifest") for name in lying - listed]
    return paths, manifest, [*missing, *extra]


def _broken_bytes(paths: Sequence[Path], manifest: Manifest | None, *, deep: bool) -> list[Problem]:
    """What is wrong with the files as bytes, found without HDF5."""
    entries = {entry.name: entry for entry in manifest.shards} if manifest else {}
    problems = []
    for path in paths:
        try:
            what = _bytes_apart(path, entries.get(path.name), deep=deep)
        except BadShard as error:
            what = str(error).removeprefix(f"{path}: ")
        if what:
            problems.append(Problem(where=path.name, what=what))
    return problems


def _bytes_apart(path: Path, entry: ShardEntry | None, *, deep: bool) -> str:
    """How a file whose seal holds differs from its line in the manifest; empty if it does not."""
    check_length(path)
    with damaged(path):
        file_bytes = path.stat().st_size
    if entry and file_bytes != entry.bytes:
        return "another length than in the manifest"
    sha256 = check_seal(path) if deep else None
    return (
        "another sha256 than in the manifest"
        if entry and sha256 not in (None, entry.sha256)
        else ""
    )


def _inside(findings: dict[Path, Finding], manifest: Manifest | None) -> Iterator[Problem]:
    """What is wrong inside the files, with the manifest, and with one another."""
    entries = {entry.name: entry for entry in manifest.shards} if manifest else {}
    header: dict[str, str] | None = told(manifest.header) if manifest else None
    last_key = ""
    for path, finding in findings.items():
        if finding.problems:
            yield from (Problem(where=path.name, what=what) for what in finding.problems)
            continue
        header = header or finding.header
        apart = [name for name in header if header[name] != finding.header[name]]
        if apart:
            yield Problem(where=path.name, what=f"measured otherwise: {apart[0]} differs")
        entry = entries.get(path.name)
        counts = (finding.rows, finding.videos, finding.statuses)
        if entry and (entry.rows, entry.videos, entry.statuses) != counts:
            yield Problem(where=path.name, what="other counts than in the manifest")
        if finding.keys[0].encode() <= last_key.encode():
            yield Problem(where=path.name, what="its keys do not follow those of the shard before")
        last_key = finding.keys[1]


def _findings(paths: Sequence[Path], *, deep: bool) -> Iterator[tuple[Path, Finding]]:
    """Have a child read the files; where it dies, note it and go on with a new one."""
    left = list(paths)
    while left:
        done = 0
        with tempfile.TemporaryFile() as stderr, _start(left, stderr, deep=deep) as child:
            try:
                for line in _lines(child):
                    yield left[done], Finding(**json.loads(line))
                    done += 1
            except BaseException:
                child.kill()
                raise
            code = child.wait()
            stderr.seek(0)
            last_words = stderr.read()[-400:].decode(errors="replace").strip().rpartition("\n")[2]
        if done < len(left):
            yield left[done], Finding(problems=[_ending(code, last_words)])
        left = left[done + 1 :]


def _start(paths: Sequence[Path], stderr: IO[bytes], *, deep: bool) -> subprocess.Popen[bytes]:
    home = str(Path(facekit.__file__).parents[1])
    found = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    child = subprocess.Popen(
        CHILD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(found)},
    )
    assert child.stdin is not None
    request = {"deep": deep, "paths": [str(path.absolute()) for path in paths]}
    with contextlib.suppress(BrokenPipeError):  # it died at once: its exit code will tell
        child.stdin.write(json.dumps(request).encode())
        child.stdin.close()
    return child


def _lines(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Lines with content, until the child ends; one that gives no sign of life is killed."""
    assert child.stdout is not None
    pending = b""
    while select.select([child.stdout], [], [], IDLE_S)[0]:
        data = os.read(child.stdout.fileno(), 1 << 16)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        yield from filter(None, lines)
    child.kill()


def _ending(code: int, last_words: str) -> str:
    if code == -signal.SIGKILL:
        return f"reading it took over {IDLE_S:.0f} s for a block, or all memory"
    if code < 0:
        return f"reading it crashed the process that did ({signal.Signals(-code).name})"
    return f"the process that read it ended with exit code {code}: {last_words}"
