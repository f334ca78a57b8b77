"""The files that `evaluate` leaves; `results.json` comes last.

results.json          every figure, with its interval and what it rests on
scores.parquet        one row a scored face and perturbation
videos.csv            one row a video: its score, or why it has none
metrics.csv           one row a comparison and perturbation
roc.png, roc.svg, robustness.png, robustness.svg
report.html           all of it to read, in one file
"""

import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facekit import results_folder
from facekit.drawings import files as pictures
from facekit.errors import MissingDevice
from facekit.shards import publishing
from training.evaluation_figures import draw
from training.evaluation_report import render
from training.metrics import METRICS, THRESHOLD, plain
from training.protocols import Comparison

if TYPE_CHECKING:
    import pandas as pd

    from training.evaluate import Evaluation

FORMAT: Final = 1
"""Version of results.json."""

RESULTS: Final = "results.json"

_NEEDED: Final = {"matplotlib": "matplotlib", "pyarrow": "pyarrow"}


def require_writable(out: Path) -> None:
    """Refuse before hours of scoring what could not be written after them.

    Raises:
        BadInput: the folder cannot be made.
        MissingDevice: a package that writes one of the files is not installed.
    """
    for module, package in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise MissingDevice(f"--out needs {package}: pip install {package}")
    results_folder.begin(out, RESULTS)


def write(found: "Evaluation", out: Path) -> list[Path]:
    """Write everything into a folder.

    Args:
        found: what to write.
        out: the folder; files of these names in it are replaced.

    Returns:
        The files.

    Raises:
        BadInput, MissingDevice: as `require_writable`.
        DiskFull: the disk ran out.
    """
    require_writable(out)
    drawn = draw(found)
    texts = {
        "videos.csv": _csv(found.videos),
        "metrics.csv": _csv(_metrics(found)),
        "report.html": render(found, drawn),
    }
    files = {**pictures(drawn), **{name: text.encode() for name, text in texts.items()}}
    written = results_folder.write(out, files)
    with publishing(out / "scores.parquet") as draft:
        found.faces.to_parquet(draft, index=False)
    last = results_folder.write(out, {RESULTS: rendered(found).encode()})
    return [*written, out / "scores.parquet", *last]


def rendered(found: "Evaluation") -> str:
    """The text of results.json: the same for the same scores, on any machine."""
    return json.dumps(as_json(found), indent=1, sort_keys=True, allow_nan=False) + "\n"


def as_json(found: "Evaluation") -> dict[str, Any]:
    """Everything as plain values; None where a number is undefined."""
    asked = found.asked
    content = {
        "facekit_evaluation": FORMAT,
        "run": {
            "name": asked.run,
            "snapshot": asked.which,
            "step": found.loaded.step,
            "sha256": found.loaded.sha256,
            "config": found.loaded.config.as_json(),
        },
        "shards": dict(asked.shards),
        "protocol": {
            "unit": asked.protocol,
            "frames": asked.frames,
            "split": asked.split,
            "videos_used": dict(found.part.told),
            "videos_of_people_seen": found.part.seen,
            "threshold": THRESHOLD,
            "bootstrap": asked.bootstrap,
        },
        "metrics": dict(METRICS),
        "comparisons": [each.as_json() for each in found.comparisons],
        "average_over_datasets": {name: found.average(name) for name in METRICS},
        "perturbed": [
            {
                "perturbation": each.how.name,
                "level": each.how.level,
                "strength": each.how.strength,
                "comparisons": [one.as_json() for one in each.comparisons],
            }
            for each in found.perturbed
        ],
        "localisation": {
            name: dict(vars(each), missing=dict(each.missing))
            for name, each in found.localisation.items()
        },
        "unlabelled": list(found.unlabelled),
        "missing": {
            str(row["key"]): row["missing"]
            for row in found.videos.to_dict("records")
            if row["missing"]
        },
    }
    told: dict[str, Any] = plain(content)
    return told


def _metrics(found: "Evaluation") -> "pd.DataFrame":
    import pandas as pd

    rows = [*_rows("none", 0, found.comparisons)]
    for each in found.perturbed:
        rows += _rows(each.how.name, each.how.level, each.comparisons)
    return pd.DataFrame(rows)


def _rows(
    perturbation: str, level: int, comparisons: Iterable[Comparison]
) -> Iterator[Mapping[str, object]]:
    for each in comparisons:
        yield {
            "perturbation": perturbation,
            "level": level,
            "dataset": each.dataset,
            "method": each.method,
            "against": each.against,
            "videos_asked": each.coverage.asked,
            "videos_scored": each.coverage.scored,
            "real": each.summary.real,
            "fake": each.summary.fake,
            **{
                f"{name}{suffix}": value
                for name in METRICS
                for suffix, value in (
                    ("", each.summary[name].value),
                    ("_low_videos", each.summary[name].videos.low),
                    ("_high_videos", each.summary[name].videos.high),
                    ("_low_people", each.summary[name].groups.low),
                    ("_high_people", each.summary[name].groups.high),
                )
            },
            "reason": each.summary.reason,
        }


def _csv(rows: "pd.DataFrame") -> str:
    return str(rows.to_csv(index=False, na_rep="NaN", lineterminator="\n"))
