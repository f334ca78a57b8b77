"""Shards of made-up faces that a network can learn from: real videos, and fakes with a visible cue.

A real face is a smooth shaded oval with eyes and a mouth on coloured noise. Its fake is the same
face with a fine checker over the inner face, which no colour jitter, flip or crop takes away.
"""

from pathlib import Path

import numpy as np

from facekit import au_masks, schema
from facekit.faces import VideoFaces, VideoRecord
from facekit.options import Measurement
from facekit.shards import PartWriter, pack, write_manifest
from facekit.video import Video

METHODS = ("Deepfakes", "FaceSwap")
SPLITS = ("train", "train", "val", "test")


def make_shards(
    folder,
    videos=8,
    frames=4,
    size=64,
    margin=1.6,
    seed=0,
    *,
    splits=True,
    fakes=True,
    dataset="made",
    images=True,
    per_shard=8,
    au_names=("AU01", "AU12"),
):
    """A folder of shards of that many videos, half real and half fake; gives the folder back.

    Pair 0 is `DATASET/real/000` and `DATASET/METHOD/000_500`, of the group `DATASET/000`; methods
    take turns. With `splits`, pairs are train, train, val, test in turn; without, the column is
    empty. Without `fakes` only the real half is there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    options = Measurement(size=size, margin=margin, frames=str(frames), images=images)
    told = schema.Provenance(
        measurement=options.as_json(),
        au_names=tuple(au_names),
        au_mode="static" if au_names else "none",
        backends={"detector": {"name": "made", "models": {}}},
        versions={"numpy": "2"},
    )
    made = [
        _video(pair, is_fake, frames, size, margin, seed, splits, dataset, len(au_names))
        for pair in range((videos + 1) // 2)
        for is_fake in (False, True)
        if fakes or not is_fake
    ][:videos]
    made.sort(key=lambda video: video[0].video.key.encode())
    sources = []
    for record, columns in made:
        path = folder / f"part-{len(sources)}"
        kept = {name: column for name, column in columns.items() if images or name != "image"}
        with PartWriter(path, told, size_px=size, images=images) as writer:
            writer.append(VideoFaces(columns=kept))
            writer.close(record)
        sources.append((path, record.video.key))
    for number, start in enumerate(range(0, len(sources), per_shard)):
        pack(sources[start : start + per_shard], folder / f"faces-{number:05d}.h5")
    for path, _ in sources:
        path.unlink()
    write_manifest(folder)
    return folder


def template_68():
    """(68, 2) float64 points of an upright face: the outer eye corners at (-0.5, 0), (0.5, 0)."""
    jaw = np.linspace(np.pi, 0, 17)
    brow = np.linspace(0, 1, 5)
    arch = -0.25 - 0.08 * np.sin(np.pi * brow)
    ridge = np.linspace(-0.02, 0.42, 4)
    wings = np.linspace(-0.15, 0.15, 5)
    lid = np.pi + np.arange(6) * (np.pi / 3)
    eye = np.stack([0.19 * np.cos(lid), 0.07 * np.sin(lid)], axis=-1)
    lips = np.pi + np.arange(12) * (np.pi / 6)
    inner = np.pi + np.arange(8) * (np.pi / 4)
    return np.concatenate(
        [
            np.stack([0.85 * np.cos(jaw), 1.3 * np.sin(jaw)], axis=-1),
            np.stack([-0.68 + 0.52 * brow, arch], axis=-1),
            np.stack([0.16 + 0.52 * brow, arch[::-1]], axis=-1),
            np.stack([np.zeros(4), ridge], axis=-1),
            np.stack([wings, 0.52 - np.abs(wings) * 0.3], axis=-1),
            eye + np.array([-0.31, 0.0]),
            eye + np.array([0.31, 0.0]),
            np.stack([0.32 * np.cos(lips), 0.83 + 0.12 * np.sin(lips)], axis=-1),
            np.stack([0.22 * np.cos(inner), 0.83 + 0.04 * np.sin(inner)], axis=-1),
        ]
    )


def _video(pair, is_fake, frames, size, margin, seed, splits, dataset, au_count):
    """One record and its columns; a fake shares face and motion with the real of its pair."""
    rng = np.random.default_rng((seed, pair))
    method = METHODS[pair % len(METHODS)] if is_fake else "real"
    name = f"{pair:03d}_{pair + 500:03d}" if is_fake else f"{pair:03d}"
    key = f"{dataset}/{method}/{name}"
    video = Video(
        key=key,
        path=Path(key),
        relative_path=f"{method}/{name}.mp4",
        dataset=dataset,
        method=method,
        compression="c23",
        label=int(is_fake),
        split=SPLITS[pair % len(SPLITS)] if splits else "",
        original=f"{dataset}/real/{pair:03d}" if is_fake else "",
        group=f"{dataset}/{pair:03d}",
    )
    record = VideoRecord(
        video=video,
        status="ok",
        sha256=f"{2 * pair + is_fake:064x}",
        fps=25.0,
        size_wh=(2 * size, 2 * size),
        frames_expected=10 * frames,
        frames_decoded=10 * frames,
        frames_sampled=frames,
        frames_with_face=frames,
    )
    side = size / margin  # longer side of the box, in crop pixels
    unit = side / 1.75  # distance of the outer eye corners: the template is about that tall
    centre = (size - 1) / 2 + np.array([0.0, -0.27 * unit])
    drift = rng.normal(0, 0.03 * unit, (frames, 1, 2))
    points = centre + template_68() * unit * rng.uniform(0.92, 1.05, (1, 1, 2)) + drift
    points += rng.normal(0, 0.004 * unit, points.shape)
    colour = rng.uniform(0.35, 0.8, 3)
    columns = _columns(frames, points.astype(np.float32), size, side, au_count)
    columns["image"] = np.stack([_image(rng, p, size, unit, colour, is_fake) for p in points])
    return record, columns


def _image(rng, points, size, unit, colour, is_fake):
    """(size, size, 3) uint8 RGB."""
    coarse = rng.uniform(0.1, 0.9, (4, 4, 3)).repeat(-(-size // 4), 0).repeat(-(-size // 4), 1)
    image = coarse[:size, :size] + rng.normal(0, 0.03, (size, size, 3))
    y, x = np.mgrid[:size, :size]
    centre = points[27:36].mean(axis=0)
    u, v = (x - centre[0]) / unit, (y - centre[1]) / unit

    def soft(inside):
        return 1 / (1 + np.exp(-np.clip(inside * 20, -50, 50)))[..., None]

    face = soft(1 - np.hypot(u / 0.95, v / 1.2))
    shade = colour * (1 - 0.25 * v[..., None])
    grain = rng.normal(0, 0.02, (size, size, 1))
    image = image * (1 - face) + (shade + grain) * face
    for part, dark in ((slice(36, 42), 0.15), (slice(42, 48), 0.15), (slice(48, 60), 0.35)):
        low, high = points[part].min(axis=0), points[part].max(axis=0)
        (a, b), (mx, my) = (high - low) / 2, (high + low) / 2
        blob = soft((1 - np.hypot((x - mx) / a, (y - my) / b)) / 2)
        image = image * (1 - blob) + dark * blob * (colour + 0.2)
    if is_fake:
        inner = soft(1 - np.hypot(u / 0.7, v / 0.9))
        step = max(1, size // 32)
        checker = ((x // step + y // step) % 2 * 2 - 1)[..., None]
        image = image + 0.15 * checker * inner
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _columns(frames, points, size, side, au_count):
    """All columns but the image. The frame is twice the crop, which lies in its middle."""
    ellipses = au_masks.ellipses(points)
    origin = np.float32(size / 2)
    middle = (size - 1) / 2 + origin
    box = np.array([middle - side / 2, middle - side / 2, middle + side / 2, middle + side / 2])
    five = np.stack(
        [
            points[:, 36:42].mean(axis=1),
            points[:, 42:48].mean(axis=1),
            points[:, 30],
            points[:, 48],
            points[:, 54],
        ],
        axis=1,
    )
    index = np.arange(frames, dtype=np.int32) * 10
    return {
        "frame_index": index,
        "pts_s": index / 25.0,
        "track_id": np.zeros(frames, np.int32),
        "box_xyxy": np.tile(box.astype(np.float32), (frames, 1)),
        "keypoints_xy": (five + origin).astype(np.float32),
        "det_score": np.full(frames, 0.9, np.float32),
        "crop_affine": np.tile(np.float32([[1, 0, -origin], [0, 1, -origin]]), (frames, 1, 1)),
        "landmarks_xy": points,
        "au_occurrence": np.zeros((frames, au_count), np.int8),
        "au_intensity": np.full((frames, au_count), np.nan, np.float32),
        "au_score": np.full((frames, au_count), np.nan, np.float32),
        "au_ellipses": ellipses,
        "au_mask": au_masks.render_stored(ellipses, size_px=size),
    }
