"""From scores of faces to the figures of a paper: what a unit is, and which are compared.

video: 32 frames evenly spaced, the largest score of a frame's faces, the mean over frames; a unit
is a video. frame: a unit is a frame.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from training import metrics, splits
from training.metrics import Summary, plain

if TYPE_CHECKING:
    import pandas as pd

FRAMES: Final = 32
"""Of each video, evenly spaced."""

ALL: Final = "all methods"
"""In place of a method: every fake of the dataset."""

Protocol = Literal["video", "frame"]
Against = Literal["all reals", "its originals"]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many videos an AUC rests on, and how many it should.

    Args:
        asked: videos that were to be scored.
        scored: those that were.
        missing: why -> how many were not.
    """

    asked: int
    scored: int
    missing: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.missing.items())
        return f"{self.scored:,} of {self.asked:,}" + (f" ({why})" if why else "")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The fakes of one method against reals of the same dataset.

    Args:
        dataset: of all of them.
        method: of the fakes, or `ALL`.
        against: all reals of the dataset, or those that the fakes were made from.
        coverage: of the videos behind it.
        summary: every metric.
        auc_missing: AUC of videos where one without a score counts as 0.5, as self-blending's
            protocol has it; NaN in the frame protocol.
        roc: false alarm rates and detection rates.
    """

    dataset: str
    method: str
    against: Against
    coverage: Coverage
    summary: Summary
    auc_missing: float
    roc: tuple[metrics.Float, metrics.Float]

    def as_json(self) -> dict[str, Any]:
        """All but the curve as plain values."""
        return {
            "dataset": self.dataset,
            "method": self.method,
            "against": self.against,
            "videos_asked": self.coverage.asked,
            "videos_scored": self.coverage.scored,
            "videos_missing": dict(self.coverage.missing),
            "auc_missing_at_half": plain(self.auc_missing),
            **self.summary.as_json(),
        }


def units(faces: "pd.DataFrame", videos: "pd.DataFrame", protocol: Protocol) -> "pd.DataFrame":
    """One row a unit: its score beside what is known of its video.

    Args:
        faces: as `training.scoring.score_faces` gives them.
        videos: with `key` and whatever else is wanted of each.
        protocol: what a unit is.

    >>> import pandas as pd
    >>> faces = {"key": ["a", "a"], "frame_index": [0, 5], "score": [0.25, 0.75]}
    >>> videos = pd.DataFrame({"key": ["a", "b"], "label": [1, 0]})
    >>> units(pd.DataFrame(faces), videos, "video")[["key", "label", "score"]].values.tolist()
    [['a', 1, 0.5]]
    >>> len(units(pd.DataFrame(faces), videos, "frame"))
    2
    """
    scores = metrics.video_scores(faces) if protocol == "video" else metrics.frame_scores(faces)
    return scores.merge(videos, on="key", how="left", validate="many_to_one")


def compare(
    faces: "pd.DataFrame",
    videos: "pd.DataFrame",
    protocol: Protocol,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    originals: bool = True,
) -> list[Comparison]:
    """Every method of every dataset, then all methods of it together.

    Args:
        faces: as `training.scoring.score_faces` gives them.
        videos: those that were to be scored, with `key`, `dataset`, `compression`, `method`,
            `label`, `original`, `group` and `status`.
        protocol: what a unit is.
        bootstrap: resamples behind each interval.
        seed: of the resamples.
        originals: also compare each method's fakes with the reals that they were made from alone.
    """
    known = named(videos)
    made = units(faces, known, protocol)
    reasons = missing(faces, known)
    found = []
    for dataset, method, against, here in _sets(known, originals=originals):
        of_set = made[made["key"].isin(here["key"])]
        why = [reasons[key] for key in here["key"] if key in reasons]
        groups = of_set["people"].tolist() if (here["people"] != "").all() else None
        found.append(
            Comparison(
                dataset=dataset,
                method=method,
                against=against,
                coverage=Coverage(
                    asked=len(here),
                    scored=len(here) - len(why),
                    missing={reason: why.count(reason) for reason in sorted(set(why))},
                ),
                summary=metrics.summary(
                    of_set["label"],
                    of_set["score"],
                    groups,
                    videos=of_set["key"].tolist(),
                    bootstrap=bootstrap,
                    seed=seed,
                ),
                auc_missing=_with_missing(of_set, here) if protocol == "video" else float("nan"),
                roc=metrics.roc(of_set["label"], of_set["score"]),
            )
        )
    return found


def named(videos: "pd.DataFrame") -> "pd.DataFrame":
    """The videos with names to put into a table, and the people of each.

    A dataset in several compressions counts as that many datasets. `people` is empty where nothing
    tells who is who.
    """
    dataset = videos["dataset"].where(videos["dataset"] != "", "unnamed")
    several = videos.groupby(dataset)["compression"].transform("nunique") > 1
    compression = videos["compression"].where(videos["compression"] != "", "unknown compression")
    told = ((videos["group"] != "") | (videos["original"] != "")).any()
    return videos.assign(
        dataset=dataset.where(~several, dataset + " " + compression),
        method=videos["method"].where(videos["method"] != "", "unnamed"),
        people=splits.people(videos) if told else "",
    )


def missing(faces: "pd.DataFrame", videos: "pd.DataFrame") -> dict[str, str]:
    """Key -> why, of the videos that have no score: how their extraction ended."""
    scored = set(faces["key"])
    told = zip(videos["key"], videos["status"], strict=True)
    return {
        key: status if status != "ok" else "no face in the shards"
        for key, status in told
        if key not in scored
    }


def _sets(
    videos: "pd.DataFrame", *, originals: bool
) -> Iterator[tuple[str, str, Against, "pd.DataFrame"]]:
    for dataset in sorted(set(videos["dataset"])):
        here = videos[videos["dataset"] == dataset]
        is_fake = here["label"] == 1
        for method in sorted(set(here["method"][is_fake])):
            of_method = is_fake & (here["method"] == method)
            yield dataset, method, "all reals", here[of_method | ~is_fake]
            if originals:
                made_from = ~is_fake & here["key"].isin(here["original"][of_method])
                yield dataset, method, "its originals", here[of_method | made_from]
        yield dataset, ALL, "all reals", here


def _with_missing(made: "pd.DataFrame", asked: "pd.DataFrame") -> float:
    score = asked["key"].map(made.set_index("key")["score"]).fillna(metrics.THRESHOLD)
    return metrics.summary(asked["label"], score, bootstrap=0).auc.value
