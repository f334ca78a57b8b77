"""The files that `au_stats` leaves: stats.json, tables, figures, report. stats.json comes last."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from facekit import results_folder
from facekit.drawings import files as pictures
from pipelines.au_inference import Comparison, Estimate, Side
from pipelines.au_names import file_names, name_of
from pipelines.au_tables import Row, correlation_rows, overall_row, without_diagonal
from pipelines.figures import draw
from pipelines.report import render as report

if TYPE_CHECKING:
    from pipelines.au_stats import AUStats

FORMAT: Final = 1
"""Version of stats.json."""

STATS_NAME: Final = "stats.json"


def write(found: "AUStats", out: Path) -> list[Path]:
    """Write everything into a folder, which is made if it is not there.

    Args:
        found: what to write.
        out: the folder; files of these names in it are replaced.

    Returns:
        The files.

    Raises:
        BadInput: the folder cannot be written to.
        DiskFull: the disk ran out.
    """
    results_folder.begin(out, STATS_NAME)
    drawn = draw(found)
    texts = {**tables(found), "report.html": report(found, drawn), STATS_NAME: render(found)}
    files = {**pictures(drawn), **{name: text.encode() for name, text in texts.items()}}
    return results_folder.write(out, files)


def render(found: "AUStats") -> str:
    """The text of stats.json: the same for the same labels and options, on any machine."""
    return json.dumps(as_json(found), indent=1, sort_keys=True, allow_nan=False) + "\n"


def tables(found: "AUStats") -> dict[str, str]:
    """File name -> content of every CSV."""
    averages = found.to_pandas().to_dict("records")
    sides = {"real": [(each, each.real) for each in found.comparisons]}
    for each in found.comparisons:
        method = each.selection.method
        group = f"fakes called {method}" if method == "real" else method
        sides.setdefault(group, []).append((each, each.fake))
    names = file_names(sides)
    return {
        "average_intensity.csv": _csv({str(k): v for k, v in row.items()} for row in averages),
        "selection.csv": _csv(row for each in found.comparisons for row in _pairs(each)),
        **{
            f"correlation_{names[group]}.csv": _csv(
                row for each, side in listed for row in correlation_rows(each, side)
            )
            for group, listed in sides.items()
        },
    }


def as_json(found: "AUStats") -> dict[str, Any]:
    """Everything as plain values; None where a number is undefined.

    Keys are sorted, nothing of this machine is among them, and floats are written with the digits
    that tell them apart, so equal findings are equal bytes.
    """
    compared = {
        key for each in found.comparisons for p in each.selection.pairs for key in (p.real, p.fake)
    }
    counts = found.counts
    content = {
        "facekit_au_stats": FORMAT,
        "options": dataclasses.asdict(found.options),
        "labels": [dict(told) for told in found.provenance],
        "action_units": {name: name_of(name) for name in counts.au_names},
        "unlabelled": found.unlabelled,
        "left_out": {
            reason: {"videos": count, "such_as": found.matching.example[reason]}
            for reason, count in found.matching.left_out.items()
        },
        "tests": found.tests,
        "videos": [
            {
                "key": video.key,
                "label": video.label,
                "faces": int(faces),
                "labels_sha256": sha256,
                "compared": video.key in compared,
            }
            for video, faces, sha256 in zip(
                counts.videos, counts.faces_V.tolist(), counts.labels_sha256, strict=True
            )
        ],
        "comparisons": [_comparison(each) for each in found.comparisons],
    }
    return {name: _plain(part) for name, part in content.items()}


def _comparison(each: Comparison) -> dict[str, Any]:
    overall = overall_row(each)
    return {
        "method": each.selection.method,
        "volume": each.selection.volume,
        "pairs_available": each.selection.available,
        "pairs": len(each.selection.pairs),
        "identity_groups": each.groups,
        "au_names": list(each.au_names),
        "real": _side(each.real, len(each.au_names)),
        "fake": _side(each.fake, len(each.au_names)),
        "average_change": _estimate(each.average_change),
        "rate_change": _estimate(each.rate_change),
        "correlation_change": _estimate(each.correlation_change),
        "overall_change": _estimate(each.overall_change),
        "aus_weaker_in_fake": overall["aus_weaker_in_fake"],
        "aus_stronger_in_fake": overall["aus_stronger_in_fake"],
        "effect": each.effect_A.tolist(),
        "effect_groups": each.effect_groups_A.tolist(),
        "p": each.p_A.tolist(),
        "p_holm": each.p_holm_A.tolist(),
        "p_least": each.p_least,
        "p_is_exact": each.is_exact,
        "selection": [dataclasses.asdict(pair) for pair in each.selection.pairs],
    }


def _side(side: Side, aus: int) -> dict[str, Any]:
    return {
        "faces": side.faces,
        "known": side.known_A.tolist(),
        "both": side.both_AA.tolist(),
        "given": side.given_AA.tolist(),
        "groups": side.groups_A.tolist(),
        "correlation": side.correlation_AA.tolist(),
        "average": _estimate(side.average),
        "average_others": [without_diagonal(a, aus) for a in side.average.value.tolist()],
        "rate": _estimate(side.rate),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value.tolist(),
        "low": estimate.low.tolist(),
        "high": estimate.high.tolist(),
        "resamples": estimate.resamples.tolist(),
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value


def _pairs(each: Comparison) -> Iterable[Row]:
    for pair in each.selection.pairs:
        yield {
            "method": each.selection.method,
            "volume": each.selection.volume,
            **dataclasses.asdict(pair),
        }


def _csv(rows: Iterable[Mapping[str, object]]) -> str:
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, listed[0].keys(), lineterminator="\n")
    writer.writeheader()
    for row in listed:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: object) -> object:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value
