"""The annotated faces that the embedded models learn from, and which of them are held back.

The data folder holds `faces68/helen_train` and `faces68/afw` (each with a `landmarks.csv`: `file`,
`x0`, `y0`, ... `x67`, `y67`, 0-based pixels) and `lfw` (photographs of one face each, no points).
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput

SETS: Final = ("helen_train", "afw")
"""The folders below `faces68` that have points."""

_HELD_BACK_OF: Final = 8


@dataclass(frozen=True, kw_only=True)
class AnnotatedFace:
    """One face whose 68 points people have marked.

    Args:
        image: path of the photograph.
        source: which of `SETS` it is from.
        points_xy: (68, 2) float32, pixels of the photograph, iBUG order.
    """

    image: Path
    source: str
    points_xy: npt.NDArray[np.float32]

    @property
    def held_back(self) -> bool:
        """Whether it judges and never teaches: about one HELEN photograph in eight.

        Decided by the file's name without the face's number, so that two faces of one photograph
        stay on one side, and the same on every machine.
        """
        photograph = self.image.stem.rpartition("_")[0]
        return self.source == "helen_train" and zlib.crc32(photograph.encode()) % _HELD_BACK_OF == 0


def annotated_faces(data: Path) -> list[AnnotatedFace]:
    """Every face with points, sorted by set and file name.

    Args:
        data: the data folder.

    Raises:
        BadInput: a table is missing, or is none of this form.
    """
    faces: list[AnnotatedFace] = []
    for source in SETS:
        table = data / "faces68" / source / "landmarks.csv"
        try:
            lines = sorted(table.read_text().splitlines()[1:])
            rows = [line.split(",") for line in lines if line]
            points = np.array([row[1:] for row in rows], np.float32).reshape(len(rows), 68, 2)
        except (OSError, ValueError) as error:
            raise BadInput(f"{table} is no table of 68 points a face: {error}") from error
        faces += [
            AnnotatedFace(image=table.parent / row[0], source=source, points_xy=points_xy)
            for row, points_xy in zip(rows, points, strict=True)
        ]
    return faces


def photographs(data: Path) -> list[Path]:
    """The photographs of `lfw`, sorted: one face each in the middle, without points.

    Args:
        data: the data folder.

    Raises:
        BadInput: there are none.
    """
    found = sorted((data / "lfw").glob("*.jpg"))
    if not found:
        raise BadInput(f"{data / 'lfw'} holds no .jpg photographs")
    return found
