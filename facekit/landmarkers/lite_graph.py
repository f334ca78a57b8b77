"""The networks of the landmarker `lite` as ONNX graphs, layer by layer as in `lite_network`."""

from pathlib import Path
from typing import Final, NamedTuple

from facekit.landmarkers.ibug68 import POINTS
from facekit.lite_graph import Graph, Session, Weights

COARSE_PX: Final = 64
"""Side of the crop that the coarse network takes."""

FINE_PX: Final = 112
"""Side of the crop that the fine network takes."""

CELL_PX: Final = 4
"""Crop pixels to a cell of a heat map, each way."""


class Pyramid(NamedTuple):
    """How large a network is.

    Args:
        widths: features after each halving of the crop.
        blocks: residual blocks after each halving but the first.
        up: features on the way up.
    """

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    up: int


COARSE: Final = Pyramid((16, 32, 48, 64), (0, 0, 2), 32)
FINE: Final = Pyramid((16, 32, 64, 96, 112), (1, 1, 1, 1), 48)


def sessions(path: Path) -> tuple[Session, Session]:
    """The coarse and the fine network: (N, S, S, 3) crops to (N, 68, 2) crop pixels.

    Args:
        path: the file of both.

    Raises:
        BadWeights: it does not hold them.
    """
    weights = Weights(path, "the landmarker lite")
    coarse = _session(weights, "coarse", COARSE, COARSE_PX)
    fine = _session(weights, "fine", FINE, FINE_PX)
    weights.finish()
    return coarse, fine


def _session(weights: Weights, name: str, pyramid: Pyramid, crop_px: int) -> Session:
    graph = Graph(weights)
    x = graph.unit(graph.image(zero=127.5, unit=255.0), f"{name}.stem", pyramid.widths[0], stride=2)
    levels = []
    for i, (width, count) in enumerate(zip(pyramid.widths[1:], pyramid.blocks, strict=True)):
        x = graph.unit(x, f"{name}.down.{i}.0", width, stride=2)
        for j in range(count):
            x = graph.block(x, f"{name}.down.{i}.{j + 1}")
        levels.append(x)
    x = graph.unit(levels[-1], f"{name}.side.{len(levels) - 1}", pyramid.up, 1)
    for i in reversed(range(len(levels) - 1)):
        beside = graph.unit(levels[i], f"{name}.side.{i}", pyramid.up, 1, relu=False)
        both = graph.relu(graph.add(beside, graph.doubled(x, beside)))
        x = graph.unit(both, f"{name}.up.{i}", pyramid.up)
    maps = graph.conv(x, f"{name}.out", POINTS)
    return graph.session(graph.mean_places(maps, crop_px // CELL_PX, CELL_PX))
