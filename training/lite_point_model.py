"""Learning the 3-D model of the 68 points from annotated photographs.

Letters: N faces, their mirror images included, P the 68 points, K modes, T = 1 + K terms of a face:
the mean, which counts 1, and the modes, which count by their weights.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from facekit.landmarkers.ibug68 import LEFT_EYE, OUTER_CORNERS, POINTS, RIGHT_EYE, SWAP
from facekit.point_model import Fits, PointModel

Float64 = npt.NDArray[np.float64]

MODES: Final = 16

ROUNDS: Final = 25
"""Of fitting and solving; after the twentieth the held-back faces gain nothing."""

RIGID_ROUNDS: Final = 10
"""Rounds before there are modes: mean and poses first, or a mode would learn to be a turn."""

DEPTH_RIDGE: Final = 20.0
"""Faces' worth of belief that a mode moves no point in depth, which few of the poses can see."""

LEAST_NOISE: Final = 1e-3
"""No point is trusted better than this, in outer-eye distances: people do not click that well."""

_START_NOISE: Final = 0.05
_START_DEPTH: Final = 0.9
"""How far the ears lie behind the nose in the first mean; what is learnt replaces it."""


def learn(
    points_xy: npt.NDArray[np.floating], *, modes: int = MODES, rounds: int = ROUNDS
) -> PointModel:
    """Mean, modes and noise under which these faces, and their mirror images, are most probable.

    Expectation maximisation: fit the model to every face, then solve for the mean and modes that
    explain all faces from those poses and weights. The first mean is the average of the faces, laid
    on an ellipsoid; the first modes are the principal components of what the mean leaves over.

    Args:
        points_xy: (N, 68, 2) pixels, iBUG order.
        modes: how many.
        rounds: of fitting and solving.

    Source: Torresani, Hertzmann and Bregler, PAMI 2008, with a noise for each point and the poses
    by Gauss-Newton.
    """
    given = np.asarray(points_xy, np.float64)
    faces = np.concatenate([given, given[:, SWAP] * [-1.0, 1.0]])
    model = _first(faces)
    for done in range(rounds):
        if done == min(RIGID_ROUNDS, rounds - 1):
            model = _with_modes(model, faces, modes)
        model = _improved(model, faces)
    return _facing(model, faces)


def _first(faces: Float64) -> PointModel:
    eyes = np.linalg.norm(faces[:, OUTER_CORNERS[1]] - faces[:, OUTER_CORNERS[0]], axis=1)
    flat = ((faces - faces.mean(axis=1, keepdims=True)) / eyes[:, None, None]).mean(axis=0)
    reach = ((flat / np.abs(flat).max(axis=0)) ** 2).sum(axis=1)
    depth = _START_DEPTH * (1.0 - np.sqrt(np.maximum(1.0 - reach / 1.5, 0.0)))
    return _standard(
        np.column_stack([flat, depth]), np.zeros((0, POINTS, 3)), np.full(POINTS, _START_NOISE)
    )


def _with_modes(model: PointModel, faces: Float64, modes: int) -> PointModel:
    rest = (model.fit(faces).upright_xy - model.mean[:, :2]).reshape(len(faces), -1)
    _, size, axes = np.linalg.svd(rest, full_matrices=False)
    flat = (size[:modes, None] * axes[:modes] / np.sqrt(len(faces))).reshape(modes, POINTS, 2)
    return _standard(model.mean, np.pad(flat, ((0, 0), (0, 0), (0, 1))), model.noise)


def _improved(model: PointModel, faces: Float64) -> PointModel:
    """One round: fit, then the mean, modes and noise that explain all faces best."""
    fits = model.fit(faces)
    seen_NP2 = (faces - fits.centre_xy[:, None]) / fits.scale_px[:, None, None]
    terms_NT = np.column_stack([np.ones(len(faces)), fits.weights])
    spread_NKK = _spread(model, fits)
    bases_TP3 = _solved(fits, seen_NP2, terms_NT, spread_NKK)
    noise = _noise(fits, seen_NP2, terms_NT, spread_NKK, bases_TP3)
    weights_KK = (fits.weights[:, :, None] * fits.weights[:, None] + spread_NKK).mean(axis=0)
    # with these the weights have unit variance again
    modes = np.einsum("kl,kpi->lpi", np.linalg.cholesky(weights_KK), bases_TP3[1:])
    return _standard(bases_TP3[0], modes, noise)


def _spread(model: PointModel, fits: Fits) -> Float64:
    """(N, K, K): covariance of the weights that a fit leaves open, given its pose."""
    faces, modes = fits.weights.shape
    flat = np.matmul(model.modes.reshape(1, -1, 3), fits.rotation[:, :2].swapaxes(1, 2))
    sure = flat.reshape(faces, modes, POINTS, 2) / model.noise[:, None]
    sure = sure.reshape(faces, modes, 2 * POINTS)
    spread: Float64 = np.linalg.inv(np.matmul(sure, sure.swapaxes(1, 2)) + np.eye(modes))
    return spread


def _solved(fits: Fits, seen_NP2: Float64, terms_NT: Float64, spread_NKK: Float64) -> Float64:
    """(T, P, 3): mean and modes by least squares; one system for all points, three axes each."""
    products_NTT = terms_NT[:, :, None] * terms_NT[:, None]
    products_NTT[:, 1:, 1:] += spread_NKK
    camera_N23 = fits.rotation[:, :2]
    square_N33 = np.matmul(camera_N23.swapaxes(1, 2), camera_N23)
    system = np.einsum("nab,nij->aibj", products_NTT, square_N33, optimize=True)
    wanted = np.einsum("na,npi->aip", terms_NT, np.matmul(seen_NP2, camera_N23), optimize=True)
    count = terms_NT.shape[1]
    ridge = np.zeros((count, 3))
    ridge[1:, 2] = DEPTH_RIDGE
    solved = np.linalg.solve(
        system.reshape(3 * count, 3 * count) + np.diag(ridge.ravel()),
        wanted.reshape(3 * count, POINTS),
    )
    return solved.reshape(count, 3, POINTS).transpose(0, 2, 1)


def _noise(
    fits: Fits, seen_NP2: Float64, terms_NT: Float64, spread_NKK: Float64, bases_TP3: Float64
) -> Float64:
    """(P,): standard deviation of what is left of a coordinate, open weights included."""
    camera_N32 = fits.rotation[:, :2].swapaxes(1, 2)
    shapes_NP3 = np.einsum("nt,tpi->npi", terms_NT, bases_TP3, optimize=True)
    rest_NP2 = seen_NP2 - np.matmul(shapes_NP3, camera_N32)
    moves_NKP2 = np.einsum("kpi,nic->nkpc", bases_TP3[1:], camera_N32, optimize=True)
    open_P = np.einsum("nkpc,nkl,nlpc->p", moves_NKP2, spread_NKK, moves_NKP2, optimize=True)
    noise = np.sqrt(((rest_NP2**2).sum(axis=(0, 2)) + open_P) / (2 * len(rest_NP2)))
    floored: Float64 = np.maximum(noise, LEAST_NOISE)
    return floored


def _standard(mean: Float64, modes: Float64, noise: Float64) -> PointModel:
    """The same faces in standard form: symmetric, eyes at the origin, modes by importance."""
    mean = (mean + mean[SWAP, :] * [-1.0, 1.0, 1.0]) / 2
    noise = np.sqrt((noise**2 + noise[list(SWAP)] ** 2) / 2)
    mean = mean - (mean[LEFT_EYE].mean(axis=0) + mean[RIGHT_EYE].mean(axis=0)) / 2
    unit = mean[OUTER_CORNERS[1], 0] - mean[OUTER_CORNERS[0], 0]
    mean, modes, noise = mean / unit, modes / unit, noise / unit
    flat = _without_pose(mean, modes.reshape(len(modes), 3 * POINTS))
    if len(flat):
        _, size, axes = np.linalg.svd(flat, full_matrices=False)
        flat = size[:, None] * axes
    return PointModel(mean=mean, modes=flat.reshape(-1, POINTS, 3), noise=noise)


def _without_pose(mean: Float64, flat: Float64) -> Float64:
    """(K, 3P) modes less what a shift, turn or growth of the mean does."""
    shifts = np.tile(np.eye(3), (POINTS, 1))
    turns = np.cross(np.eye(3)[:, None], mean).reshape(3, -1).T
    basis, _ = np.linalg.qr(np.column_stack([shifts, turns, mean.ravel()]))
    rest: Float64 = flat - (flat @ basis) @ basis.T
    return rest


def _facing(model: PointModel, faces: Float64) -> PointModel:
    """The same model, turned about x so that the faces look straight ahead on average."""
    away = model.fit(faces).rotation.mean(axis=0)[:, 2]
    nod = np.arctan2(-away[1], away[2])
    turn = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    return _standard(model.mean @ turn.T, model.modes @ turn.T, model.noise)
