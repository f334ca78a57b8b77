"""Many videos, each in a part or another shard, into one shard."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from facekit.errors import BadInput, BadShard
from facekit.faces import VideoRecord
from facekit.shards.disk import publishing
from facekit.shards.file import ShardFile
from facekit.shards.layout import VIDEOS_PER_SHARD, Header
from facekit.shards.part import BLOCK_ROWS
from facekit.shards.writer import ShardWriter

FACES_PER_SHARD: Final = 512
"""With images: 77 MB at 224 px."""

OPEN_SOURCES: Final = 32
"""Files that a pack keeps open at once."""

FACES_PER_BARE_SHARD: Final = 262_144
"""Without images."""


Source = tuple[Path, str] | VideoRecord
"""A video in a part or shard: the file and its key there. Or the record of one without faces."""


def assign(rows_per_video: Sequence[int], *, images: bool) -> list[range]:
    """Say which videos go into which shard: a matter of their order and lengths alone.

    Whole videos, in order, up to 512 faces (262,144 without images) and 4,096 videos; a longer
    video has a shard for itself, but for videos without faces, which never open a shard.

    Args:
        rows_per_video: faces of each video, in order of key.
        images: whether crops are stored.

    Returns:
        The videos of each shard.

    >>> assign([300, 0, 212, 1, 600, 0], images=True)
    [range(0, 3), range(3, 4), range(4, 6)]
    """
    cap = FACES_PER_SHARD if images else FACES_PER_BARE_SHARD
    starts: list[int] = []
    held = 0
    for i, rows in enumerate(rows_per_video):
        over = rows and held and held + rows > cap
        if not starts or over or i - starts[-1] == VIDEOS_PER_SHARD:
            starts.append(i)
            held = 0
        held += rows
    ends = [*starts[1:], len(rows_per_video)]
    return [range(start, end) for start, end in zip(starts, ends, strict=False)]


def pack(
    sources: Sequence[Source],
    target: Path,
    *,
    header: Header | None = None,
    progress: Callable[[], None] = lambda: None,
) -> int:
    """Make one shard of these videos; its bytes follow from them, not from where they lay.

    Args:
        sources: the videos, in order of key.
        target: the shard; a file of that name is replaced.
        header: what all of them must have been measured with; None takes it from the first that
            is stored.
        progress: called after each video.

    Returns:
        How many faces the shard holds.

    Raises:
        BadInput: no videos, too many, out of order, or measured otherwise; or none is stored and
            no header is given.
        BadShard: a source is damaged or lacks the video.
        DiskFull: the disk ran out.

    >>> import tempfile
    >>> from facekit import schema
    >>> from facekit.video import Video
    >>> told = schema.Provenance(measurement={}, au_names=(), au_mode="none", backends={})
    >>> video = Video(key="a", path=Path("a.mp4"), relative_path="a.mp4")
    >>> failed = VideoRecord(video=video, status="timeout")
    >>> header = Header(provenance=told, size_px=224, images=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pack([failed], Path(folder) / "faces-00000.h5", header=header)
    0
    """
    if not 0 < len(sources) <= VIDEOS_PER_SHARD:
        raise BadInput(
            f"{target}: a shard holds 1 to {VIDEOS_PER_SHARD} videos, not {len(sources)}"
        )
    keys = [_key(source) for source in sources]
    for before, after in pairwise(keys):
        if before.encode() >= after.encode():
            raise BadInput(f"{target}: {after!r} after {before!r}: keys must rise")
    header = header or _first_header(sources, target)
    with publishing(target) as draft:
        rows = _write(sources, draft, header, progress)
        with ShardFile(draft) as shard:
            if (shard.rows, shard.video_rows) != (rows, len(sources)):
                raise BadShard(f"{target}: reads back with other counts; look at the disk")
    return rows


def _key(source: Source) -> str:
    return source.video.key if isinstance(source, VideoRecord) else source[1]


def _first_header(sources: Sequence[Source], target: Path) -> Header:
    for source in sources:
        if not isinstance(source, VideoRecord):
            with ShardFile(source[0]) as shard:
                return shard.header
    raise BadInput(f"{target}: no video is stored, so the header must be given")


def _write(
    sources: Sequence[Source], draft: Path, header: Header, progress: Callable[[], None]
) -> int:
    with ShardWriter(draft, header) as writer, _Files(header) as files:
        for video_id, source in enumerate(sources):
            if isinstance(source, VideoRecord):
                writer.append_video(source)
            else:
                path, key = source
                files.open(path).copy(key, video_id, writer)
            progress()
        writer.finish()
        return writer.rows


class _Files(AbstractContextManager["_Files"]):
    """Sources that stay open for a while: datasets that are merged take turns, video by video."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._opened: OrderedDict[Path, tuple[ShardFile, _Videos]] = OrderedDict()

    def open(self, path: Path) -> "_Videos":
        if path not in self._opened:
            file = ShardFile(path)
            try:
                self._opened[path] = file, _Videos(file, self._header)
            except BaseException:
                file.close()
                raise
            if len(self._opened) > OPEN_SOURCES:
                self._opened.popitem(last=False)[1][0].close()
        self._opened.move_to_end(path)
        return self._opened[path][1]

    def __exit__(self, *_: object) -> None:
        while self._opened:
            self._opened.popitem()[1][0].close()


class _Videos:
    """The videos of an open file, to be found by key."""

    def __init__(self, file: ShardFile, header: Header) -> None:
        differs = file.header.same_as(header)
        if differs:
            raise BadInput(f"{file.path}: measured otherwise: {differs} differs; extract it again")
        self.path = file.path
        self._file = file
        self._table = file.videos()
        self._places = {key: i for i, key in enumerate(self._table["key"].tolist())}
        self._video_id = file.read(0, file.rows, ["video_id"])["video_id"]

    def copy(self, key: str, video_id: int, writer: ShardWriter) -> None:
        place = self._places.get(key.encode())
        if place is None:
            raise BadShard(f"{self.path}: holds no video {key!r}; extract it again")
        writer.append_video({name: a[place : place + 1] for name, a in self._table.items()})
        first, end = np.searchsorted(self._video_id, [place, place + 1]).tolist()
        for start in range(first, end, BLOCK_ROWS):
            block = self._file.read(start, min(start + BLOCK_ROWS, end))
            if (block["video_id"] != place).any():
                raise BadShard(f"{self.path}: faces are not in order of video")
            rows = len(block["video_id"])
            writer.append({**block, "video_id": np.full(rows, video_id, np.int32)}, rows)
