"""A 3-D model of the 68 points: what in their places is pose, and what is the face's own doing.

A face of the model is its mean plus a weighted sum of its modes, seen by a weak-perspective camera.
Fitting it to points of an image gives the pose, and with it the points as they would stand if the
same face looked straight into the camera.

Letters: N faces, P the 68 points, K modes, Q unknowns of a fit. Axes of the model: x right, y down,
z into the picture; one unit is the distance of the outer eye corners of the mean.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.landmarkers.ibug68 import POINTS

Float64 = npt.NDArray[np.float64]

ITERATIONS: Final = 12
"""Gauss-Newton steps of a fit. On annotated faces no pose moves by 0.1 degrees after the tenth."""

AT_ONCE: Final = 32
"""Faces fitted together: fewer cost more calls, more fall out of the processor's caches."""

LARGEST_TURN_RAD: Final = 0.5
"""Most that one step turns a face, so that a bad start cannot throw it over."""

_POSE: Final = 6
"""Unknowns of the pose: log of the scale, turns about x, y, z, shifts along x, y."""


@dataclass(frozen=True, kw_only=True)
class Fits:
    """How the model was laid on N faces; NaN throughout where points were missing or in one place.

    Args:
        scale_px: (N,) float64, pixels a unit of the model.
        rotation: (N, 3, 3) float64, model axes to camera axes.
        centre_xy: (N, 2) float64, where the model's origin is seen, pixels.
        weights: (N, K) float64, in standard deviations of the mode.
        upright_xy: (N, 68, 2) float64, the measured points turned to the front: what the model
            cannot follow stays in. Units of the model.
        error: (N,) float64, root mean square distance of measured and fitted points, units of the
            model.
    """

    scale_px: Float64
    rotation: Float64
    centre_xy: Float64
    weights: Float64
    upright_xy: Float64
    error: Float64


@dataclass(frozen=True, kw_only=True)
class PointModel:
    """Mean, modes and noise of the 68 points, and the fit of them to images.

    Args:
        mean: (68, 3) float64, units of the model.
        modes: (K, 68, 3) float64, displacement a standard deviation of the mode.
        noise: (68,) float64, standard deviation of a coordinate that no mode explains; weighs the
            points. Above 0.

    Source: a probabilistic model of non-rigid structure from motion as in Torresani, Hertzmann and
    Bregler, PAMI 2008, with a noise for each point.

    >>> eyes = np.zeros((68, 3))
    >>> eyes[45, 0], eyes[33, 1] = 1.0, 0.7
    >>> model = PointModel(mean=eyes, modes=np.zeros((0, 68, 3)), noise=np.ones(68))
    >>> fits = model.fit(20 * eyes[None, :, :2] + [300, 200])
    >>> fits.scale_px.round(3).tolist(), fits.centre_xy.round(3).tolist()
    ([20.0], [[300.0, 200.0]])
    """

    mean: Float64
    modes: Float64
    noise: Float64

    def fit(self, points_xy: npt.NDArray[np.floating]) -> Fits:
        """Find the pose and the weights that explain these points best.

        The most probable weights and pose are sought by Gauss-Newton steps from the frontal pose
        that a similarity gives, each face for itself: the answer for a face does not depend on
        which others it is given with.

        Args:
            points_xy: (N, 68, 2) pixels, iBUG order; NaN where unknown.
        """
        points = np.asarray(points_xy, np.float64)
        usable = np.asarray(np.isfinite(points).all(axis=(1, 2)))
        usable[usable] = (np.ptp(points[usable], axis=1) > 0).all(axis=1)
        some = [self._fit(part) for part in _parts(points[usable])]
        return Fits(
            **{
                name: _spread(np.concatenate([getattr(fits, name) for fits in some]), usable)
                for name in Fits.__dataclass_fields__
            }
        )

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """What a file holds of it; `from_arrays` is the way back."""
        return {name: value.astype(np.float32) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.floating]]) -> "PointModel":
        """The model that `arrays` gave.

        Args:
            arrays: `mean`, `modes` and `noise`; others are let be.

        Raises:
            KeyError: one of them is missing.
            ValueError: shapes or values are none of a point model.
        """
        model = cls(**{n: np.asarray(arrays[n], np.float64) for n in ("mean", "modes", "noise")})
        shapes = model.mean.shape, model.modes.shape[1:], model.noise.shape
        if shapes != ((POINTS, 3), (POINTS, 3), (POINTS,)):
            raise ValueError(f"no point model has arrays of these shapes: {shapes}")
        if not all(np.isfinite(value).all() for value in vars(model).values()):
            raise ValueError("a point model holds numbers that are not finite")
        if not (model.noise > 0).all():
            raise ValueError("the noise of a point model is above 0")
        return model

    def shapes(self, weights: Float64) -> Float64:
        """The 3-D points of these weights.

        Args:
            weights: (N, K), standard deviations.

        Returns:
            (N, 68, 3) float64, units of the model.
        """
        # face by face: one product over all of them would round by how many there are
        flat = np.matmul(weights[:, None], self.modes.reshape(len(self.modes), 3 * POINTS))
        shapes: Float64 = self.mean + flat.reshape(-1, POINTS, 3)
        return shapes

    def _fit(self, points: Float64) -> Fits:
        scale, turn, centre = _similarity(self.mean[:, :2], points)
        unit = scale  # the residuals are in units of the model throughout, by the first scale
        weights = np.zeros((len(points), len(self.modes)))
        for _ in range(ITERATIONS):
            seen = np.matmul(self.shapes(weights), turn.swapaxes(1, 2))
            residual = points - scale[:, None, None] * seen[:, :, :2] - centre[:, None]
            jacobian = self._jacobian(seen, turn, scale / unit)
            step = self._step(jacobian, residual / unit[:, None, None], weights)
            scale = scale * np.exp(np.clip(step[:, 0], -0.5, 0.5))
            turn = np.matmul(_rotations(step[:, 1:4]), turn)
            centre = centre + step[:, 4:6] * unit[:, None]
            weights = weights + step[:, _POSE:]
        shapes = self.shapes(weights)
        return _described(points, shapes, weights, scale, turn, centre)

    def _jacobian(self, seen: Float64, turn: Float64, scale: Float64) -> Float64:
        """(N, 2, 68, Q): how each coordinate of each point moves with each unknown."""
        jacobian = np.zeros((len(seen), 2, POINTS, _POSE + len(self.modes)))
        x, y, z = (seen[:, :, axis] for axis in range(3))
        jacobian[:, 0, :, 0], jacobian[:, 1, :, 0] = x, y
        jacobian[:, 1, :, 1] = -z
        jacobian[:, 0, :, 2] = z
        jacobian[:, 0, :, 3], jacobian[:, 1, :, 3] = -y, x
        flat = np.matmul(self.modes.reshape(1, -1, 3), turn[:, :2].swapaxes(1, 2))
        modes = flat.reshape(len(seen), len(self.modes), POINTS, 2)
        jacobian[..., _POSE:] = modes.transpose(0, 3, 2, 1)
        jacobian *= scale[:, None, None, None]
        jacobian[:, 0, :, 4] = jacobian[:, 1, :, 5] = 1.0
        return jacobian

    def _step(self, jacobian: Float64, residual: Float64, weights: Float64) -> Float64:
        """(N, Q): the Gauss-Newton step; weights are drawn to 0 by their unit variance."""
        faces, unknowns = len(jacobian), jacobian.shape[-1]
        flat = (jacobian / self.noise[:, None]).reshape(faces, 2 * POINTS, unknowns)
        error = (residual.swapaxes(1, 2) / self.noise).reshape(faces, 2 * POINTS, 1)
        prior = np.r_[np.full(_POSE, 1e-9), np.ones(unknowns - _POSE)]
        normal = np.matmul(flat.swapaxes(1, 2), flat) + np.diag(prior)
        wanted = np.matmul(flat.swapaxes(1, 2), error)
        wanted[:, _POSE:, 0] -= weights
        step: Float64 = np.linalg.solve(normal, wanted)[..., 0]
        return step


def _described(
    points: Float64,
    shapes: Float64,
    weights: Float64,
    scale: Float64,
    turn: Float64,
    centre: Float64,
) -> Fits:
    fitted = np.matmul(shapes, turn[:, :2].swapaxes(1, 2))
    measured = (points - centre[:, None]) / scale[:, None, None]
    # depth is the model's; across the line of sight, what was measured stays
    beside = measured - shapes[:, :, 2:] * turn[:, None, :2, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        front = np.matmul(beside, _inverse(turn[:, :2, :2]).swapaxes(1, 2))
    return Fits(
        scale_px=scale,
        rotation=turn,
        centre_xy=centre,
        weights=weights,
        upright_xy=front,
        error=np.sqrt(((measured - fitted) ** 2).sum(axis=2).mean(axis=1)),
    )


def _similarity(flat: Float64, points: Float64) -> tuple[Float64, Float64, Float64]:
    """Scale, rotation about z and shift that bring (P, 2) nearest to each of (N, P, 2)."""
    from_xy = flat - flat.mean(axis=0)
    to_xy = points - points.mean(axis=1, keepdims=True)
    size = (from_xy**2).sum()
    cosine = (to_xy * from_xy).sum(axis=(1, 2)) / size
    sine = (to_xy[..., 1] * from_xy[:, 0] - to_xy[..., 0] * from_xy[:, 1]).sum(axis=1) / size
    scale = np.maximum(np.hypot(cosine, sine), math.sqrt(np.finfo(float).tiny))
    turn = _rotations(np.arctan2(sine, cosine)[:, None] * [0.0, 0.0, 1.0], most_rad=math.inf)
    moved = scale[:, None] * np.matmul(turn[:, :2, :2], flat.mean(axis=0))
    return scale, turn, points.mean(axis=1) - moved


def _rotations(vectors: Float64, most_rad: float = LARGEST_TURN_RAD) -> Float64:
    """(N, 3) axis times angle to (N, 3, 3), by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.maximum(angle, 1e-300)[:, None]).T
    nil = np.zeros_like(x)
    cross = np.stack([nil, -z, y, z, nil, -x, -y, x, nil], axis=1).reshape(-1, 3, 3)
    angle = np.minimum(angle, most_rad)[:, None, None]
    square = np.matmul(cross, cross)
    rotations: Float64 = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * square
    return rotations


def _inverse(two_N22: Float64) -> Float64:
    a, b, c, d = (two_N22[:, i, j] for i in (0, 1) for j in (0, 1))
    adjugate = np.stack([d, -b, -c, a], axis=1).reshape(-1, 2, 2)
    inverse: Float64 = adjugate / (a * d - b * c)[:, None, None]
    return inverse


def _parts(points: Float64) -> list[Float64]:
    """Faces in runs of `AT_ONCE`, at least one run, so that the caches hold what a step needs."""
    return [points[k : k + AT_ONCE] for k in range(0, max(len(points), 1), AT_ONCE)]


def _spread(values: Float64, usable: npt.NDArray[np.bool_]) -> Float64:
    """Rows of the usable faces at their places among all, NaN between them."""
    everywhere = np.full((len(usable), *values.shape[1:]), np.nan)
    everywhere[usable] = values
    return everywhere
