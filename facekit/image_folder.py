"""A folder of numbered images as a video: one file, one frame."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.errors import BadVideo
from facekit.video import PIXEL_LIMIT, SIDE_LIMIT_PX, Progress, VideoInfo

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
"""What counts as a frame; any other file in the folder is passed over."""


@dataclass(frozen=True)
class ImageFrame:
    """One image file, decoded; `picture` is None where it cannot be read."""

    picture: npt.NDArray[np.uint8] | None

    @property
    def is_corrupt(self) -> bool:
        """Whether the file is cut, damaged, too large or no image at all."""
        return self.picture is None

    def pts_s(self, frame_index: int) -> float:
        """NaN: an image tells no time."""
        del frame_index
        return float("nan")

    def image_HWC(self) -> npt.NDArray[np.uint8]:  # noqa: N802 - the suffix names the axes
        """The upright picture, (H, W, 3) uint8 RGB."""
        assert self.picture is not None
        return self.picture


def images(folder: Path) -> list[Path]:
    """The images of a folder in natural order: `2.png` before `10.png`.

    Args:
        folder: not searched below its own level; hidden files do not count.

    Raises:
        BadVideo: the folder holds no image.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("10.png", "2.png", "notes.txt"):
    ...         (Path(folder) / name).touch()
    ...     [path.name for path in images(Path(folder))]
    ['2.png', '10.png']
    """
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not found:
        raise BadVideo(f"{folder}: a folder without images ({', '.join(sorted(SUFFIXES))})")
    return sorted(found, key=_natural)


def probe(folder: Path) -> VideoInfo:
    """Count the images of a folder and read the first one that can be read.

    Args:
        folder: see `images`.

    Raises:
        BadVideo: the folder holds no image, or none that can be read.
    """
    files = images(folder)
    pictures = (_read(path) for path in files)
    first = next((picture for picture in pictures if picture is not None), None)
    if first is None:
        raise BadVideo(f"{folder}: none of its {len(files)} images can be read")
    return VideoInfo(
        size_wh=(first.shape[1], first.shape[0]),
        fps=float("nan"),
        frames_expected=len(files),
        frames_found=len(files),
        codec="images",
        file_bytes=sum(path.stat().st_size for path in files),
    )


def frames(folder: Path, progress: Progress) -> Iterator[ImageFrame]:
    """Every image in order. All are read, wanted or not, so that each damaged one is counted.

    Args:
        folder: see `images`.
        progress: called before each image.

    Raises:
        BadVideo: the folder holds no image.
    """
    for path in images(folder):
        progress()
        yield ImageFrame(_read(path))


def _natural(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    parts = re.split(r"(\d+)", path.name)
    return [(p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts if p], path.name


def _read(path: Path) -> npt.NDArray[np.uint8] | None:
    """RGB, upright by EXIF, alpha dropped; None where Pillow finds the file damaged."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if max(image.size) > SIDE_LIMIT_PX or image.width * image.height > PIXEL_LIMIT:
                return None
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith(("I", "F")):
                return _from_deep_gray(np.asarray(upright))
            return np.array(upright.convert("RGB"))
    # Pillow's decoders leak whatever their parsers trip over in a damaged file.
    except (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, EOFError):
        return None
    except (Image.DecompressionBombError, TypeError, AttributeError):
        return None


def _from_deep_gray(gray_HW: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """16-bit gray to 8 bits; Pillow's own conversion clips instead."""
    high_HW = np.clip(gray_HW, 0, 65535).astype(np.uint16) >> 8
    return np.repeat(high_HW.astype(np.uint8)[..., None], 3, axis=2)
