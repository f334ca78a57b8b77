"""No action unit labels: every one is unknown."""

from collections.abc import Sequence

from facekit.action_units import AULabels
from facekit.au_masks import MASK_AUS
from facekit.errors import BadInput
from facekit.faces import Face
from facekit.weights import ModelFile


class NoActionUnits:
    """An AU engine that knows nothing; its columns are the action units that have a mask.

    Args:
        model: takes none.
        device: any; nothing runs.

    Raises:
        BadInput: a model was given.

    >>> engine = NoActionUnits()
    >>> engine.mode, len(engine.au_names), engine([]).occurrence.shape
    ('none', 15, (0, 15))
    """

    models: tuple[ModelFile, ...] = ()
    device = "cpu"
    au_names: tuple[str, ...] = tuple(f"AU{number:02d}" for number in MASK_AUS)
    mode = "none"

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        del device
        if model is not None:
            raise BadInput(f"--au none takes no model, but {model!r} was given")

    def __call__(self, faces: Sequence[Face]) -> AULabels:
        """-1 and NaN for each face."""
        return AULabels.unknown(len(faces), len(self.au_names))

    def finish(self) -> None:
        """Nothing to add."""
