"""Pictures of what was measured: crops with their points, masks and labels, for a person to judge.

A face is any mapping with the columns of `facekit.schema` and, for its caption, `key` and
`status`; what is missing is left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facekit import au_masks, crops
from facekit.errors import BadInput
from facekit.page import FAINT, Page, resized, tinted, write_png

PAGE_WIDTH_PX: Final = 1600
LARGE_UP_TO: Final = 12
"""Faces on a sheet above which they are drawn smaller, three in a row instead of two."""

_Image = npt.NDArray[np.uint8]
_Float = npt.NDArray[np.floating[Any]]

GROUPS: Final = (
    ("brows", "#56B4E9", (1, 2, 4)),
    ("eyes and cheeks", "#F0E442", (6, 7)),
    ("nose and upper lip", "#009E73", (9, 10)),
    ("mouth corners", "#E69F00", (12, 14, 15)),
    ("lips", "#CC79A7", (23, 24, 25)),
    ("chin and jaw", "#0072B2", (17, 26)),
)
"""Part of the face, colour and action units. Colours that stay apart for the colour-blind: Okabe
and Ito, Color Universal Design, 2008."""

_COLOUR: Final = {au: colour for _, colour, aus in GROUPS for au in aus}
_NO_MASK_COLOUR: Final = "#9A9A9A"
_CARD_COLOUR: Final = "#F3F3F1"
_GROUND: Final = 96
_OPACITY: Final = {True: (0.55, 0.95), False: (0.0, 0.4), None: (0.2, 0.7)}
"""Of a mask and its outline where the action unit occurs, does not, or is not known."""

_PARTS: Final = (
    *(range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36)),
    *((*range(36, 42), 36), (*range(42, 48), 42), (*range(48, 60), 48), (*range(60, 68), 60)),
)
"""The 68 points as lines: jaw, brows, nose, eyes, lips."""

_MARGIN_PX, _GAP_PX, _PAD_PX = 20, 4, 10


def spread(keys: Sequence[object], limit: int) -> list[int]:
    """Choose rows evenly over videos, and within a video evenly over its faces.

    Args:
        keys: the video of each row, rows of a video together.
        limit: how many rows to choose at most.

    Returns:
        Rows in their order. With more videos than rows, every n-th video gives its middle one.

    >>> spread(["a"] * 9 + ["b"] * 3, 4), spread(list("abcdef"), 2)
    ([2, 6, 9, 11], [1, 4])
    """
    rows_of: dict[object, list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    videos = list(rows_of.values())
    if len(videos) > limit:
        videos = [videos[i] for i in _even(len(videos), limit)]
    quota = [0] * len(videos)
    while sum(quota) < min(limit, sum(map(len, videos))):
        open_videos = [v for v, rows in enumerate(videos) if quota[v] < len(rows)]
        quota[min(open_videos, key=lambda v: quota[v])] += 1
    chosen = (
        rows[i] for rows, count in zip(videos, quota, strict=True) for i in _even(len(rows), count)
    )
    return sorted(chosen)


def _even(total: int, count: int) -> list[int]:
    return [int((i + 0.5) * total / count) for i in range(count)]


def contact_sheet(
    rows: Sequence[Mapping[str, Any]],
    path: Path | None = None,
    *,
    au_names: Sequence[str] = (),
    size_px: int = 224,
) -> _Image:
    """Draw faces three times each: the crop, its points, its masks; with what is known of it.

    Masks of action units that occur are filled, the others outlined; without labels all are
    filled faintly.

    Args:
        rows: faces, all of which are drawn; `spread` chooses among more.
        path: PNG to write; None writes none.
        au_names: names of the columns of `au_occurrence`, such as `AU12`; a row's own
            `au_names` come first.
        size_px: side of the crops where no image tells it.

    Returns:
        (H, 1600, 3) uint8, the picture.

    Raises:
        BadInput: no row, or `path` cannot be written.
        DiskFull: the disk ran out.

    >>> contact_sheet([{"key": "a", "frame_index": 3}]).shape[1:]
    (1600, 3)
    """
    if not rows:
        raise BadInput("there is no face to draw")
    faces = [_Face.of(row, au_names, size_px) for row in rows]
    columns = 2 if len(faces) <= LARGE_UP_TO else 3
    card_px = (PAGE_WIDTH_PX - 2 * _MARGIN_PX - (columns - 1) * _PAD_PX) // columns
    panel_px = (card_px - 2 * _PAD_PX - 2 * _GAP_PX) // 3
    high_px, top_px = panel_px + 94, 96
    page = Page(
        PAGE_WIDTH_PX, top_px + -(-len(faces) // columns) * (high_px + _PAD_PX) + _MARGIN_PX
    )
    videos = len({face.key for face in faces})
    _heading(page, f"{_count(len(faces), 'face')} of {_count(videos, 'video')}")
    for nth, face in enumerate(faces):
        x = _MARGIN_PX + nth % columns * (card_px + _PAD_PX)
        y = top_px + nth // columns * (high_px + _PAD_PX)
        page.fill(x, y, card_px, high_px, _CARD_COLOUR)
        _card(page, face, x + _PAD_PX, y + _PAD_PX, panel_px)
    return _finished(page, path)


def mask_grid(
    row: Mapping[str, Any],
    path: Path | None = None,
    *,
    au_names: Sequence[str] = (),
    size_px: int = 224,
) -> _Image:
    """Draw the 15 masks of one face, each on its own, with number and name.

    Args:
        row: the face.
        path: PNG to write; None writes none.
        au_names: names of the columns of `au_occurrence`; the row's own `au_names` come first.
        size_px: side of the crop where no image tells it.

    Returns:
        (H, 1600, 3) uint8, the picture.

    Raises:
        BadInput: the row has neither masks nor ellipses, or `path` cannot be written.
        DiskFull: the disk ran out.
    """
    face = _Face.of(row, au_names, size_px)
    if face.masks_KHW is None:
        raise BadInput("this face has no masks to draw: neither au_mask nor au_ellipses")
    columns = 5
    panel_px = (PAGE_WIDTH_PX - 2 * _MARGIN_PX - (columns - 1) * _PAD_PX) // columns
    high_px, top_px = panel_px + 52, 96
    page = Page(PAGE_WIDTH_PX, top_px + 3 * high_px + _MARGIN_PX)
    page.text(_MARGIN_PX, 36, _shortened(face.key, 90) or "one face", size_px=22, bold=True)
    page.text(_MARGIN_PX, 66, face.caption, size_px=14, colour=FAINT)
    for nth, (au, name) in enumerate(zip(au_masks.MASK_AUS, au_masks.MASK_NAMES, strict=True)):
        x = _MARGIN_PX + nth % columns * (panel_px + _PAD_PX)
        y = top_px + nth // columns * high_px
        page.paste(_with_mask(face.image_HWC, face.masks_KHW[nth], _COLOUR[au], panel_px), x, y)
        page.text(x, y + panel_px + 20, f"AU{au}  {name}", size_px=15, bold=True)
        told = {True: "occurs", False: "does not occur", None: "no label"}[face.is_on(au)]
        page.text(x, y + panel_px + 36, told, size_px=12, colour=FAINT)
    return _finished(page, path)


def _heading(page: Page, title: str) -> None:
    page.text(_MARGIN_PX, 36, title, size_px=22, bold=True)
    panels = (
        "crop   |   box, five points, 68 points   |   masks: filled where the action unit occurs"
    )
    page.text(_MARGIN_PX, 66, panels, size_px=14, colour=FAINT)
    x = PAGE_WIDTH_PX - _MARGIN_PX
    for name, colour, aus in reversed(GROUPS):
        label = f"{name} {', '.join(map(str, aus))}"
        x -= round(page.text(x, 36, label, size_px=13, align="right")) + 18
        page.fill(x, 25, 12, 12, colour)
        x -= 16


def _card(page: Page, face: "_Face", x: int, y: int, panel_px: int) -> None:
    step_px = panel_px + _GAP_PX
    crop_HWC = resized(face.image_HWC, panel_px)
    page.paste(crop_HWC, x, y)
    page.paste(crop_HWC, x + step_px, y)
    page.paste(_masks_over(crop_HWC, face), x + 2 * step_px, y)
    _draw_points(page, face, x + step_px, y, panel_px)
    width_px = 3 * panel_px + 2 * _GAP_PX
    key = _shortened(face.key, width_px // 9)
    page.text(x, y + panel_px + 22, key, size_px=14, bold=True)
    page.text(x, y + panel_px + 42, face.caption, size_px=13, colour=FAINT)
    _draw_labels(page, face, x, y + panel_px + 54, width_px)


def _masks_over(crop_HWC: _Image, face: "_Face") -> _Image:
    if face.masks_KHW is None:
        return crop_HWC
    drawn = crop_HWC
    for au, mask_HW in zip(au_masks.MASK_AUS, face.masks_KHW, strict=True):
        fill, outline = _OPACITY[face.is_on(au)]
        large_HW = resized(mask_HW, len(crop_HWC))
        drawn = tinted(drawn, large_HW, _COLOUR[au], fill=fill, outline=outline)
    return drawn


def _with_mask(image_HWC: _Image, mask_HW: _Float, colour: str, side_px: int) -> _Image:
    """A mask on a pale grey crop, so that its colour stands out."""
    grey_HW1 = resized(image_HWC, side_px).mean(axis=-1, keepdims=True)
    pale_HWC = np.repeat(np.rint(80.0 + 0.65 * grey_HW1), 3, axis=-1).astype(np.uint8)
    return tinted(pale_HWC, resized(mask_HW, side_px), colour, fill=0.75, outline=0.0)


def _draw_points(page: Page, face: "_Face", x: int, y: int, panel_px: int) -> None:
    within = (x, y, panel_px)
    scale = panel_px / len(face.image_HWC)

    def placed(points_xy: _Float) -> _Float:
        return (points_xy + 0.5) * scale - 0.5 + (x, y)

    if face.corners_xy is not None:
        page.lines([placed(face.corners_xy)], within=within, colour="#FFFFFF", dashed=True)
    if face.points_xy is not None:
        points = placed(face.points_xy)
        parts = [points[list(part)] for part in _PARTS]
        page.lines(parts, within=within, colour="#7CE8FF")
        page.dots(points, within=within, colour="#FFFFFF", diameter_px=2.2)
    if face.keypoints_xy is not None:
        page.dots(
            placed(face.keypoints_xy),
            within=within,
            colour="#E69F00",
            diameter_px=6.0,
            rim="#000000",
        )


def _draw_labels(page: Page, face: "_Face", x: int, y: int, width_px: int) -> None:
    """The action units that occur, each on its colour; or that none does, or is known."""
    names = [name for name, on in face.occurs.items() if on]
    if not names:
        told = "no AU occurs" if face.occurs else "no AU labels"
        page.text(x, y + 15, told, size_px=13, colour=FAINT)
        return
    chip_px = 50
    for nth, name in enumerate(names[: width_px // chip_px]):
        colour = _COLOUR.get(_number(name) or 0, _NO_MASK_COLOUR)
        page.fill(x + nth * chip_px, y, chip_px - 6, 20, colour)
        ink = "#FFFFFF" if colour in ("#0072B2", "#009E73") else "#000000"
        middle = x + nth * chip_px + (chip_px - 6) / 2
        page.text(middle, y + 15, name[:6], size_px=12, colour=ink, bold=True, align="center")


def _finished(page: Page, path: Path | None) -> _Image:
    image_HWC = page.finished()
    if path is not None:
        write_png(image_HWC, path)
    return image_HWC


@dataclass(frozen=True, kw_only=True)
class _Face:
    """One row as a page needs it, in crop pixels; None stands for what it does not have."""

    key: str
    caption: str
    image_HWC: _Image
    points_xy: _Float | None
    corners_xy: _Float | None
    keypoints_xy: _Float | None
    masks_KHW: _Float | None
    occurs: Mapping[str, bool]

    @classmethod
    def of(cls, row: Mapping[str, Any], au_names: Sequence[str], size_px: int) -> "_Face":
        image = row.get("image")
        if image is None:
            image = np.full((size_px, size_px, 3), _GROUND, np.uint8)
        image_HWC = np.asarray(image, np.uint8)
        names, values = row.get("au_names", au_names), row.get("au_occurrence", ())
        return cls(
            key=re.sub(r"\s+", " ", str(row.get("key", ""))),
            caption=_caption(row),
            image_HWC=image_HWC,
            points_xy=_finite(row.get("landmarks_xy")),
            corners_xy=_corners_in_crop(row),
            keypoints_xy=_in_crop(_finite(row.get("keypoints_xy")), row),
            masks_KHW=_masks(row, len(image_HWC)),
            occurs={str(n): int(v) == 1 for n, v in zip(names, values, strict=False) if v >= 0},
        )

    def is_on(self, au: int) -> bool | None:
        """Whether an action unit occurs; None where that is not known."""
        known = [on for name, on in self.occurs.items() if _number(name) == au]
        return known[0] if known else None


def _caption(row: Mapping[str, Any]) -> str:
    """Where the face is from, but for the key."""
    told = [
        f"frame {row['frame_index']}" if "frame_index" in row else "",
        f"{float(row['pts_s']):.2f} s" if "pts_s" in row else "",
        f"track {row['track_id']}" if "track_id" in row else "",
        f"score {float(row['det_score']):.2f}" if "det_score" in row else "",
        str(row.get("status", "")),
        "no image" if row.get("image") is None else "",
        "no points" if _finite(row.get("landmarks_xy")) is None else "",
    ]
    return "   ".join(part for part in told if part)


def _in_crop(points_xy: _Float | None, row: Mapping[str, Any]) -> _Float | None:
    affine = _finite(row.get("crop_affine"))
    return None if points_xy is None or affine is None else crops.to_crop(points_xy, affine)


def _corners_in_crop(row: Mapping[str, Any]) -> _Float | None:
    """The corners of the box, the first one again at the end."""
    box_xyxy = _finite(row.get("box_xyxy"))
    if box_xyxy is None:
        return None
    return _in_crop(box_xyxy[[[0, 1], [2, 1], [2, 3], [0, 3], [0, 1]]], row)


def _masks(row: Mapping[str, Any], size_px: int) -> _Float | None:
    """(15, S, S) 0..1, as stored or else drawn from the ellipses."""
    if row.get("au_mask") is not None:
        return np.asarray(row["au_mask"], np.float32) / np.float32(255.0)
    if row.get("au_ellipses") is None:
        return None
    return np.asarray(au_masks.render(np.asarray(row["au_ellipses"])[None], size_px=size_px)[0])


def _finite(values: Any) -> _Float | None:
    if values is None or not np.isfinite(values).all():
        return None
    return np.asarray(values, np.float64)


def _number(au_name: str) -> int | None:
    digits = re.search(r"\d+", au_name)
    return int(digits[0]) if digits else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _shortened(text: str, limit: int) -> str:
    """The text without its middle where it is too long: both ends of a key tell videos apart."""
    half = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"
