"""What scores are worth: AUC, AP, EER, ACC, partial AUC, and how sure each is.

Letters in shapes: N units that are scored (videos, or frames), C clusters of units that are drawn
together (videos, or people), B resamples, U distinct scores.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import torch

from training.draws import Draws

if TYPE_CHECKING:
    import pandas as pd

METRICS: Final[Mapping[str, str]] = {
    "auc": "area under the ROC curve",
    "ap": "average precision, fakes being what is looked for",
    "eer": "equal error rate: where as many reals as fakes are taken for the other",
    "acc": "share that is right when a score of 0.5 or more says fake",
    "pauc": "area under the ROC curve up to a false alarm rate of 0.1, 0.5 being chance (McClish)",
}
"""Name -> meaning; for all but `eer` more is better."""

THRESHOLD: Final = 0.5
"""From this score on a unit is called fake. It is fixed before any score is seen."""

MOST_FALSE_ALARMS: Final = 0.1
"""Where the partial area ends."""

_LEVELS: Final = (2.5, 97.5)
_HELD: Final = 1 << 22

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The middle 95 % of what resampling gives; NaN where it cannot be told.

    Args:
        low: its lower end.
        high: its upper end.
        clusters: how many are drawn from, with replacement, as many as there are.
        resamples: how many of the resamples held both real and fake.
    """

    low: float = float("nan")
    high: float = float("nan")
    clusters: int = 0
    resamples: int = 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its intervals.

    Args:
        value: the number; NaN where it is undefined.
        videos: interval when videos are drawn.
        groups: interval when groups of people are drawn, each with all of its videos.
    """

    value: float
    videos: Interval = Interval()
    groups: Interval = Interval()


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Every metric of one set of scores.

    Args:
        real: how many units are real.
        fake: how many are fake.
        reason: why the metrics are NaN; empty where they are not.
        auc, ap, eer, acc, pauc: see `METRICS`.
    """

    real: int
    fake: int
    reason: str
    auc: Estimate
    ap: Estimate
    eer: Estimate
    acc: Estimate
    pauc: Estimate

    def __getitem__(self, name: str) -> Estimate:
        """The metric of that name."""
        if name not in METRICS:
            raise KeyError(name)
        estimate: Estimate = getattr(self, name)
        return estimate

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values; None where a number is undefined."""
        told: dict[str, Any] = plain(asdict(self))
        return told


def summary(
    label_N: npt.ArrayLike,
    score_N: npt.ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    videos: Sequence[str] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Summary:
    """Every metric, with 95 % intervals by resampling.

    Whatever cannot be computed is NaN, with the reason: a table never fails.

    Args:
        label_N: (N,) 0 real, 1 fake.
        score_N: (N,) more says fake; 0..1 for `acc` to mean something.
        groups: (N,) the people of each unit; None gives no interval over groups.
        videos: (N,) the video of each unit; None where each is a video of its own.
        bootstrap: resamples; 0 gives no intervals.
        seed: decides the resamples; the same for any machine.

    Raises:
        ValueError: the arguments differ in length.

    Source:
        Intervals: percentiles of the bootstrap of clusters. Partial area: McClish, "Analyzing a
        portion of the ROC curve", 1989.

    >>> found = summary([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], bootstrap=0)
    >>> found.auc.value, found.acc.value, found.eer.value
    (0.75, 0.5, 0.5)
    >>> summary([1, 1], [0.4, 0.9]).reason
    'nothing real to compare with'
    """
    label = np.asarray(label_N, np.int64)
    score = np.asarray(score_N, np.float64)
    drawn = {"videos": range(len(label)) if videos is None else videos, "groups": groups}
    if any(len(each) != len(label) for each in (score, *drawn.values()) if each is not None):
        raise ValueError("labels, scores, groups and videos differ in length")
    reason = _unfit(label, score)
    values = dict.fromkeys(METRICS, float("nan")) if reason else _values(label, score)
    intervals: dict[str, Mapping[str, Interval]] = {}
    if bootstrap and not reason:
        curve = _Curve(label, score)
        for kind, names in drawn.items():
            if names is not None:
                cluster_N = np.unique(np.asarray(names), return_inverse=True)[1]
                intervals[kind] = _intervals(curve, label, cluster_N, bootstrap, seed)
    estimates = {
        name: Estimate(
            value=value,
            **{kind: each[name] for kind, each in intervals.items()},
        )
        for name, value in values.items()
    }
    fake = int(label.sum())
    return Summary(real=len(label) - fake, fake=fake, reason=reason, **estimates)


def roc(label_N: npt.ArrayLike, score_N: npt.ArrayLike) -> tuple[Float, Float]:
    """The ROC curve: false alarm rate and detection rate, both rising from 0 to 1.

    Returns:
        Two arrays of equal length; empty where real or fake is missing.

    >>> [axis.tolist() for axis in roc([0, 1], [0.2, 0.7])]
    [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    """
    from sklearn.metrics import roc_curve

    label, score = np.asarray(label_N, np.int64), np.asarray(score_N, np.float64)
    if _unfit(label, score):
        return np.empty(0), np.empty(0)
    false_alarms, detections, _ = roc_curve(label, score)
    return false_alarms, detections


def frame_scores(faces: "pd.DataFrame") -> "pd.DataFrame":
    """One row a frame: the largest score of its faces.

    Args:
        faces: `key`, `frame_index` and `score`, one row a face.

    Returns:
        `key`, `frame_index`, `score` and `faces`, their number, in order of key and frame.
    """
    grouped = faces.groupby(["key", "frame_index"], sort=True)["score"]
    return grouped.agg(score="max", faces="size").reset_index()


def video_scores(faces: "pd.DataFrame") -> "pd.DataFrame":
    """One row a video: the mean over its frames of the largest score of each frame's faces.

    Args:
        faces: `key`, `frame_index` and `score`, one row a face.

    Returns:
        `key`, `score`, `frames` and `faces`, their numbers, in order of key.

    Source:
        Shiohara and Yamasaki, "Detecting deepfakes with self-blended images", CVPR 2022, whose
        protocol the paper compares under.

    >>> import pandas as pd
    >>> faces = {"key": ["a"] * 3, "frame_index": [0, 0, 5], "score": [0.25, 0.75, 0.25]}
    >>> video_scores(pd.DataFrame(faces)).to_dict("records")
    [{'key': 'a', 'score': 0.5, 'frames': 2, 'faces': 3}]
    """
    grouped = frame_scores(faces).groupby("key", sort=True)
    return grouped.agg(
        score=("score", "mean"), frames=("score", "size"), faces=("faces", "sum")
    ).reset_index()


def _unfit(label_N: Int, score_N: Float) -> str:
    if not len(label_N):
        return "nothing was scored"
    if not np.isin(label_N, (0, 1)).all():
        return "some labels are neither real nor fake"
    if not np.isfinite(score_N).all():
        return f"{int((~np.isfinite(score_N)).sum())} scores are not finite"
    if label_N.all():
        return "nothing real to compare with"
    return "" if label_N.any() else "nothing fake to find"


def _values(label_N: Int, score_N: Float) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    found = {
        "auc": roc_auc_score(label_N, score_N),
        "ap": average_precision_score(label_N, score_N),
        "eer": _equal_error(*(axis[None] for axis in roc(label_N, score_N)))[0],
        "acc": ((score_N >= THRESHOLD) == label_N).mean(),
        "pauc": roc_auc_score(label_N, score_N, max_fpr=MOST_FALSE_ALARMS),
    }
    return {name: float(found[name]) for name in METRICS}


class _Curve:
    """The metrics under weights, for many weightings at once: what scikit-learn does one by one.

    The scores are sorted once; each resample then costs a few sums.
    """

    def __init__(self, label_N: Int, score_N: Float) -> None:
        self._order_N = np.argsort(-score_N, kind="stable")
        descending = score_N[self._order_N]
        self._starts_U = np.flatnonzero(np.diff(descending, prepend=np.inf))
        self._fake_N = (label_N[self._order_N] == 1).astype(np.float64)
        self._right_N = ((score_N >= THRESHOLD) == label_N).astype(np.float64)

    def __call__(self, weight_BN: Float) -> dict[str, Float]:
        """Every metric, (B,) each; NaN where a weighting leaves nothing real or nothing fake."""
        sorted_BN = weight_BN[:, self._order_N]
        fakes_BU = np.add.reduceat(sorted_BN * self._fake_N, self._starts_U, axis=1).cumsum(1)
        all_BU = np.add.reduceat(sorted_BN, self._starts_U, axis=1).cumsum(1)
        reals_BU = all_BU - fakes_BU
        with np.errstate(invalid="ignore", divide="ignore"):
            hits_BU = _from_zero(fakes_BU / fakes_BU[:, -1:])
            alarms_BU = _from_zero(reals_BU / reals_BU[:, -1:])
            precision_BU = np.where(all_BU > 0, fakes_BU / all_BU, 0.0)
            found = {
                "auc": _area(alarms_BU, hits_BU),
                "ap": (np.diff(hits_BU) * precision_BU).sum(1),
                "eer": _equal_error(alarms_BU, hits_BU),
                "acc": weight_BN @ self._right_N / all_BU[:, -1],
                "pauc": _partial_area(alarms_BU, hits_BU),
            }
        is_one_sided = (fakes_BU[:, -1] == 0) | (reals_BU[:, -1] == 0)
        return {name: np.where(is_one_sided, np.nan, found[name]) for name in METRICS}


def _from_zero(rate_BU: Float) -> Float:
    return np.pad(rate_BU, ((0, 0), (1, 0)))


def _area(x_BU: Float, y_BU: Float) -> Float:
    area: Float = (np.diff(x_BU) * (y_BU[:, 1:] + y_BU[:, :-1])).sum(1) / 2
    return area


def _partial_area(alarms_BU: Float, hits_BU: Float) -> Float:
    most = MOST_FALSE_ALARMS
    width_BU = np.diff(alarms_BU)
    inside_BU = np.clip(most - alarms_BU[:, :-1], 0.0, width_BU)
    share_BU = np.divide(inside_BU, width_BU, out=np.zeros_like(inside_BU), where=width_BU > 0)
    first_BU = hits_BU[:, :-1]
    last_BU = first_BU + share_BU * np.diff(hits_BU)
    area_B = (inside_BU * (first_BU + last_BU)).sum(1) / 2
    least = most**2 / 2
    scaled: Float = (1 + (area_B - least) / (most - least)) / 2
    return scaled


def _equal_error(alarms_BU: Float, hits_BU: Float) -> Float:
    """Where the line between two neighbours of the curve meets alarms = 1 - hits."""
    excess_BU = alarms_BU + hits_BU - 1.0  # from -1 to 1, never falling
    after_B1 = np.argmax(excess_BU >= 0, axis=1)[:, None].clip(1)
    before_B1 = after_B1 - 1
    x0, x1 = (np.take_along_axis(alarms_BU, at, 1)[:, 0] for at in (before_B1, after_B1))
    d0, d1 = (np.take_along_axis(excess_BU, at, 1)[:, 0] for at in (before_B1, after_B1))
    found: Float = x0 - d0 / (d1 - d0) * (x1 - x0)
    return found


def _intervals(
    curve: _Curve, label_N: Int, cluster_N: Int, bootstrap: int, seed: int
) -> dict[str, Interval]:
    clusters = int(cluster_N.max()) + 1
    sides = [len(np.unique(cluster_N[label_N == label])) for label in (0, 1)]
    if min(sides) < 2:
        # One cluster drawn again and again says nothing of how others would do.
        return dict.fromkeys(METRICS, Interval(clusters=clusters))
    parts = [
        curve(drawn_BC[:, cluster_N])
        for drawn_BC in _resamples(clusters, bootstrap, seed, len(label_N))
    ]
    made = {}
    for name in METRICS:
        values = np.concatenate([part[name] for part in parts])
        known = values[~np.isnan(values)]
        low, high = np.percentile(known, _LEVELS) if len(known) else (np.nan, np.nan)
        made[name] = Interval(
            low=float(low), high=float(high), clusters=clusters, resamples=len(known)
        )
    return made


def _resamples(clusters: int, replicates: int, seed: int, units: int) -> Iterator[Float]:
    """How often each cluster is drawn, (b, C), all b together being the replicates."""
    most = max(1, _HELD // max(clusters, units))
    for first in range(0, replicates, most):
        replicate_B = torch.arange(first, min(first + most, replicates))
        drawn_BC = Draws(seed, 0, replicate_B).integers("bootstrap", clusters, high=clusters)
        flat = drawn_BC + torch.arange(len(replicate_B))[:, None] * clusters
        counts = torch.bincount(flat.flatten(), minlength=len(replicate_B) * clusters)
        yield counts.reshape(-1, clusters).numpy().astype(np.float64)


def plain(value: Any) -> Any:
    """The same with None for NaN, which JSON does not have.

    >>> plain({"auc": float("nan"), "real": 3})
    {'auc': None, 'real': 3}
    """
    if isinstance(value, float):
        return None if np.isnan(value) else value
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
