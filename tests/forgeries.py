"""Labelled reals and fakes made up for tests, as shards or as OpenFace's CSVs."""

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import openface_tables
import synthetic_shards

from facekit.faces import VideoFaces, VideoRecord
from facekit.shards import PartWriter, pack, write_manifest
from facekit.video import Video

AUS = ("AU01", "AU02", "AU12", "AU45")
RATES = (0.4, 0.5, 0.3, 0.2)


def videos(pairs=6, methods=("Deepfakes",), **changes):
    """Reals 000, 001, ... and their fakes, 000_001 and 001_000 by each method."""
    made = []
    for number in range(pairs):
        real, partner = f"{number:03d}", f"{number ^ 1:03d}"
        of_real = f"ffpp/youtube/c23/{real}"
        made.append(_video(of_real, "youtube", 0, ""))
        made += [_video(f"ffpp/{m}/c23/{real}_{partner}", m, 1, of_real) for m in methods]
    return [replace(video, **changes) for video in made]


def _video(key, method, label, original):
    return Video(
        key=key,
        path=Path(key),
        relative_path=f"{key}.mp4",
        dataset="ffpp",
        method=method,
        compression="c23",
        label=label,
        original=original,
    )


def occurrence(key, faces=12, *, aus=4, unknown=0.0):
    """(faces, aus) labels that depend on the key alone."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    labels = (rng.random((faces, aus)) < np.resize(RATES, aus)).astype(np.int8)
    labels[rng.random((faces, aus)) < unknown] = -1
    return labels


def shards(folder, listed, *, labels=occurrence, aus=AUS, per_shard=4):
    """A folder of shards of these videos; `labels` gives the occurrence of a key."""
    folder.mkdir(parents=True)
    told = synthetic_shards.header(aus=aus, images=False)
    parts = []
    for i, video in enumerate(sorted(listed, key=lambda video: video.key)):
        values = labels(video.key)
        record = VideoRecord(
            video=video,
            status="ok" if len(values) else "no_face",
            frames_sampled=len(values),
            frames_with_face=len(values),
            labels_sha256=f"{zlib.crc32(video.key.encode()):064x}",
        )
        if not len(values):
            parts.append(record)
            continue
        columns = synthetic_shards.faces(told, len(values), au_occurrence=values)
        part = folder / f"part-{i}"
        with PartWriter(part, told.provenance, size_px=told.size_px, images=False) as writer:
            writer.append(VideoFaces(columns=columns))
            writer.close(record)
        parts.append((part, video.key))
    for i, start in enumerate(range(0, len(parts), per_shard)):
        pack(parts[start : start + per_shard], folder / f"faces-{i:05d}.h5", header=told)
    for part in folder.glob("part-*"):
        part.unlink()
    write_manifest(folder)
    return folder


def csvs(folder, listed, *, faces=6):
    """A CSV of OpenFace a video, called `Deepfakes__000_001.csv` or `original__000.csv`."""
    for video in listed:
        name = f"{'original' if video.label == 0 else video.method}__{video.key.rsplit('/', 1)[1]}"
        labels = occurrence(video.key, faces, aus=len(openface_tables.AUS))
        rows = [
            openface_tables.row(
                frame=i + 1, on=[au for au, on in zip(openface_tables.AUS, row, strict=True) if on]
            )
            for i, row in enumerate(labels)
        ]
        openface_tables.write(folder / f"{name}.csv", rows)
    return folder
