"""The networks of the embedded detector as ONNX graphs, layer by layer as in `lite_network`."""

from pathlib import Path
from typing import Final

from facekit.lite_graph import Graph, Session, Value, Weights

WIDTHS: Final = (16, 32, 48, 64, 64)
BLOCKS: Final = (0, 0, 2, 2, 1)
PYRAMID: Final = 48
NUMBERS: Final = 15


CROP_PX: Final = 48
"""Side of the crop that the second look takes."""

SECOND_WIDTHS: Final = (8, 16, 24, 28)
SECOND_BLOCKS: Final = (0, 1, 0, 0)

TRUST: Final = "trust"
"""The tensor that tells a file with a second look from one without."""


def sessions(path: Path) -> tuple[Session, Session | None, float]:
    """The networks of both looks, and how much the first counts beside the second.

    Args:
        path: the file of all that; one without a second look will do.

    Returns:
        (N, H, W, 3) frames to (N, P, 15) numbers at every place; (N, 48, 48, 3) crops to (N, 1)
        logits, or None; what the logit of the first look is multiplied by before both are added.

    Raises:
        BadWeights: it does not hold them.
    """
    weights = Weights(path, "the lite detector")
    first, second, trust = _first(weights), None, 1.0
    if TRUST in weights:
        second = _second(weights)
        (trust,) = weights.take(TRUST, (1,)).tolist()
    weights.finish()
    return first, second, trust


def _first(weights: Weights) -> Session:
    graph = Graph(weights)
    x, levels = graph.image(zero=127.5, unit=64.0), []
    for i, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
        x = graph.unit(x, f"stages.{i}.0", width, stride=2)
        for j in range(blocks):
            x = graph.block(x, f"stages.{i}.{j + 1}")
        levels.append(x)
    merged: list[Value] = []
    for i in reversed(range(len(levels) - 2)):
        y = graph.unit(levels[2 + i], f"sides.{i}", PYRAMID, 1, relu=False)
        if merged:
            y = graph.add(y, graph.doubled(merged[0], y))
        merged.insert(0, graph.unit(graph.relu(y), f"merged.{i}", PYRAMID))
    heads = [graph.unit(y, "head", PYRAMID) for y in merged]
    return graph.session(graph.rows([graph.conv(y, "numbers", NUMBERS) for y in heads]))


def _second(weights: Weights) -> Session:
    graph = Graph(weights)
    x, side = graph.image(zero=127.5, unit=64.0), CROP_PX
    for i, (width, blocks) in enumerate(zip(SECOND_WIDTHS, SECOND_BLOCKS, strict=True)):
        x, side = graph.unit(x, f"second.stages.{i}.0", width, stride=2), side // 2
        for j in range(blocks):
            x = graph.block(x, f"second.stages.{i}.{j + 1}")
    return graph.session(graph.linear(x, "second.face", x.channels * side**2, 1))
