"""How far two sources of AU labels agree, action unit by action unit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from facekit import text_lines
from facekit.text_lines import listed
from pipelines.label_joining import Unjoined

if TYPE_CHECKING:
    import pandas as pd

MEASURES: Final = (
    *("agreement", "kappa", "f1", "clip_kappa"),
    *("intensity_mae", "intensity_pearson", "intensity_icc"),
)
"""The fields of `AuAgreement` of which means are taken."""

_TITLES: Final = dict(
    zip(MEASURES, ("agree", "kappa", "F1", "clip kappa", "MAE", "r", "ICC"), strict=True)
)


@dataclass(frozen=True, kw_only=True)
class AuAgreement:
    """How far A and the reference B agree on one action unit; NaN where a measure is undefined.

    Args:
        au: its name.
        both: faces on which both say that it occurs.
        only_a: faces on which A alone says so.
        only_b: faces on which B alone says so.
        neither: faces on which both say that it does not.
        unknown_in_a: joined faces whose occurrence A does not know; they do not count.
        unknown_in_b: the same of B.
        agreement: share of faces with the same label.
        kappa: Cohen's kappa over all faces.
        f1: F1 of A with B as the reference.
        clip_kappa: mean of the kappas of single videos, over those where it is defined.
        clips: number of these.
        intensities: joined faces with an intensity on both sides.
        intensity_mae: their mean absolute difference.
        intensity_pearson: their correlation.
        intensity_icc: their intraclass correlation ICC(3,1).
    """

    au: str
    both: int
    only_a: int
    only_b: int
    neither: int
    unknown_in_a: int
    unknown_in_b: int
    agreement: float
    kappa: float
    f1: float
    clip_kappa: float
    clips: int
    intensities: int
    intensity_mae: float
    intensity_pearson: float
    intensity_icc: float

    @property
    def faces(self) -> int:
        """Faces labelled on both sides."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def positives_a(self) -> int:
        """Of these, on which A says that it occurs."""
        return self.both + self.only_a

    @property
    def positives_b(self) -> int:
        """Of these, on which B says so."""
        return self.both + self.only_b

    def as_row(self) -> dict[str, str | int | float]:
        """Every number by name."""
        counts = ("faces", "positives_a", "positives_b")
        return {"au": self.au, **{name: getattr(self, name) for name in counts}, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class AuComparison:
    """What `compare_au` found; plain values, so that it can be written as JSON.

    Args:
        a: the first source, as given.
        b: the second, the reference.
        au_mode_a: how the labels of A were made, as in `schema.Provenance`.
        au_mode_b: the same of B.
        videos: number of videos on both sides.
        faces: number of faces on both sides.
        videos_only_in_a: keys of videos that B lacks.
        videos_only_in_b: keys of videos that A lacks.
        unjoined: what of the common videos is on one side alone.
        aus: one entry an action unit that both sides have, in order of A.
        aus_only_in_a: names of action units that B lacks.
        aus_only_in_b: names of action units that A lacks.
        min_positives: faces on which B must see an action unit for it to count in `frequent`.
    """

    a: str
    b: str
    au_mode_a: str
    au_mode_b: str
    videos: int
    faces: int
    videos_only_in_a: Sequence[str]
    videos_only_in_b: Sequence[str]
    unjoined: Unjoined
    aus: Sequence[AuAgreement]
    aus_only_in_a: Sequence[str]
    aus_only_in_b: Sequence[str]
    min_positives: int

    @property
    def frequent(self) -> list[AuAgreement]:
        """The action units that B sees on at least `min_positives` faces."""
        return [au for au in self.aus if au.positives_b >= self.min_positives]

    def means(self) -> dict[str, dict[str, float]]:
        """Each of `MEASURES`, averaged over `all` and over the `frequent` action units.

        Where a measure is undefined it does not count; NaN where it is nowhere defined.
        """
        return {"all": _means(self.aus), "frequent": _means(self.frequent)}

    def to_pandas(self) -> "pd.DataFrame":
        """One row an action unit, every number of `AuAgreement.as_row`."""
        import pandas as pd

        return pd.DataFrame([au.as_row() for au in self.aus])

    def as_json(self) -> dict[str, object]:
        """Everything as plain JSON values; None where a measure is undefined."""
        return {
            **asdict(self),
            "aus": [_without_nan(au.as_row()) for au in self.aus],
            "means": {over: _without_nan(means) for over, means in self.means().items()},
            "frequent": [au.au for au in self.frequent],
        }

    def lines(self) -> list[str]:
        """Everything as text for a person."""
        return [
            f"A = {self.a} ({self.au_mode_a})",
            f"B = {self.b} ({self.au_mode_b}), the reference",
            f"{self.videos:,} videos and {self.faces:,} faces are on both sides",
            *self.unjoined.lines(),
            *listed("videos only in A", self.videos_only_in_a),
            *listed("videos only in B", self.videos_only_in_b),
            *listed("action units only in A", self.aus_only_in_a),
            *listed("action units only in B", self.aus_only_in_b),
            *text_lines.table("action units", [*self._au_rows(), *self._mean_rows()]),
        ]

    def _au_rows(self) -> list[dict[str, object]]:
        return [
            {
                "AU": au.au,
                "faces": au.faces,
                "unknown": self.faces - au.faces,
                "in A": au.positives_a,
                "in B": au.positives_b,
                **_rounded(au.as_row()),
            }
            for au in self.aus
        ]

    def _mean_rows(self) -> list[dict[str, object]]:
        means, frequent = self.means(), f"{len(self.frequent)} with {self.min_positives:,}+ in B"
        blank = dict.fromkeys(("faces", "unknown", "in A", "in B"))
        return [
            {"AU": f"mean of {len(self.aus)}", **blank, **_rounded(means["all"])},
            {"AU": f"mean of {frequent}", **blank, **_rounded(means["frequent"])},
        ]


def _means(aus: Sequence[AuAgreement]) -> dict[str, float]:
    values = {name: [getattr(au, name) for au in aus] for name in MEASURES}
    defined = {name: [v for v in vs if not math.isnan(v)] for name, vs in values.items()}
    return {name: fmean(vs) if vs else math.nan for name, vs in defined.items()}


def _rounded(values: Mapping[str, object]) -> dict[str, object]:
    """The measures under short titles, four digits of each."""
    return {title: _four_digits(values[name]) for name, title in _TITLES.items()}


def _four_digits(value: object) -> str | None:
    return None if not isinstance(value, float) or math.isnan(value) else f"{value:.4f}"


def _without_nan(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }
