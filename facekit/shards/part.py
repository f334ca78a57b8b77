"""A part: one video's faces in a file of its own, streamed, published when the video ends."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import numpy as np

from facekit import schema
from facekit.action_units import AULabels
from facekit.errors import BadInput
from facekit.faces import VideoFaces, VideoRecord
from facekit.shards import content
from facekit.shards.disk import publish, temporary
from facekit.shards.file import ShardFile
from facekit.shards.layout import Array, Header
from facekit.shards.writer import ShardWriter

BLOCK_ROWS: Final = 64
"""Faces copied at once from file to file: whole chunks of every column that is wide."""


class PartWriter(AbstractContextManager["PartWriter"]):
    """Writes the faces of one video; nothing has the part's name until it is whole.

    Args:
        path: the part; a file of that name is replaced.
        provenance: how the faces are measured.
        size_px: side of the crops.
        images: whether the crops are stored; without, blocks have no column `image`.

    Raises:
        DiskFull: the disk ran out, here or in any later call.

    >>> import tempfile
    >>> from facekit.video import Video
    >>> video = Video(key="a", path=Path("a.mp4"), relative_path="a.mp4")
    >>> told = schema.Provenance(measurement={}, au_names=(), au_mode="none", backends={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with PartWriter(Path(folder) / "a.h5", told, size_px=224, images=True) as part:
    ...         part.close(VideoRecord(video=video, status="no_face"))
    0
    """

    def __init__(
        self, path: Path, provenance: schema.Provenance, *, size_px: int, images: bool
    ) -> None:
        self._path = path
        self._header = Header(provenance=provenance, size_px=size_px, images=images)
        self._draft = temporary(path)
        self._kept = temporary(path, "kept")
        self._tracks: set[int] = set()
        self._writer = ShardWriter(self._draft, self._header)

    @property
    def rows(self) -> int:
        """Faces so far."""
        return self._writer.rows

    def append(self, block: VideoFaces) -> None:
        """Add a block of faces, in order of frame and track.

        Args:
            block: every column of the header's shape; `video_id` may be missing: it is 0 in a part.

        Raises:
            BadInput: a column is missing, unknown, or of another dtype or shape.
        """
        rows = len(block)
        arrays = {**block.columns, "video_id": np.zeros(rows, np.int32)}
        self._require_columns(arrays, rows)
        self._tracks.update(np.unique(arrays["track_id"]).tolist())
        self._writer.append(arrays, rows)

    def close(
        self,
        record: VideoRecord,
        *,
        keep_tracks: Collection[int] | None = None,
        labels: AULabels | None = None,
    ) -> int:
        """End the video and publish the part.

        Args:
            record: the video's row of `videos`; `frames_with_face` counts the faces kept.
            keep_tracks: the people to keep; the faces of others are dropped. None keeps all.
            labels: labels of every face appended, in that order, in place of those appended.

        Returns:
            How many faces the part holds.

        Raises:
            BadInput: the record disagrees with the faces, or the labels with their number.
        """
        self._writer.append_video(record)
        self._writer.finish(None if labels is None else self._label_columns(labels))
        finished = self._draft
        if keep_tracks is not None and self._tracks - set(keep_tracks):
            finished = self._kept
            with ShardFile(self._draft) as source, ShardWriter(finished, self._header) as writer:
                _copy_tracks(source, writer, keep_tracks)
        faces = self._read_back(finished)
        publish(finished, self._path)
        self._discard()
        return faces

    def _require_columns(self, arrays: dict[str, Array], rows: int) -> None:
        shapes = self._header.shapes()
        if arrays.keys() != shapes.keys():
            apart = ", ".join(sorted(arrays.keys() ^ shapes.keys()))
            raise BadInput(f"{self._path}: columns missing or not of a shard: {apart}")
        for name, array in arrays.items():
            wanted = np.dtype(schema.COLUMNS[name].dtype), (rows, *shapes[name])
            if (array.dtype, array.shape) != wanted:
                raise BadInput(
                    f"{self._path}: {name} is {array.dtype} {array.shape}, "
                    f"not {wanted[0]} {wanted[1]}"
                )

    def _label_columns(self, labels: AULabels) -> dict[str, Array]:
        columns: dict[str, Array] = {
            "au_occurrence": labels.occurrence,
            "au_intensity": labels.intensity,
            "au_score": labels.score,
        }
        return {name: columns[name] for name in columns if name in self._header.stored()}

    def _read_back(self, finished: Path) -> int:
        with ShardFile(finished) as part:
            index = part.read(0, part.rows, content.INDEX)
            problems = content.index_problems(index, part.videos())
        if problems:
            raise BadInput(f"{self._path}: {problems[0]}")
        return len(index["track_id"])

    def _discard(self) -> None:
        self._writer.close()
        for path in (self._draft, self._kept):
            path.unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        self._discard()


def _copy_tracks(source: ShardFile, writer: ShardWriter, keep_tracks: Collection[int]) -> None:
    wanted = np.array(sorted(keep_tracks), np.int64)
    for start in range(0, source.rows, BLOCK_ROWS):
        block = source.read(start, min(start + BLOCK_ROWS, source.rows))
        kept = np.isin(block["track_id"], wanted)
        writer.append({name: array[kept] for name, array in block.items()}, int(kept.sum()))
    writer.append_video(source.videos())
    writer.finish()
