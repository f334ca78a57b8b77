"""What the correlation of action units says about real and forged faces."""

import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facekit.errors import BadInput
from facekit.options import Statistics
from facekit.text_lines import section, table
from pipelines.au_counts import AUCounts, count
from pipelines.au_csv import CsvLabels
from pipelines.au_inference import FEW_GROUPS, FEWEST_GROUPS, SURE, Comparison, compare, corrected
from pipelines.au_labels import Labels, ShardLabels
from pipelines.au_matching import Matching, match, select
from pipelines.au_names import labelled
from pipelines.au_packing import Packing
from pipelines.au_tables import au_rows, overall_row, pair_rows

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AUStats:
    """What `au_stats` found.

    Args:
        options: how pairs were drawn and resampled.
        provenance: where the labels are from, one entry a source.
        counts: of every video, whether or not it was compared.
        matching: the fakes with their originals, and what was left out.
        comparisons: one a method and volume.
    """

    options: Statistics
    provenance: Sequence[Mapping[str, object]]
    counts: AUCounts
    matching: Matching
    comparisons: Sequence[Comparison]

    @property
    def unlabelled(self) -> list[str]:
        """The action units that are labelled on no face."""
        pairs = zip(self.counts.au_names, self.counts.labelled(), strict=True)
        return [name for name, is_labelled in pairs if not is_labelled]

    @property
    def tests(self) -> int:
        """How many tests the p-values are corrected for."""
        return sum(int((each.p_A >= 0).sum()) for each in self.comparisons)

    def to_pandas(self) -> "pd.DataFrame":
        """One row a method, volume and action unit, unlabelled ones included, with NaN.

        Differences are real minus fake; `*_low` and `*_high` end 95 % intervals; `average` is A_i
        with the diagonal, `average_others` without.
        """
        import pandas as pd

        names = self.counts.au_names
        return pd.DataFrame([row for each in self.comparisons for row in au_rows(each, names)])

    def top(self, most: int) -> "pd.DataFrame":
        """The largest differences of A_i, the strongest first, as rows of `to_pandas`.

        AUs that occur in fewer than `FEWEST_GROUPS` identity groups are left out.
        """
        found = self.to_pandas()
        judged = found[["groups_real", "groups_fake"]].min(axis=1) >= FEWEST_GROUPS
        found = found[judged & found["change"].notna()]
        order = found["change"].abs().sort_values(ascending=False, kind="stable").index
        return found.loc[order].head(most)

    def top_pairs(self, most: int) -> "pd.DataFrame":
        """The largest differences of C_ij whose interval excludes 0, the strongest first.

        AUs i that occur in fewer than `FEWEST_GROUPS` identity groups are left out.
        """
        import pandas as pd

        found = pd.DataFrame([row for each in self.comparisons for row in pair_rows(each)])
        if found.empty:
            return found
        judged = found["groups_given"] >= FEWEST_GROUPS
        sure = found[judged & ((found["change_low"] > 0) | (found["change_high"] < 0))]
        order = sure["change"].abs().sort_values(ascending=False, kind="stable").index
        return sure.loc[order].head(most)

    def lines(self, show_top: int = 0) -> list[str]:
        """What was found, for a person.

        Args:
            show_top: how many of the strongest differences to list, of A_i and of C_ij.
        """
        used = sum(self.counts.labelled())
        told = [
            f"{len(self.counts.videos):,} videos, {int(self.counts.faces_V.sum()):,} labelled "
            f"faces, {used} action units",
            *section("not compared", self.matching.left_out),
        ]
        if self.unlabelled:
            told += ["", f"labelled on no face: {', '.join(self.unlabelled)}"]
        told += table("mean of A_i, real minus fake", map(_overall, self.comparisons))
        if show_top:
            told += table("strongest changes of A_i", map(_strong, _records(self.top(show_top))))
            pairs = _records(self.top_pairs(show_top))
            told += table("strongest changes of C_ij, interval off 0", map(_strong_pair, pairs))
        return told

    def as_json(self) -> dict[str, Any]:
        """The content of `stats.json`."""
        from pipelines.au_stats_files import as_json

        return as_json(self)


def au_stats(
    inputs: str | Path | Sequence[str | Path] = (),
    out: str | Path | None = None,
    *,
    csv: str | Path | None = None,
    manifest: str | Path | None = None,
    **options: Any,
) -> AUStats:
    """Compare how action units occur together in real videos and in the fakes made from them.

    Args:
        inputs: folders of shards, or shards.
        out: folder for stats.json, tables, figures and report.html; None writes nothing.
        csv: OpenFace's CSVs instead of shards: a glob, a folder or a file.
        manifest: table of the videos behind the CSVs, see `pipelines.tables`; None takes what
            names in the manner of FaceForensics++ tell.
        **options: fields of `facekit.options.Statistics`, by name.

    Returns:
        Counts, correlations, differences, intervals and tests.

    Raises:
        BadInput: an option or input cannot be used; inputs without labels, without reals, fakes
            or pairs, or with different action units.
        BadShard: a shard is damaged, missing, hostile, or of another format.
        DiskFull: the disk ran out.

    >>> au_stats("shards/", volumes="20")
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: --volumes must be shares such as 0.2,0.8, above 0 and at most 1, \
not '20'
    """
    chosen = _chosen(options)
    sources = _sources(inputs, csv, manifest)
    counts = count(sources)
    matching = match(counts.videos, counts.faces_V.tolist())
    selections = select(matching, chosen.shares(), disjoint=chosen.disjoint, seed=chosen.seed)
    packing = Packing(counts)
    found = AUStats(
        options=chosen,
        provenance=sorted((source.provenance for source in sources), key=repr),
        counts=counts,
        matching=matching,
        comparisons=corrected([compare(packing, each, chosen) for each in selections]),
    )
    _warn(found)
    if out is not None:
        from pipelines.au_stats_files import write

        write(found, Path(out))
    return found


def _chosen(options: Mapping[str, Any]) -> Statistics:
    known = [field.name for field in dataclasses.fields(Statistics)]
    if unknown := sorted(options.keys() - set(known)):
        raise BadInput(f"{unknown[0]!r} is no option of au_stats; there are {', '.join(known)}")
    return Statistics(**options)


def _sources(
    inputs: str | Path | Sequence[str | Path],
    csv: str | Path | None,
    manifest: str | Path | None,
) -> list[Labels]:
    listed = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if csv is not None:
        if listed:
            raise BadInput("give shards or --csv, not both")
        return [CsvLabels(csv, manifest)]
    if manifest is not None:
        raise BadInput("--manifest goes with --csv; shards know their videos")
    if not listed:
        raise BadInput("no inputs: give folders of shards, or OpenFace's CSVs with --csv")
    return [ShardLabels(path) for path in listed]


def _warn(found: AUStats) -> None:
    for each in found.comparisons:
        if each.groups < FEW_GROUPS:
            log.warning(
                "%s: %d identity groups; with so few, intervals are too narrow and no p-value "
                "can be below %.2g",
                each.title,
                each.groups,
                each.p_least,
            )
    engines = {repr(_engine(told)) for told in found.provenance}
    if len(engines) > 1:
        log.warning("the inputs were labelled by %d different engines or models", len(engines))


def _engine(told: Mapping[str, object]) -> object:
    backends = told.get("backends", {})
    assert isinstance(backends, Mapping)
    return told["kind"], told["au_mode"], backends.get("action_units")


def _records(found: "pd.DataFrame") -> Iterator[Mapping[str, Any]]:
    for row in found.to_dict("records"):
        yield {str(name): value for name, value in row.items()}


def _interval(row: Mapping[str, Any]) -> str:
    return f"{row['change_low']:+.3f} to {row['change_high']:+.3f}"


def _overall(each: Comparison) -> Mapping[str, object]:
    row = overall_row(each)
    return {
        **{name: row[name] for name in ("method", "volume", "pairs", "groups")},
        "change": f"{row['change']:+.3f}",
        "95 % interval": _interval(row),
        "AUs weaker in fake": f"{row['aus_weaker_in_fake']} of {row['aus']}",
        f"sure (Holm < {SURE})": int((each.p_holm_A < SURE).sum()),
    }


def _strong(row: Mapping[str, Any]) -> Mapping[str, object]:
    return {
        "method": row["method"],
        "volume": row["volume"],
        "action unit": labelled(row["au"]),
        "real": f"{row['average_real']:.3f}",
        "fake": f"{row['average_fake']:.3f}",
        "change": f"{row['change']:+.3f}",
        "95 % interval": _interval(row),
        "d": "" if math.isnan(row["effect"]) else f"{row['effect']:+.2f}",
        "p": f"{row['p']:.4f}",
        "Holm": f"{row['p_holm']:.4f}",
        "groups": min(row["groups_real"], row["groups_fake"]),
        "faces": f"{row['occurs_real']:,}/{row['occurs_fake']:,}",
    }


def _strong_pair(row: Mapping[str, Any]) -> Mapping[str, object]:
    return {
        "method": row["method"],
        "volume": row["volume"],
        "C_ij": f"P({row['occurs']} | {row['given']})",
        "real": f"{row['real']:.3f}",
        "fake": f"{row['fake']:.3f}",
        "change": f"{row['change']:+.3f}",
        "95 % interval": _interval(row),
        "groups": row["groups_given"],
        "faces": f"{row['faces_given_real']:,}/{row['faces_given_fake']:,}",
    }
