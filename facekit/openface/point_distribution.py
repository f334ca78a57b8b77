"""68 points on a picture -> where OpenFace's 3-D face stands, and how it is deformed.

What is found for a face is the same to the bit whatever faces lie beside it. A matrix product may
round differently where a matrix does not begin on a full cache line, so each one that is multiplied
here is a whole number of lines long, and products of a few numbers are written out.

Tensor names end in their axes: N faces, P points, K modes, D the 6 numbers of a pose and the modes,
M the 3 coordinates of all points and C what fills them up to a cache line.
"""

from dataclasses import dataclass, field
from typing import Final

import torch

from facekit.openface import model_files
from facekit.openface.products import each

MAX_STEPS: Final = 1000
DAMPING: Final = 0.75
WORSE_STEPS: Final = 3
"""Steps without gain after which a fit is at its end."""

MIN_GAIN: Final = 0.999

_POSE: Final = 6
_LINE: Final = 8
"""Numbers of float64 in a cache line."""

_PAIRS: Final = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class PointModel:
    """A point distribution as tensors.

    Args:
        mean_3P: float64, mm; x, y and z of each point.
        modes_K3P: float64.
        variance_K: float64.
    """

    mean_3P: torch.Tensor
    modes_K3P: torch.Tensor
    variance_K: torch.Tensor
    modes_DC: torch.Tensor = field(init=False, repr=False)
    """The modes below six rows of zeros, and filled up to whole cache lines."""

    def __post_init__(self) -> None:
        flat_KM = self.modes_K3P.flatten(1)
        filled = torch.nn.functional.pad(flat_KM, (0, -flat_KM.shape[1] % _LINE, _POSE, 0))
        object.__setattr__(self, "modes_DC", filled)

    @classmethod
    def of(cls, points: model_files.PointDistribution, device: torch.device) -> "PointModel":
        """The model that a file holds, on a device."""
        mean_3P = torch.tensor(points.mean, device=device).reshape(3, -1)
        modes_K3P = torch.tensor(points.modes.T, device=device).reshape(-1, *mean_3P.shape)
        return cls(mean_3P, modes_K3P, torch.tensor(points.variances, device=device))

    def only(self, kept_P: torch.Tensor) -> "PointModel":
        """The model of some of the points: (P,) bool."""
        return PointModel(self.mean_3P[:, kept_P], self.modes_K3P[:, :, kept_P], self.variance_K)


@dataclass(frozen=True)
class Fit:
    """A 3-D face each, in weak perspective: `scale * rotation[:2] @ shape + shift` are its points.

    Args:
        scale_N: float64, px a mm.
        rotation_N33: float64.
        shift_N2: float64, px: where the middle of the model stands.
        local_NK: float64, parameters of the modes.
    """

    scale_N: torch.Tensor
    rotation_N33: torch.Tensor
    shift_N2: torch.Tensor
    local_NK: torch.Tensor

    def __getitem__(self, some_N: torch.Tensor | slice) -> "Fit":
        """The fits of some of the faces."""
        return Fit(*(values[some_N] for values in self.parts))

    @property
    def parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Its four tensors."""
        return self.scale_N, self.rotation_N33, self.shift_N2, self.local_NK


def fit(points_NP2: torch.Tensor, model: PointModel) -> Fit:
    """Find the model's face that is nearest to each set of points and likely for a face.

    Regularised Gauss-Newton steps, damped, until the error has ceased to fall. A point whose x is
    exactly 0 counts as not seen and takes no part.

    Args:
        points_NP2: float64, frame pixels, finite.
        model: with P points.

    Returns:
        A fit for each; it does not depend on the faces beside it.
    """
    seen_NP = points_NP2[..., 0] != 0.0
    seen_NP |= ~seen_NP.any(dim=1, keepdim=True)
    if bool(seen_NP.all()):
        return _Fitting(points_NP2, model).run()
    singly = [
        _Fitting(points_NP2[n : n + 1, seen_NP[n]], model.only(seen_NP[n])).run()
        for n in range(len(points_NP2))
    ]
    return Fit(*map(torch.cat, zip(*(one.parts for one in singly), strict=True)))


def displacement(local_NK: torch.Tensor, model: PointModel) -> torch.Tensor:
    """(N, 3, P) float64, mm: how faces of these parameters differ from the mean face."""
    step_ND = torch.nn.functional.pad(local_NK, (_POSE, 0))
    points = model.mean_3P.shape[1]
    moved_NC = each(step_ND[:, None], model.modes_DC.expand(len(step_ND), -1, -1))[:, 0]
    return moved_NC[:, : 3 * points].reshape(-1, 3, points)


def project(fitted: Fit, model: PointModel) -> torch.Tensor:
    """(N, P, 2) float64, frame pixels: the points of the fitted faces."""
    return _project(fitted, model.mean_3P + displacement(fitted.local_NK, model)).transpose(1, 2)


def geometry(local_NK: torch.Tensor, model: PointModel) -> torch.Tensor:
    """(N, 3 P + K) float64: displacements in mm, x before y before z, then the parameters."""
    return torch.cat([displacement(local_NK, model).flatten(1), local_NK], dim=1)


def euler_rad(rotation_N33: torch.Tensor) -> torch.Tensor:
    """(N, 3) float64: angles about x, y and z whose rotations, in this order, make up each."""
    r = rotation_N33
    return torch.stack(
        [
            torch.atan2(-r[:, 1, 2], r[:, 2, 2]),
            torch.asin(r[:, 0, 2].clamp(-1.0, 1.0)),
            torch.atan2(-r[:, 0, 1], r[:, 0, 0]),
        ],
        dim=1,
    )


class _Fitting:
    """Fits in progress; each face leaves when it is done."""

    def __init__(self, points_NP2: torch.Tensor, model: PointModel) -> None:
        self.points_N2P = points_NP2.transpose(1, 2).contiguous()
        self.model = model
        self.modes = len(model.variance_K)
        self.pull_D = torch.cat([points_NP2.new_zeros(_POSE), 1.0 / model.variance_K])
        # each mode's dot products with each, by pair of coordinates, laid out as normal equations
        size = _POSE + self.modes
        gram_9KK = torch.einsum("kap,lbp->abkl", model.modes_K3P, model.modes_K3P)
        self.gram_8Q = points_NP2.new_zeros(_LINE, size, size)
        for row, (a, b) in enumerate(_PAIRS):
            both = gram_9KK[a, b] if a == b else gram_9KK[a, b] + gram_9KK[b, a]
            self.gram_8Q[row, _POSE:, _POSE:] = both
        self.gram_8Q = self.gram_8Q.flatten(1)
        self.modes_MD = model.modes_DC[:, : model.mean_3P.numel()].T.contiguous()

    def run(self) -> Fit:
        """Step until every face is done."""
        points_N2P = self.points_N2P
        at = self._start()
        result = Fit(*map(torch.empty_like, at.parts))
        index_N = torch.arange(len(points_N2P), device=points_N2P.device)
        shape_N3P = self.model.mean_3P + displacement(at.local_NK, self.model)
        error_N = _error(points_N2P, at, shape_N3P)
        worse_N = torch.zeros_like(index_N)
        for step in range(1, MAX_STEPS + 1):
            at = self._step(points_N2P, at, shape_N3P)
            # OpenFace's own test: the new pose, but the face as it was before this step
            last_error_N, error_N = error_N, _error(points_N2P, at, shape_N3P)
            worse_N = worse_N + (MIN_GAIN * last_error_N < error_N)
            # NaN compares false: a face that cannot be fitted is not worth a thousand steps
            done_N = (worse_N >= WORSE_STEPS) | ~error_N.isfinite() | (step == MAX_STEPS)
            shape_N3P = self.model.mean_3P + displacement(at.local_NK, self.model)
            if bool(done_N.any()):
                for whole, part in zip(result.parts, at[done_N].parts, strict=True):
                    whole[index_N[done_N]] = part
                on_N = ~done_N
                at, points_N2P, shape_N3P = at[on_N], points_N2P[on_N], shape_N3P[on_N]
                error_N, worse_N, index_N = error_N[on_N], worse_N[on_N], index_N[on_N]
                if not len(index_N):
                    break
        return result

    def _start(self) -> Fit:
        points_N2P, mean_2P = self.points_N2P, self.model.mean_3P[:2]
        low_N2, high_N2 = points_N2P.amin(dim=2), points_N2P.amax(dim=2)
        ratio_N2 = (high_N2 - low_N2) / (mean_2P.amax(dim=1) - mean_2P.amin(dim=1))
        unit_33 = torch.eye(3, dtype=points_N2P.dtype, device=points_N2P.device)
        return Fit(
            (ratio_N2[:, 0] + ratio_N2[:, 1]) / 2.0,
            unit_33.repeat(len(points_N2P), 1, 1),
            (low_N2 + high_N2) / 2.0,
            points_N2P.new_zeros(len(points_N2P), self.modes),
        )

    def _step(self, points_N2P: torch.Tensor, at: Fit, shape_N3P: torch.Tensor) -> Fit:
        """One damped Gauss-Newton step.

        With A the two upper rows of the rotation times the scale, modes k and l meet in the normal
        equations as the sum over coordinates a, b of `(A' A)[a, b] * (mode_k[a] . mode_l[b])`;
        the dot products are known beforehand. Columns of the pose, and what is left to explain,
        meet a mode as `A' column . mode`.
        """
        count = len(points_N2P)
        rows_N23 = at.rotation_N33[:, :2] * at.scale_N[:, None, None]
        columns_N82P = self._columns(points_N2P, at, shape_N3P)
        by_coordinate = rows_N23[:, None, :, :, None]
        turned_N83P = (
            columns_N82P[:, :, 0, None] * by_coordinate[:, :, 0]
            + columns_N82P[:, :, 1, None] * by_coordinate[:, :, 1]
        )
        modes_MD = self.modes_MD.expand(count, -1, -1)
        with_modes_N8D = each(turned_N83P.flatten(2), modes_MD)
        columns_N8Q = columns_N82P.flatten(2)
        with_pose_N88 = each(columns_N8Q, columns_N8Q.transpose(1, 2))
        mix_N8 = points_N2P.new_zeros(count, _LINE)
        for row, (a, b) in enumerate(_PAIRS):
            mix_N8[:, row] = (
                rows_N23[:, 0, a] * rows_N23[:, 0, b] + rows_N23[:, 1, a] * rows_N23[:, 1, b]
            )
        size = len(self.pull_D)
        gram_8Q = self.gram_8Q.expand(count, -1, -1)
        normal_NDD = each(mix_N8[:, None], gram_8Q).reshape(count, size, size)
        normal_NDD[:, :_POSE] += with_modes_N8D[:, :_POSE]
        normal_NDD[:, :, :_POSE] += with_modes_N8D[:, :_POSE].transpose(1, 2)
        normal_NDD[:, :_POSE, :_POSE] += with_pose_N88[:, :_POSE, :_POSE]
        normal_NDD.diagonal(dim1=1, dim2=2).add_(self.pull_D)
        target_ND = with_modes_N8D[:, _POSE].clone()
        target_ND[:, :_POSE] += with_pose_N88[:, _POSE, :_POSE]
        target_ND[:, _POSE:] -= self.pull_D[_POSE:] * at.local_NK
        factor_NDD, _ = torch.linalg.cholesky_ex(normal_NDD)
        step_ND = DAMPING * torch.cholesky_solve(target_ND[:, :, None], factor_NDD)[:, :, 0]
        return Fit(
            at.scale_N + step_ND[:, 0],
            each(at.rotation_N33, _small_rotation(step_ND[:, 1:4])),
            at.shift_N2 + step_ND[:, 4:6],
            at.local_NK + step_ND[:, _POSE:],
        )

    def _columns(self, points_N2P: torch.Tensor, at: Fit, shape_N3P: torch.Tensor) -> torch.Tensor:
        """How the points move with scale, three turns and two shifts; then what is left to explain.

        (N, 8, 2, P), the last of them zero.
        """
        turned_N2P = _turn(at.rotation_N33, shape_N3P)
        scale_N11 = at.scale_N[:, None, None]
        x, y, z = (shape_N3P[:, i, None] for i in range(3))
        a, b, c = (at.rotation_N33[:, :2, i, None] * scale_N11 for i in range(3))
        columns_N82P = points_N2P.new_zeros(len(points_N2P), _LINE, *points_N2P.shape[1:])
        columns_N82P[:, 0] = turned_N2P
        columns_N82P[:, 1] = y * c - z * b
        columns_N82P[:, 2] = z * a - x * c
        columns_N82P[:, 3] = x * b - y * a
        columns_N82P[:, 4, 0] = 1.0
        columns_N82P[:, 5, 1] = 1.0
        columns_N82P[:, 6] = points_N2P - (scale_N11 * turned_N2P + at.shift_N2[:, :, None])
        return columns_N82P


def _turn(rotation_N33: torch.Tensor, shape_N3P: torch.Tensor) -> torch.Tensor:
    """(N, 2, P): x and y of turned faces."""
    x, y, z = (shape_N3P[:, i, None] for i in range(3))
    a, b, c = (rotation_N33[:, :2, i, None] for i in range(3))
    return a * x + b * y + c * z


def _project(at: Fit, shape_N3P: torch.Tensor) -> torch.Tensor:
    turned_N2P = _turn(at.rotation_N33, shape_N3P)
    return at.scale_N[:, None, None] * turned_N2P + at.shift_N2[:, :, None]


def _error(points_N2P: torch.Tensor, at: Fit, shape_N3P: torch.Tensor) -> torch.Tensor:
    flat_NQ = (_project(at, shape_N3P) - points_N2P).flatten(1)
    return each(flat_NQ[:, None], flat_NQ[:, :, None]).flatten().sqrt()


def _small_rotation(turn_N3: torch.Tensor) -> torch.Tensor:
    """The rotation nearest to the unit matrix plus the cross product with `turn`.

    In closed form: about that axis, by the angle whose tangent is its length.
    """
    x, y, z = turn_N3.unbind(dim=1)
    cos_N = 1.0 / (1.0 + x * x + y * y + z * z).sqrt()
    outer_N33 = turn_N3[:, :, None] * turn_N3[:, None]
    rotation_N33 = (cos_N * cos_N / (1.0 + cos_N))[:, None, None] * outer_N33
    x, y, z = x * cos_N, y * cos_N, z * cos_N
    cross_N9 = torch.stack([cos_N, -z, y, z, cos_N, -x, -y, x, cos_N], dim=1)
    return rotation_N33 + cross_N9.reshape(-1, 3, 3)
