"""Two sources of AU labels, compared face by face: what `facekit compare-au` runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput
from facekit.shards import publishing
from pipelines import au_tally
from pipelines.au_agreement import AuAgreement, AuComparison
from pipelines.au_tally import AuTally
from pipelines.folders import shown
from pipelines.label_joining import Unjoined, same_faces, same_videos
from pipelines.label_sources import LabelSource, open_labels


def compare_au(
    a: str | Path,
    b: str | Path,
    *,
    min_positives: int = 100,
    out: str | Path | None = None,
    table: str | Path | None = None,
) -> AuComparison:
    """Say how far two sources of AU labels agree; B is the reference.

    Videos are joined by key, shards with OpenFace's CSVs by name, faces by frame and by the
    overlap of their boxes; see `pipelines.label_joining`. A label that is unknown on either side
    does not count, and is counted as unknown. Videos are read one after the other.

    Args:
        a: a shard folder, one shard or part; or OpenFace's CSVs, plain or gzipped: one, a folder
            that is searched through, or a glob.
        b: the same.
        min_positives: positive faces in B from which on an action unit counts in the second mean.
        out: PNG or SVG to draw; None draws none.
        table: CSV to write, one row an action unit; None writes none.

    Raises:
        BadInput: no such path; the two share no video, face or action unit; a CSV is not
            OpenFace's; names do not tell which CSV belongs to which video; `out` or `table`
            cannot be written.
        BadShard: a shard is damaged, missing, hostile, or of another format.
        DiskFull: the disk ran out.

    Example::

        facekit.compare_au("shards/", "openface_out/").means()["frequent"]["kappa"]
    """
    if min_positives < 0:
        raise BadInput(f"--min-positives must be 0 or more, not {min_positives}")
    _require_ending("--out", out, (".png", ".svg"))
    _require_ending("--table", table, (".csv",))
    with open_labels(a) as source_a, open_labels(b) as source_b:
        found = _compared(source_a, source_b, min_positives)
    if out is not None:
        from pipelines import agreement_plot

        agreement_plot.write(found, Path(out))
    if table is not None:
        _write_table(found, Path(table))
    return found


def _compared(a: LabelSource, b: LabelSource, min_positives: int) -> AuComparison:
    common = [name for name in a.au_names if name in b.au_names]
    if not common:
        raise BadInput(_nothing("action unit", a, b, a.au_names, b.au_names))
    pairs = same_videos(a, b)
    if not pairs:
        keys_a, keys_b = ([video.key for video in source.videos] for source in (a, b))
        raise BadInput(_nothing("video", a, b, keys_a, keys_b))
    tally, faces, unjoined = _tallied(a, b, pairs, common)
    if not faces:
        raise BadInput("; ".join([_nothing("face", a, b, (), ()), *unjoined.lines()]))
    for source, unknown_A in ((a, tally.unknown_a_A), (b, tally.unknown_b_A)):
        if (unknown_A == faces).all():
            raise BadInput(f"{shown(source.text)} knows no label of the {faces:,} common faces")
    found_a, found_b = ({pair[side] for pair in pairs} for side in (0, 1))
    return AuComparison(
        a=a.text,
        b=b.text,
        au_mode_a=a.au_mode,
        au_mode_b=b.au_mode,
        videos=len(pairs),
        faces=faces,
        videos_only_in_a=[video.key for video in a.videos if video.key not in found_a],
        videos_only_in_b=[video.key for video in b.videos if video.key not in found_b],
        unjoined=unjoined,
        aus=_per_au(common, tally),
        aus_only_in_a=[name for name in a.au_names if name not in common],
        aus_only_in_b=[name for name in b.au_names if name not in common],
        min_positives=min_positives,
    )


def _nothing(
    noun: str, a: LabelSource, b: LabelSource, in_a: Sequence[str], in_b: Sequence[str]
) -> str:
    """That the two have nothing in common, with the first of what each has."""
    sides = [
        f"{name} has {len(values):,}, such as {shown(values[0])}" if values else ""
        for name, values in (("A", in_a), ("B", in_b))
    ]
    told = "".join(f"; {side}" for side in sides if side)
    return f"{shown(a.text)} and {shown(b.text)} share no {noun}{told}"


def _tallied(
    a: LabelSource, b: LabelSource, pairs: Sequence[tuple[str, str]], aus: Sequence[str]
) -> tuple[AuTally, int, Unjoined]:
    """The counts over all common faces, how many these are, and what has no partner."""
    tally, faces, unjoined = AuTally(len(aus)), 0, Unjoined()
    units_a, units_b = ([source.au_names.index(name) for name in aus] for source in (a, b))
    for key_a, key_b in pairs:
        labels_a, labels_b = a.labels(key_a), b.labels(key_b)
        joined = same_faces(labels_a, labels_b)
        tally.add(
            labels_a.occurrence[joined.rows_a][:, units_a],
            labels_b.occurrence[joined.rows_b][:, units_b],
            labels_a.intensity[joined.rows_a][:, units_a],
            labels_b.intensity[joined.rows_b][:, units_b],
        )
        faces += len(joined.rows_a)
        unjoined += joined.unjoined
    return tally, faces, unjoined


def _per_au(aus: Sequence[str], tally: AuTally) -> list[AuAgreement]:
    columns: dict[str, Sequence[str] | npt.NDArray[np.number[Any]]] = {
        "au": aus,
        **dict(zip(("both", "only_a", "only_b", "neither"), tally.confusion_4A, strict=True)),
        "unknown_in_a": tally.unknown_a_A,
        "unknown_in_b": tally.unknown_b_A,
        "agreement": au_tally.agreement(tally.confusion_4A),
        "kappa": au_tally.kappa(tally.confusion_4A),
        "f1": au_tally.f1(tally.confusion_4A),
        "clip_kappa": tally.clip_kappa(),
        "clips": tally.clips_A,
        "intensities": tally.intensities_A,
        "intensity_mae": tally.mae(),
        "intensity_pearson": tally.pearson(),
        "intensity_icc": tally.icc(),
    }
    plain = [v.tolist() if isinstance(v, np.ndarray) else v for v in columns.values()]
    return [AuAgreement(**dict(zip(columns, row, strict=True))) for row in zip(*plain, strict=True)]


def _require_ending(option: str, path: str | Path | None, endings: Sequence[str]) -> None:
    if path is not None and Path(path).suffix.lower() not in endings:
        raise BadInput(f"{option} {path}: end its name in {' or '.join(endings)}")


def _write_table(found: AuComparison, path: Path) -> None:
    try:
        with publishing(path) as draft:
            found.to_pandas().to_csv(draft, index=False)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error
