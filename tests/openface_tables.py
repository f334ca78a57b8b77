"""CSVs in the form OpenFace writes them, made on the spot, and faces to look up in them."""

import gzip
from pathlib import Path

import numpy as np

from facekit.faces import Face

AUS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
OVAL_P2 = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 69)[:68]), np.sin(np.linspace(0, 2 * np.pi, 69)[:68])], axis=1
)


def points_in(box_xyxy):
    """68 points on the oval that just fills a box, to the 0.1 px that OpenFace writes."""
    box = np.asarray(box_xyxy, np.float64)
    return np.round((box[:2] + box[2:]) / 2 + OVAL_P2 * (box[2:] - box[:2]) / 2, 1)


def row(
    frame=1, box_xyxy=(10, 10, 50, 60), *, confidence=0.98, success=1, face_id=0, on=(1,), r=2.5
):
    """One row: these AUs occur, with this intensity where there is one."""
    points_P2 = points_in(box_xyxy)
    return {
        "frame": frame,
        "face_id": face_id,
        "timestamp": (float(frame) - 1) / 25,
        "confidence": confidence,
        "success": success,
        **{f"x_{i}": points_P2[i, 0] for i in range(68)},
        **{f"y_{i}": points_P2[i, 1] for i in range(68)},
        **{f"AU{n:02d}_r": r if n in on else 0.0 for n in AUS if n != 28},
        **{f"AU{n:02d}_c": float(n in on) for n in AUS},
    }


def text(rows, *, separator=", ", without=()):
    """The rows as a CSV; columns that begin with one of `without` are left out."""
    columns = [name for name in (rows or [row()])[0] if not name.startswith(tuple(without) or "\0")]
    lines = [columns, *([str(r[name]) for name in columns] for r in rows)]
    return "".join(separator.join(line) + "\n" for line in lines)


def write(path: Path, rows, **options) -> Path:
    """Write them, gzipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text(rows, **options).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def face(video="clip.mp4", frame_index=0, box_xyxy=(10, 10, 50, 60), **more) -> Face:
    """A face that only its video, frame and box tell apart."""
    return Face(
        video=Path(video),
        frame_index=frame_index,
        pts_s=frame_index / 25,
        track_id=0,
        image_HWC=more.pop("image_HWC", np.zeros((120, 160, 3), np.uint8)),
        box_xyxy=np.array(box_xyxy, np.float32),
        keypoints_xy=np.full((5, 2), np.nan, np.float32),
        score=0.9,
        **more,
    )
