"""Shards made up for tests: random numbers, empty masks, any header."""

from pathlib import Path

import numpy as np

from facekit import schema
from facekit.faces import VideoFaces, VideoRecord
from facekit.options import Measurement
from facekit.shards import Header, PartWriter, pack, write_manifest
from facekit.video import Video

AUS = ("AU01", "AU12")
SIDE_PX = 32


def header(*, aus=AUS, images=True, **options):
    measurement = Measurement(size=SIDE_PX, images=images, **options)
    return Header(
        provenance=schema.Provenance(
            measurement=measurement.as_json(),
            au_names=aus,
            au_mode="static" if aus else "none",
            backends={"detector": {"name": "yunet", "models": {"y.onnx": "ab" * 32}}},
            versions={"numpy": "2.0"},
        ),
        size_px=SIDE_PX,
        images=images,
    )


def faces(told, count, *, seed=0, every=1, **columns):
    """That many faces with random numbers, one a frame; some columns given."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in told.shapes().items():
        dtype = np.dtype(schema.COLUMNS[name].dtype)
        drawn = rng.integers(0, 200, (count, *shape)) if name != "au_mask" else np.zeros(1)
        made[name] = np.broadcast_to(drawn, (count, *shape)).astype(dtype)
    made["frame_index"] = np.arange(0, count * every, every, dtype=np.int32)
    made["track_id"] = np.zeros(count, np.int32)
    made["au_occurrence"] = np.zeros(made["au_occurrence"].shape, np.int8)
    made.update({name: np.asarray(value, made[name].dtype) for name, value in columns.items()})
    return {name: array[:count] for name, array in made.items()}


def record(key, columns, **row):
    video = {"label": row.pop("label", -1), "split": row.pop("split", "")}
    video["method"] = row.pop("method", "")
    frames = 0 if columns is None else len(set(columns["frame_index"].tolist()))
    told = {"status": "ok" if frames else "no_face", "fps": 25.0, "size_wh": (640, 360)}
    told |= {"frames_expected": 40, "frames_decoded": 40, "frames_sampled": max(32, frames)}
    told |= {"frames_with_face": frames, **row}
    return VideoRecord(video=Video(key=key, path=Path(key), relative_path=key, **video), **told)


def shards(folder, told, videos, *, per_shard=2):
    """A folder of shards; `videos` is a list of key, columns or None, and options of the record."""
    folder.mkdir()
    sources = []
    for i, (key, columns, row) in enumerate(videos):
        part = folder / f"part-{i}"
        if columns is not None:
            with PartWriter(
                part, told.provenance, size_px=told.size_px, images=told.images
            ) as writer:
                writer.append(VideoFaces(columns=columns))
                writer.close(record(key, columns, **row))
        sources.append((part, key) if columns else record(key, None, **row))
    for i, start in enumerate(range(0, len(sources), per_shard)):
        pack(sources[start : start + per_shard], folder / f"faces-{i:05d}.h5", header=told)
    for part in folder.glob("part-*"):
        part.unlink()
    write_manifest(folder)
    return folder


def three_videos(folder):
    """Three videos in two shards: 4 faces, none, 2 faces."""
    told = header()
    boxes = [[10, 10, 10 + side, 20] for side in (20, 40, 60, 80)]
    occurs = [[1, -1], [1, -1], [0, -1], [-1, -1]]
    a = faces(told, 4, box_xyxy=boxes, au_occurrence=occurs)
    c = faces(told, 2, seed=1, box_xyxy=[[0, 0, 10, 100]] * 2, au_occurrence=[[1, -1], [0, -1]])
    videos = [
        ("set/a", a, {"label": 1, "method": "swap", "split": "train"}),
        ("set/b", None, {"status": "decode_error", "frames_sampled": 0}),
        ("set/c", c, {"label": 0, "split": "train", "status": "short_read"}),
    ]
    return shards(folder, told, videos)
