"""A page of exact pixels: pictures, masks, lines and text, and its way into a PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.font_manager import FontProperties

INK: Final = "#1A1A1A"
FAINT: Final = "#6B6B6B"

_Image = npt.NDArray[np.uint8]
_Float = npt.NDArray[np.floating[Any]]


class Page:
    """A white page to draw on; x right, y down, whole pixels from its top left corner.

    Fonts are the ones inside matplotlib, not those of the machine or of the user's settings, so
    that the same drawing gives the same pixels anywhere.

    Args:
        width_px: its width.
        height_px: its height.

    >>> page = Page(40, 30)
    >>> page.fill(10, 0, 5, 30, "#FF0000")
    >>> page.finished()[3, 9:11].tolist()
    [[255, 255, 255], [255, 0, 0]]
    """

    def __init__(self, width_px: int, height_px: int) -> None:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.ground_HWC = np.full((height_px, width_px, 3), 255, np.uint8)
        # At 72 dpi a point of matplotlib's is a pixel.
        figure = Figure(figsize=(width_px / 72, height_px / 72), dpi=72, frameon=False)
        self._canvas = FigureCanvasAgg(figure)
        self._axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._axes.set_axis_off()
        self._axes.set_xlim(-0.5, width_px - 0.5)
        self._axes.set_ylim(height_px - 0.5, -0.5)
        self._fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"

    def fill(self, x: int, y: int, width_px: int, height_px: int, colour: str) -> None:
        """Paint a rectangle."""
        self.ground_HWC[y : y + height_px, x : x + width_px] = rgb(colour)

    def paste(self, image_HWC: _Image, x: int, y: int) -> None:
        """Put a picture, its top left corner at a place."""
        height, width = image_HWC.shape[:2]
        self.ground_HWC[y : y + height, x : x + width] = image_HWC

    def lines(
        self,
        lines_xy: Sequence[_Float],
        *,
        within: tuple[int, int, int],
        colour: str,
        width_px: float = 1.0,
        dashed: bool = False,
    ) -> None:
        """Draw lines, each (K, 2), inside the square `(x, y, side)`, on a dark rim."""
        from matplotlib.collections import LineCollection

        for line_colour, line_px in (("#00000070", width_px + 1.2), (colour, width_px)):
            drawn = LineCollection(
                lines_xy,
                colors=[line_colour],
                linewidths=line_px,
                linestyles=[(0.0, (4.0, 3.0))] if dashed else "solid",
                capstyle="butt" if dashed else "round",
            )
            self._add(drawn, within)

    def dots(
        self,
        points_xy: _Float,
        *,
        within: tuple[int, int, int],
        colour: str,
        diameter_px: float,
        rim: str = "#00000000",
    ) -> None:
        """Draw points, (K, 2), inside the square `(x, y, side)`."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Outline

        # One outline: collections put equal shapes on whole pixels.
        circles = [Outline.circle((x, y), diameter_px / 2) for x, y in points_xy.tolist()]
        outline = Outline.make_compound_path(*circles)
        drawn = PathPatch(outline, facecolor=colour, edgecolor=rim, linewidth=1.0, zorder=3)
        self._add(drawn, within)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size_px: float,
        colour: str = INK,
        bold: bool = False,
        align: Literal["left", "center", "right"] = "left",
    ) -> float:
        """Write a line, `y` the line it stands on.

        Returns:
            Its width in pixels.
        """
        written = self._axes.text(
            x,
            y,
            text,
            fontproperties=self._font(size_px, bold),
            color=colour,
            ha=align,
            va="baseline",
            parse_math=False,
        )
        return float(written.get_window_extent(self._canvas.get_renderer()).width)

    def finished(self) -> _Image:
        """The page as (H, W, 3) uint8."""
        self._canvas.draw()
        drawn_HW4 = np.asarray(self._canvas.buffer_rgba(), np.float32)
        opacity_HW1 = drawn_HW4[..., 3:] / np.float32(255.0)
        mixed = self.ground_HWC * (1.0 - opacity_HW1) + drawn_HW4[..., :3] * opacity_HW1
        return np.asarray(np.rint(mixed), np.uint8)

    def _font(self, size_px: float, bold: bool) -> "FontProperties":
        from matplotlib.font_manager import FontProperties

        file = self._fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
        return FontProperties(fname=file, size=size_px)

    def _add(self, drawn: "Artist", within: tuple[int, int, int]) -> None:
        from matplotlib.patches import Rectangle

        x, y, side = within
        self._axes.add_artist(drawn)
        drawn.set_clip_path(
            Rectangle((x - 0.5, y - 0.5), side, side, transform=self._axes.transData)
        )
        # Snapping would move lines and dots to the next pixel.
        drawn.set_snap(False)


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#RRGGBB`.

    >>> rgb("#FF8000")
    (255, 128, 0)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def resized(image_HWC: npt.NDArray[Any], side_px: int) -> npt.NDArray[Any]:
    """A square picture or mask at another size: averaged when shrinking, else smooth.

    >>> resized(np.ones((4, 4, 3), np.uint8), 2).shape
    (2, 2, 3)
    """
    import cv2

    how = cv2.INTER_AREA if image_HWC.shape[0] >= side_px else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image_HWC, (side_px, side_px), interpolation=how))


def tinted(
    image_HWC: _Image, mask_HW: _Float, colour: str, *, fill: float, outline: float
) -> _Image:
    """Lay a mask over a picture of its size.

    Args:
        image_HWC: (S, S, 3) uint8.
        mask_HW: (S, S) 0..1.
        colour: `#RRGGBB`.
        fill: opacity where the mask is 1.
        outline: opacity of the line where it is one half.

    Returns:
        (S, S, 3) uint8.

    >>> tinted(np.zeros((2, 2, 3), np.uint8), np.eye(2), "#FF0000", fill=1.0, outline=0.0)[..., 0]
    array([[255,   0],
           [  0, 255]], dtype=uint8)
    """
    slope = np.hypot(*np.gradient(mask_HW))
    apart_px = np.abs(mask_HW - 0.5) / np.maximum(slope, 1e-6)
    line_HW = outline * np.clip(1.5 - apart_px, 0.0, 1.0)
    opacity_HW1 = np.maximum(fill * np.clip(mask_HW, 0.0, 1.0), line_HW)[..., None]
    mixed = image_HWC * (1.0 - opacity_HW1) + np.array(rgb(colour), np.float32) * opacity_HW1
    return np.asarray(np.rint(mixed), np.uint8)


def write_png(image_HWC: _Image, path: Path) -> None:
    """Write a picture whole or not at all.

    Args:
        image_HWC: (H, W, 3) uint8 RGB.
        path: the file; its folder must exist.

    Raises:
        BadInput: the name does not end in .png, or the file cannot be written.
        DiskFull: the disk ran out.
    """
    import cv2

    from facekit.shards.disk import publishing

    if path.suffix.lower() != ".png":
        raise BadInput(f"{path}: a picture is written as PNG; end its name in .png")
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(image_HWC[..., ::-1]))
    try:
        with publishing(path) as draft:
            draft.write_bytes(encoded.tobytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error
