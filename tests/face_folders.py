"""Folders of shards of random crops, with any video table: for what reads shards to learn."""

from pathlib import Path

import numpy as np
from synthetic_faces import template_68

from facekit import au_masks, schema
from facekit.faces import VideoRecord
from facekit.options import Measurement
from facekit.shards import Header, write_manifest
from facekit.shards.writer import ShardWriter
from facekit.video import Video


def video(key, frames=4, *, people=1, blind=0, status=None, **told):
    """What `write_folder` makes a video of.

    Args:
        key: of the video.
        frames: with a face; 0 for a video without any.
        people: faces on each frame.
        blind: faces, from the first on, without landmarks.
        status: of the video; None: ok, or no_face.
        told: label (default 0), split, method, group, original, ...
    """
    status = status or ("ok" if frames else "no_face")
    return {
        "key": key,
        "frames": frames,
        "people": people,
        "blind": blind,
        "status": status,
        "told": {"label": 0, **told},
    }


def write_folder(folder, videos, *, size=32, images=True, per_shard=3, seed=0, **measurement):
    """A folder of shards of these videos, in order of key; gives the folder back."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    options = Measurement(size=size, images=images, **{"margin": 1.6, **measurement})
    provenance = schema.Provenance(
        measurement=options.as_json(),
        au_names=("AU01",),
        au_mode="static",
        backends={"detector": {"name": "made", "models": {}}},
        versions={"numpy": "2"},
    )
    rng = np.random.default_rng(seed)
    header = Header(provenance=provenance, size_px=size, images=images)
    told = sorted(videos, key=lambda one: one["key"].encode())
    for number, start in enumerate(range(0, len(told), per_shard)):
        with ShardWriter(folder / f"faces-{number:05d}.h5", header) as writer:
            for video_id, one in enumerate(told[start : start + per_shard]):
                writer.append_video(_record(one))
                columns = _columns(rng, one, size)
                columns["video_id"] = np.full(rows(one), video_id, np.int32)
                if not images:
                    del columns["image"]
                writer.append(columns, rows(one))
            writer.finish()
    write_manifest(folder)
    return folder


def rows(one):
    """How many faces a video has."""
    return one["frames"] * one["people"]


def _record(one):
    key, frames = one["key"], one["frames"]
    return VideoRecord(
        video=Video(key=key, path=Path(key), relative_path=key, **one["told"]),
        status=one["status"],
        fps=25.0,
        size_wh=(640, 480),
        frames_expected=300,
        frames_decoded=300,
        frames_sampled=max(frames, 32),
        frames_with_face=frames,
    )


def _columns(rng, one, size):
    people, count = one["people"], rows(one)
    points = (size - 1) / 2 + template_68() * size / 4 + rng.normal(0, size / 32, (count, 1, 2))
    points[: one["blind"]] = np.nan
    points = points.astype(np.float32)
    ellipses = au_masks.ellipses(points)
    frame_index = (3 * (np.arange(count) // people)).astype(np.int32)
    return {
        "image": rng.integers(0, 256, (count, size, size, 3), np.uint8),
        "frame_index": frame_index,
        "pts_s": frame_index / 25.0,
        "track_id": (np.arange(count) % people).astype(np.int32),
        "box_xyxy": np.tile(np.float32([10, 10, 30, 30]), (count, 1)),
        "keypoints_xy": np.ones((count, 5, 2), np.float32),
        "det_score": np.full(count, 0.9, np.float32),
        "crop_affine": np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (count, 1, 1)),
        "landmarks_xy": points,
        "au_occurrence": np.zeros((count, 1), np.int8),
        "au_intensity": np.full((count, 1), np.nan, np.float32),
        "au_score": np.full((count, 1), np.nan, np.float32),
        "au_ellipses": ellipses,
        "au_mask": au_masks.render_stored(ellipses, size_px=size),
    }
