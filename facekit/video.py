"""One video: what is known before it is opened, what a probe tells, and its sampled frames."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Video:
    """One input: a video file or a folder of images, and what the manifest says of it.

    Args:
        key: unique, dataset-qualified name, such as `ffpp/Deepfakes/c23/000_003`.
        path: where the file or image folder lies on this machine; never stored.
        relative_path: the path below the folder that was given; stored.
        dataset: name of the dataset, or empty.
        method: forgery method, or source of a real video, or empty.
        compression: `raw`, `c23`, `c40` or empty.
        label: 0 real, 1 fake, -1 unknown.
        split: `train`, `val`, `test` or empty.
        original: key of the video this one was made from, or empty.
        group: name shared by videos whose people must not straddle a split, or empty.
        mask_path: manipulation mask video below the folder that was given, or empty.
    """

    key: str
    path: Path
    relative_path: str
    dataset: str = ""
    method: str = ""
    compression: str = ""
    label: int = -1
    split: str = ""
    original: str = ""
    group: str = ""
    mask_path: str = ""
