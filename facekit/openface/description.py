"""Frames and points in; what OpenFace's linear models look at out.

Tensor names end in their axes: N faces, F the numbers of a description.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from facekit.openface import alignment, point_distribution
from facekit.openface.face_mask import FaceMask, to_crop
from facekit.openface.fhog import Fhog
from facekit.openface.model_files import FEATURES, ModelSet
from facekit.openface.point_distribution import PointModel
from facekit.openface.predictors import FILLED_FEATURES

IMAGES_ON_CPU: Final = 4
"""Crops made at once on the CPU: more of them leave its cache."""


class Describer:
    """Fits, cuts, masks and describes faces.

    Args:
        models: the point model and the triangles.
        device: where it runs.
    """

    def __init__(self, models: ModelSet, device: torch.device) -> None:
        self.model = PointModel.of(models.points, device)
        self.mask = FaceMask(models.triangles, device)
        self.fhog = Fhog(device)
        self._device = device

    def __call__(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        points_N682: npt.NDArray[np.floating],
    ) -> tuple[torch.Tensor, npt.NDArray[np.bool_]]:
        """Describe faces.

        Args:
            images: N frames, (H, W, 3) uint8 RGB.
            points_N682: frame pixels, finite.

        Returns:
            (N, `FILLED_FEATURES`) float64: HOG, geometry, zeros; and (N,) bool, whether the points
            can be those of a face. Where not, its description is 0.
        """
        points = torch.from_numpy(points_N682.astype(np.float64)).to(self._device)
        fitted = point_distribution.fit(points, self.model)
        affine_N23 = alignment.crop_affine(points, fitted, self.model)
        sound_N = affine_N23.flatten(1).isfinite().all(1) & fitted.local_NK.isfinite().all(1)
        sound = sound_N.cpu().numpy()
        description_NF = points.new_zeros(len(points), FILLED_FEATURES)
        if not sound.all():
            images = [image for image, is_sound in zip(images, sound, strict=True) if is_sound]
            points, affine_N23, fitted = points[sound_N], affine_N23[sound_N], fitted[sound_N]
        step = IMAGES_ON_CPU if self._device.type == "cpu" else max(1, len(images))
        hog = [
            self._hog(images[at : at + step], points[at : at + step], affine_N23[at : at + step])
            for at in range(0, len(images), step)
        ]
        if hog:
            geometry_NF = point_distribution.geometry(fitted.local_NK, self.model)
            description_NF[sound_N, :FEATURES] = torch.cat([torch.cat(hog), geometry_NF], dim=1)
        return description_NF, sound

    def _hog(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        points_NP2: torch.Tensor,
        affine_N23: torch.Tensor,
    ) -> torch.Tensor:
        mask_NHW = self.mask(to_crop(points_NP2, affine_N23))
        img_NCHW = alignment.cut(images, affine_N23) * mask_NHW[:, None].to(torch.int16)
        return self.fhog(img_NCHW).double()
