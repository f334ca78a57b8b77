"""The embedded networks as ONNX graphs: what runs on the CPU, in half the time that torch takes.

The weights stand in safetensors files, under the names of the torch modules that learnt them
(`facekit.lite_blocks`). A graph takes each of them by name and shape, so that a file of another
network is refused; torch itself, which takes seconds to import and half a gigabyte, is not needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facekit import devices
from facekit.errors import BadWeights

if TYPE_CHECKING:
    import onnx

_OPSET: Final = 17
_IR_VERSION: Final = 8

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Value:
    """What a node gives: a name in the graph, and how many channels there are."""

    name: str
    channels: int


class Weights:
    """The tensors of a file; each is taken once, by name and shape.

    Args:
        path: the file.
        what: what the network is called, for the error.

    Raises:
        BadWeights: the file cannot be read.
    """

    def __init__(self, path: Path, what: str) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        self.path = path
        self._error = f"{path} does not hold the weights of {what}"
        try:
            self._left: dict[str, Array] = load_file(path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise BadWeights(self._error) from error

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """A tensor.

        Raises:
            BadWeights: there is none of this name and shape.
        """
        array = self._left.pop(name, None)
        if array is None or array.shape != shape or array.dtype.kind != "f":
            raise BadWeights(self._error)
        return array.astype(np.float32)

    def finish(self) -> None:
        """Make sure that all of them were taken.

        Raises:
            BadWeights: the file holds more.
        """
        if self._left:
            raise BadWeights(self._error)


class Graph:
    """ONNX nodes, written one after another; the input is (N, H, W, 3) uint8 RGB of any size.

    Args:
        weights: where convolutions and layers take theirs from.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._taken: set[str] = set()

    def image(self, *, zero: float, unit: float) -> Value:
        """The input, channels first, as (pixel - `zero`) / `unit`."""
        number = self._node("Cast", "image", to=1)
        moved = self._node("Sub", number, self.constant(np.float32(zero)))
        scaled = self._node("Mul", moved, self.constant(np.float32(1 / unit)))
        return Value(self._node("Transpose", scaled, perm=[0, 3, 1, 2]), 3)

    def conv(self, x: Value, name: str, outputs: int, kernel: int = 1, stride: int = 1) -> Value:
        """The convolution of this name."""
        weight = self._weight(f"{name}.weight", outputs, x.channels, kernel, kernel)
        bias = self._weight(f"{name}.bias", outputs)
        made = self._node(
            "Conv",
            *(x.name, weight, bias),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
        )
        return Value(made, outputs)

    def unit(
        self,
        x: Value,
        name: str,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        relu: bool = True,
    ) -> Value:
        """`lite_blocks.Unit` without its norm."""
        made = self.conv(x, f"{name}.conv", outputs, kernel, stride)
        return self.relu(made) if relu else made

    def block(self, x: Value, name: str) -> Value:
        """`lite_blocks.Block`."""
        first = self.unit(x, f"{name}.first", x.channels)
        return self.relu(self.add(self.unit(first, f"{name}.second", x.channels, relu=False), x))

    def relu(self, x: Value) -> Value:
        """Negative values become 0."""
        return Value(self._node("Relu", x.name), x.channels)

    def add(self, x: Value, y: Value) -> Value:
        """The sum of two of one shape."""
        return Value(self._node("Add", x.name, y.name), x.channels)

    def doubled(self, x: Value, like: Value) -> Value:
        """Every pixel twice each way, cut to the height and width of `like`."""
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        up = self._node(
            "Resize",
            *(x.name, "", scales),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        shape = self._node("Shape", like.name, start=2)
        zeros, axes = (self.constant(np.array(pair, np.int64)) for pair in ([0, 0], [2, 3]))
        return Value(self._node("Slice", up, zeros, shape, axes), x.channels)

    def rows(self, grids: Sequence[Value]) -> Value:
        """All cells of some grids, grid by grid and row by row: (N, P, C)."""
        shape = self.constant(np.array([0, -1, grids[0].channels], np.int64))
        flat = [
            self._node("Reshape", self._node("Transpose", x.name, perm=[0, 2, 3, 1]), shape)
            for x in grids
        ]
        return Value(self._node("Concat", *flat, axis=1), grids[0].channels)

    def linear(self, x: Value, name: str, inputs: int, outputs: int) -> Value:
        """The linear layer of this name, on all that an image has become."""
        weight = self._weight(f"{name}.weight", outputs, inputs)
        bias = self._weight(f"{name}.bias", outputs)
        flat = self._node("Flatten", x.name, axis=1)
        return Value(self._node("Gemm", flat, weight, bias, transB=1), outputs)

    def mean_places(self, x: Value, side: int, pixels: float) -> Value:
        """The mean place under each map's softmax: (N, C, 2) x and y.

        Args:
            x: square maps.
            side: cells a side.
            pixels: of a cell.
        """
        shape = self.constant(np.array([0, 0, -1], np.int64))
        share = self._node("Softmax", self._node("Reshape", x.name, shape), axis=2)
        row, column = (at.ravel() for at in np.mgrid[:side, :side])
        centre_xy = (np.stack([column, row], axis=1) + 0.5) * pixels - 0.5
        at = self.constant(centre_xy.astype(np.float32))
        return Value(self._node("MatMul", share, at), x.channels)

    def constant(self, array: Array | np.float32, name: str = "") -> str:
        """A tensor of its own."""
        from onnx import numpy_helper

        name = name or f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def session(self, output: Value) -> "Session":
        """The finished graph, ready to run on one thread.

        Args:
            output: what it gives.
        """
        from onnx import TensorProto, helper

        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
        given = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "lite", [image], [given], self._constants)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        made = model.SerializeToString()
        return Session(devices.onnx_session(self._weights.path, "cpu", content=made))

    def _weight(self, name: str, *shape: int) -> str:
        if name not in self._taken:
            self._taken.add(name)
            self.constant(self._weights.take(name, shape), name)
        return name

    def _node(self, kind: str, *inputs: str, **settings: Any) -> str:
        from onnx import helper

        name = f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **settings))
        return name


class Session:
    """A graph that can be called.

    Args:
        session: an `onnxruntime.InferenceSession` of one input and one output.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def __call__(self, img_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB to what the graph gives, float32."""
        (given,) = self._session.run(None, {"image": img_NHWC})
        return np.asarray(given, np.float32)
