"""Shards to test with: random pixels and labels, masks drawn from their ellipses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from facekit import au_masks, schema
from facekit.faces import VideoFaces, VideoRecord
from facekit.shards import Header, PartWriter
from facekit.shards.seal import seal
from facekit.shards.writer import ShardWriter
from facekit.video import Video

AU_NAMES = ("AU01", "AU02", "AU12")


def provenance(au_names: Sequence[str] = AU_NAMES, **measurement: object) -> schema.Provenance:
    return schema.Provenance(
        measurement={"frames": "32", "size": 32, **measurement},
        au_names=tuple(au_names),
        au_mode="static",
        backends={"detector": {"name": "insightface", "models": {"det.onnx": "00ff"}}},
        versions={"numpy": "2.0.0"},
    )


HEADER = Header(provenance=provenance(), size_px=32, images=True)
BARE = Header(provenance=provenance(()), size_px=32, images=False)


def columns(
    rows: int, *, header: Header = HEADER, people: int = 1, seed: int = 0
) -> dict[str, Any]:
    """Columns of a video in which that many people stand on every second frame."""
    rng = np.random.default_rng(seed)
    made = {
        name: rng.integers(0, 200, (rows, *shape)).astype(schema.COLUMNS[name].dtype)
        for name, shape in header.shapes().items()
    }
    made["frame_index"] = (2 * (np.arange(rows) // people)).astype(np.int32)
    made["track_id"] = (np.arange(rows) % people).astype(np.int32)
    made["video_id"][:] = 0
    made["pts_s"] = made["frame_index"] / 25.0
    distinct = rng.uniform(4, 28, (max(1, min(rows, 16)), 68, 2)).astype(np.float32)
    made["landmarks_xy"] = np.resize(distinct, (rows, 68, 2))
    made["au_occurrence"] = rng.integers(-1, 2, made["au_occurrence"].shape, np.int8)
    made["au_score"][:] = np.nan
    ellipses = au_masks.ellipses(distinct)
    drawn = au_masks.quantise(au_masks.render(ellipses, size_px=header.size_px))
    made["au_ellipses"] = np.resize(ellipses, made["au_ellipses"].shape)
    made["au_mask"] = np.resize(drawn, made["au_mask"].shape)
    return made


def record(key: str, frames: int = 0, **values: Any) -> VideoRecord:
    """The record of a video with a face on that many frames."""
    of_video = {"label": 1, "method": "Deepfakes", "group": "000 003", "split": "test"}
    video = Video(key=key, path=Path("/elsewhere") / key, relative_path=f"{key}.mp4", **of_video)
    told = {
        "status": "ok" if frames else "no_face",
        "sha256": "ab" * 32,
        "fps": 25.0,
        "size_wh": (640, 480),
        "frames_expected": 300,
        "frames_decoded": 300,
        "frames_sampled": max(300, frames),
        "frames_with_face": frames,
    }
    return VideoRecord(video=video, **{**told, **values})


def failed(key: str, status: schema.Status = "timeout") -> VideoRecord:
    video = Video(key=key, path=Path(key), relative_path=f"{key}.mp4")
    return VideoRecord(video=video, status=status)


def frames_of(made: Mapping[str, Any]) -> int:
    return len(np.unique(made["frame_index"]))


def write_part(
    path: Path,
    key: str,
    made: Mapping[str, Any],
    *,
    header: Header = HEADER,
    block_rows: int = 64,
) -> Path:
    """Write a part in blocks of that many faces."""
    rows = len(made["frame_index"])
    with PartWriter(path, header.provenance, size_px=header.size_px, images=header.images) as part:
        for start in range(0, rows, block_rows):
            block = {name: array[start : start + block_rows] for name, array in made.items()}
            part.append(VideoFaces(columns=block))
        part.close(record(key, frames_of(made)))
    return path


def write_raw(
    path: Path,
    made: Mapping[str, Any],
    records: Sequence[VideoRecord],
    *,
    header: Header = HEADER,
) -> Path:
    """Write a shard that nobody checks: what a mistake or an enemy would seal."""
    with ShardWriter(path, header) as writer:
        writer.append(made, len(made["frame_index"]))
        for each in records:
            writer.append_video(each)
        writer.finish()
    return path


def tamper(path: Path, change: Any) -> None:
    """Change a shard by means of HDF5, and seal it again."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        change(file)
    seal(path)
