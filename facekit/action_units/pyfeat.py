"""Action units by py-feat's heads: boosted trees or linear machines on HOG features of the face."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from facekit import devices, weights
from facekit.action_units import AULabels
from facekit.action_units.pyfeat_package import AU_KEYS, load_head, load_package
from facekit.faces import Face
from facekit.weights import ModelFile

if TYPE_CHECKING:
    import torch

# Letters: N faces, C colours, H W rows and columns, P the 68 points, F features, A action units.

AU_NAMES: Final = tuple(f"AU{int(key.removeprefix('AU')):02d}" for key in AU_KEYS)
"""The action units of both heads."""

HEADS: Final = {"xgb": "pyfeat_xgb", "svm": "pyfeat_svm"}
"""Name of a head -> name of its file in `facekit.weights`."""

FACE_PX: Final = 112
"""Side of the crop on which the heads were trained."""


class PyFeatActionUnits:
    """20 action units of each face by itself, from its box and its 68 points.

    The trees give a probability: it is the score, and an action unit occurs from 0.5 on. The
    linear machines give 0 or 1 and no score. Neither gives an intensity. A face without points, or
    with all of them on one line or spot, stays unknown.

    Points enter py-feat's crop by the inverse of the rule by which py-feat takes its own out of
    it, so its boxes and landmarks in frame pixels yield its labels. Crops and features are made
    on the device, the heads run on one thread of the CPU.

    Args:
        model: `xgb` (default), `svm`, or the path of a head in py-feat's skops format.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadWeights: the file is no head of py-feat, or holds types that no head needs.
        MissingDevice: py-feat or a package that it needs is not installed.
        MissingWeights: the file is not at hand and cannot be fetched.

    Source: Cheong et al., Py-Feat: Python Facial Expression Analysis Toolbox, Affective Science
    2023; the AU part of its `Detectorv1`.

    >>> PyFeatActionUnits.mode, PyFeatActionUnits.au_names[:4]
    ('static', ('AU01', 'AU02', 'AU04', 'AU05'))
    """

    au_names: tuple[str, ...] = AU_NAMES
    mode = "static"

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        name = model or "xgb"
        self.models: tuple[ModelFile, ...] = (weights.find(HEADS.get(name, name)),)
        self._head = load_head(self.models[0])
        self._torch_device = devices.torch_device(device)
        self.device: str = self._torch_device.type
        self._hog = (
            load_package()
            .hog_layer(
                orientations=8,
                pixels_per_cell=8,
                cells_per_block=2,
                block_normalization="L2-Hys",
                feature_vector=True,
                device=self._torch_device,
            )
            .to(self._torch_device)
        )

    def __call__(self, faces: Sequence[Face]) -> AULabels:
        """Label these faces."""
        labels = AULabels.unknown(len(faces), len(self.au_names))
        prepared = list(self._prepared(faces))
        if not prepared:
            return labels
        index_N, img_1CHW, points_P2 = zip(*prepared, strict=True)
        values_NA = self._head.detect(frame=self._features(img_1CHW), landmarks=[points_P2])
        if self._head.kind == "xgb":
            labels.score[list(index_N)] = values_NA
        labels.occurrence[list(index_N)] = values_NA >= 0.5
        return labels

    def finish(self) -> None:
        """Nothing to add: each face stands by itself."""

    def _features(self, img_1CHW: "Sequence[torch.Tensor]") -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            features_NF: npt.NDArray[np.float32] = (
                self._hog(torch.cat(list(img_1CHW))).cpu().numpy()
            )
        return features_NF

    def _prepared(
        self, faces: Sequence[Face]
    ) -> "Iterator[tuple[int, torch.Tensor, npt.NDArray[np.int64]]]":
        """Index, aligned and masked crop, whole-pixel points in it, of each face that has them."""
        import torch
        from scipy.spatial import QhullError

        singular = torch.linalg.LinAlgError  # type: ignore[attr-defined]  # torch's stubs lack it
        usable = [(i, face) for i, face in enumerate(faces) if _is_usable(face)]
        for _, group in groupby(usable, key=lambda pair: id(pair[1].image_HWC)):
            frame_1CHW: Any = None
            for index, face in group:
                with torch.inference_mode():
                    if frame_1CHW is None:
                        frame_1CHW = self._frame(face)
                    crop_1CHW, points_1P2 = self._crop(frame_1CHW, face)
                    try:
                        img_1CHW, points_P2 = load_package().mask(
                            crop_1CHW, points_1P2, face_size=FACE_PX
                        )
                    except (QhullError, singular):
                        continue  # points on one line, or all in one place, enclose no face
                yield index, img_1CHW, points_P2[0]

    def _frame(self, face: Face) -> "torch.Tensor":
        import torch

        # a copy: torch warns about arrays that are not to be written to
        img_HWC = torch.tensor(np.ascontiguousarray(face.image_HWC), device=self._torch_device)
        return img_HWC.permute(2, 0, 1)[None].float() / 255.0

    def _crop(self, frame_1CHW: "torch.Tensor", face: Face) -> "tuple[torch.Tensor, torch.Tensor]":
        """py-feat's crop, box times 1.2 squeezed into a square, and the points in its pixels."""
        import torch

        assert face.points_xy is not None
        box_1xyxy = torch.tensor(face.box_xyxy, device=self._torch_device)[None]
        crop_1CHW, grown_1xyxy = load_package().crop(frame_1CHW, box_1xyxy, face_size=FACE_PX)
        points_1P2 = torch.tensor(face.points_xy, device=self._torch_device)[None]
        corner_112, far_112 = grown_1xyxy[:, None, :2], grown_1xyxy[:, None, 2:]
        return crop_1CHW, (points_1P2 - corner_112) / (far_112 - corner_112) * FACE_PX


def _is_usable(face: Face) -> bool:
    """Whether it has points, and a box that is still one when rounded to pixels."""
    if face.points_xy is None or not np.isfinite(face.points_xy).all():
        return False
    sides_wh = face.box_xyxy[2:] - face.box_xyxy[:2]
    return bool((sides_wh >= 1).all())
