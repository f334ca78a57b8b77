"""Reads shards through and tells what it finds: the child process of `facekit.shards.verifying`.

`main` takes one JSON request on standard input and writes one JSON line a shard, and an empty line
now and then as a sign of life. A file that crashes HDF5 ends this
process and no other.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from facekit.errors import BadShard
from facekit.shards import content
from facekit.shards.file import ShardFile
from facekit.shards.layout import Header

_BLOCK_ROWS: Final = 64
_PROBLEMS: Final = 20


@dataclass(kw_only=True)
class Finding:
    """What one shard turned out to hold.

    Args:
        rows: faces.
        videos: videos.
        statuses: status -> videos.
        keys: the first and the last.
        header: attribute -> its text; see `told`.
        problems: one line each; what stands above counts only where there are none.
    """

    rows: int = 0
    videos: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    keys: Sequence[str] = ("", "")
    header: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def told(header: Header) -> dict[str, str]:
    """The header as text by attribute, to compare and to pass between processes."""
    attributes = {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in header.attributes().items()
    }
    return {**attributes, "images": str(header.images)}


def audit(path: Path, *, deep: bool, alive: Callable[[], None] = lambda: None) -> Finding:
    """Read a shard's layout and videos, and with `deep` every face.

    Args:
        path: the shard.
        deep: read all and check that it adds up.
        alive: called after each block.

    Returns:
        What it holds and what is wrong with it.
    """
    finding = Finding()
    try:
        with ShardFile(path) as shard:
            _describe(shard, finding)
            if deep:
                finding.problems += _read_through(shard, alive)
    except BadShard as error:
        finding.problems.append(str(error).removeprefix(f"{path}: "))
    return finding


def _describe(shard: ShardFile, finding: Finding) -> None:
    videos = shard.videos()
    finding.rows, finding.videos = shard.rows, shard.video_rows
    finding.header = told(shard.header)
    statuses = Counter(_readable(status) for status in videos["status"].tolist())
    finding.statuses = dict(sorted(statuses.items()))
    keys = videos["key"].tolist()
    if keys:
        finding.keys = (_readable(keys[0]), _readable(keys[-1]))
    else:
        finding.problems.append("holds no video")


def _readable(text: bytes) -> str:
    return text.decode(errors="backslashreplace")


def _read_through(shard: ShardFile, alive: Callable[[], None]) -> list[str]:
    index = shard.read(0, shard.rows, content.INDEX)
    problems = content.index_problems(index, shard.videos())
    for start in range(0, shard.rows, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, shard.rows)
        found = content.block_problems(shard.read(start, stop), shard.header)
        problems += [f"faces {start} to {stop - 1}: {problem}" for problem in found]
        if len(problems) > _PROBLEMS:
            return [*problems[:_PROBLEMS], "and more"]
        alive()
    return problems


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)

    def tell(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    for name in request["paths"]:
        finding = audit(Path(name), deep=request["deep"], alive=lambda: tell(""))
        tell(json.dumps(asdict(finding)))
