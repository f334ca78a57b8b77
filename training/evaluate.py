"""How well a trained network tells real from fake on videos that it has not seen."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from facekit.errors import BadInput
from facekit.options import require
from training import checkpoint, fingerprint, held_back, protocols
from training.checkpoint import Loaded, Which
from training.held_back import Part, Split
from training.localisation import Localisation, Masks, localise
from training.metrics import METRICS
from training.perturbations import Perturbation, suite
from training.protocols import ALL, FRAMES, Comparison, Protocol
from training.ranks import joined
from training.scoring import score_faces
from training.table import Table, read_table
from training.tiers import open_source

if TYPE_CHECKING:
    import pandas as pd
    import torch

log = logging.getLogger(__name__)

CLEAN: Final = "none"
"""In place of a perturbation's name: as extracted."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an evaluation was asked for.

    Args:
        run: name of the run's folder.
        which: best or last snapshot.
        shards: name of each folder -> sha256 of its manifest.
        protocol: video or frame.
        split: as asked for.
        frames: of each video.
        perturb: as asked for.
        bootstrap: resamples behind each interval.
    """

    run: str
    which: str
    shards: Mapping[str, str]
    protocol: Protocol
    split: Split
    frames: int
    perturb: str
    bootstrap: int


@dataclass(frozen=True, kw_only=True)
class Perturbed:
    """The same comparisons with every face spoilt; all methods of each dataset alone.

    Args:
        how: the perturbation.
        comparisons: one a dataset.
    """

    how: Perturbation
    comparisons: Sequence[Comparison]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `evaluate` found.

    Args:
        asked: what for.
        loaded: the network, its config, step and sha256.
        part: which videos of the shards were used, as a sentence a dataset.
        videos: one row a video that was to be scored; `score`, `frames` and `missing` beside what
            the shards say of it.
        faces: one row a scored face and perturbation.
        unlabelled: keys of videos that are neither real nor fake, and so were not scored.
        comparisons: of each method and dataset.
        perturbed: the same under each perturbation; empty where none was asked for.
        localisation: dataset -> how well the tampered part was found, where masks are given.
    """

    asked: Asked
    loaded: Loaded
    part: Part
    videos: "pd.DataFrame"
    faces: "pd.DataFrame"
    unlabelled: Sequence[str]
    comparisons: Sequence[Comparison]
    perturbed: Sequence[Perturbed] = ()
    localisation: Mapping[str, Localisation] = field(default_factory=dict)

    @property
    def datasets(self) -> list[Comparison]:
        """All methods of each dataset."""
        return [each for each in self.comparisons if each.method == ALL]

    def average(self, metric: str = "auc") -> float:
        """The mean of a metric over the datasets, all methods of each; NaN if one is undefined."""
        return float(np.mean([each.summary[metric].value for each in self.datasets]))

    def lines(self) -> list[str]:
        """What was found, for a person."""
        from training.evaluation_tables import lines

        return lines(self)

    def as_json(self) -> dict[str, Any]:
        """The content of `results.json`."""
        from training.evaluation_files import as_json

        return as_json(self)


def evaluate(
    run: Path | str,
    shards: Path | str | Sequence[Path | str],
    *,
    out: Path | str | None = None,
    protocol: Protocol = "video",
    split: Split = "auto",
    which: Which = "best",
    frames: int = FRAMES,
    perturb: str = "none",
    masks: Path | str | None = None,
    bootstrap: int = 1000,
    batch: int = 64,
    device: str = "auto",
    tier: str = "auto",
) -> Evaluation:
    """Score the faces of shards with a trained network, and say how well that tells real from fake.

    Nothing is chosen by what is found: the snapshot is the one that was best in validation (or the
    last), the threshold of ACC is 0.5. By default only videos are used whose people the run has
    neither learnt from nor been chosen by (`training.held_back`).

    Args:
        run: folder of a run, or of one of its snapshots.
        shards: folders of shards; they may differ in crop size and margin.
        out: folder for results.json, scores.parquet, tables and report.html; None writes nothing.
        protocol: video: the mean over frames of the largest score on each; frame: each frame by
            itself.
        split: auto, or train, val, test or all; see `training.held_back.choose`.
        which: best or last snapshot.
        frames: of each video, evenly spaced.
        perturb: none, all, or names by comma; see `training.perturbations`.
        masks: folder that the videos' mask paths lie below; None measures no localisation.
        bootstrap: resamples behind each 95 % interval; 0 gives none.
        batch: faces scored at once; no score depends on it.
        device: `auto`, `cpu` or `cuda`.
        tier: where the crops are kept: `device`, `pinned`, `disk`, or `auto`.

    Returns:
        Metrics with intervals a method and dataset, coverage, and every score.

    Raises:
        BadInput: an option, run or shards cannot be used as given; all videos are of people whom
            the run has seen; no face to score; `out` cannot be written.
        BadShard: a shard is damaged, or has no crops.
        BadWeights: the snapshot is damaged.
        MissingDevice: no such device, or a package that `out` or `masks` needs is not installed.
        DiskFull: the disk ran out.

    Source:
        Protocol: AUNet (CVPR 2023) compares with "Detecting deepfakes with self-blended images"
        (CVPR 2022), whose it is.

    >>> evaluate("runs/a", [])
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: no shards: give at least one folder that facekit extract has written
    """
    folders = [Path(shards)] if isinstance(shards, Path | str) else [Path(each) for each in shards]
    require(bool(folders), "no shards: give at least one folder that facekit extract has written")
    require(
        protocol in get_args(Protocol),
        f"--protocol must be one of {', '.join(get_args(Protocol))}, not {protocol!r}",
    )
    for name, value, least in (("frames", frames, 1), ("bootstrap", bootstrap, 0)):
        require(value >= least, f"--{name} must be at least {least}, not {value}")
    hardships = suite(perturb)
    found_masks = None if masks is None else Masks(Path(masks))
    if out is not None:
        from training.evaluation_files import require_writable

        require_writable(Path(out))
    checkpoint.find(Path(run), which)  # whoever names no run is told so before shards are read
    tables, unlabelled = _tables(folders)
    videos = _joined(tables)
    part = held_back.choose(videos, _known(Path(run), split), split)
    tables = list(_narrowed(tables, part, frames))
    videos = videos[part.kept_V].reset_index(drop=True)
    if not sum(map(len, tables)):
        raise BadInput(f"no face to score: of {len(videos):,} videos none has one")
    with joined(device) as ranks:
        loaded = checkpoint.load_model(run, which=which, device=ranks.device)
        scorer = _Scorer(loaded, tables, ranks.device, tier, batch)
        located = [] if found_masks is None else list(scorer.located(found_masks))
        faces = scorer.scores(hardships)
    named = protocols.named(videos)
    clean = faces[faces["perturbation"] == CLEAN]
    settings: dict[str, Any] = {"bootstrap": bootstrap, "seed": loaded.config.training.seed}
    found = Evaluation(
        asked=Asked(
            run=Path(run).resolve().name,
            which=which,
            shards=_digests(folders),
            protocol=protocol,
            split=split,
            frames=frames,
            perturb=perturb,
            bootstrap=bootstrap,
        ),
        loaded=loaded,
        part=part,
        videos=_scored(named, clean),
        faces=faces,
        unlabelled=unlabelled,
        comparisons=protocols.compare(clean, videos, protocol, **settings),
        perturbed=[
            Perturbed(how=how, comparisons=_of_datasets(faces, how, videos, protocol, settings))
            for how in hardships
        ],
        localisation=Localisation.by_dataset(located, named),
    )
    _warn(found)
    if out is not None:
        from training.evaluation_files import write

        write(found, Path(out))
    return found


def _tables(folders: Sequence[Path]) -> tuple[list[Table], list[str]]:
    """The labelled videos of each folder, and the keys of the others."""
    tables, unlabelled = [], []
    for folder in folders:
        table = read_table([folder])
        is_labelled_V = (table.videos["label"] >= 0).to_numpy()
        unlabelled += table.videos["key"][~is_labelled_V].tolist()
        tables.append(table.of_videos(is_labelled_V))
    if unlabelled:
        log.warning(
            "%d videos without a label are left out, such as %s", len(unlabelled), unlabelled[0]
        )
    if not sum(len(table.videos) for table in tables):
        raise BadInput("no video here has a label; give each one in the manifest and extract again")
    return tables, unlabelled


def _joined(tables: Sequence[Table]) -> "pd.DataFrame":
    import pandas as pd

    videos = pd.concat([table.videos for table in tables], ignore_index=True)
    twice = videos["key"][videos["key"].duplicated()]
    if len(twice):
        raise BadInput(f"{len(twice)} videos are in two of the folders, such as {twice.iloc[0]}")
    return videos


def _known(run: Path, split: Split) -> "pd.DataFrame":
    """What each video of the run was for. With all, a run that does not tell is taken too."""
    folder = run.parent.parent if (run / checkpoint.STATE).exists() else run
    if split == "all" and not (folder / held_back.NAME).exists():
        import pandas as pd

        return pd.DataFrame(columns=list(held_back.COLUMNS))
    return held_back.read(folder)


def _narrowed(tables: Sequence[Table], part: Part, frames: int) -> Iterator[Table]:
    first = 0
    for table in tables:
        kept_V = part.kept_V[first : first + len(table.videos)]
        first += len(table.videos)
        yield table.of_videos(kept_V).frames(frames)


class _Scorer:
    """The network over the faces of every folder; each folder is loaded once."""

    def __init__(
        self, loaded: Loaded, tables: Sequence[Table], device: "torch.device", tier: str, batch: int
    ) -> None:
        self._loaded, self._device, self._tier, self._batch = loaded, device, tier, batch
        self._tables = [table for table in tables if len(table)]

    def scores(self, hardships: Sequence[Perturbation]) -> "pd.DataFrame":
        """The scores of every face, clean and under each perturbation."""
        import pandas as pd

        parts = []
        for table in self._tables:
            with open_source(table, self._device, self._tier) as source:
                for how in (None, *hardships):
                    log.info("%s: %d faces, %s", table.folders[0].name, len(table), how or CLEAN)
                    scored = score_faces(
                        self._loaded.model,
                        source,
                        table,
                        self._loaded.config,
                        batch=self._batch,
                        perturbation=how,
                        device=self._device,
                    )
                    parts.append(
                        scored.assign(
                            perturbation=how.name if how else CLEAN, level=how.level if how else 0
                        )
                    )
        return pd.concat(parts, ignore_index=True)

    def located(self, masks: Masks) -> Iterator["pd.DataFrame"]:
        """How well the tampered part of each face was found, a table a folder."""
        for table in self._tables:
            with open_source(table, self._device, self._tier) as source:
                yield localise(
                    self._loaded.model,
                    source,
                    table,
                    self._loaded.config,
                    masks,
                    batch=self._batch,
                    device=self._device,
                )


def _of_datasets(
    faces: "pd.DataFrame",
    how: Perturbation,
    videos: "pd.DataFrame",
    protocol: Protocol,
    settings: Mapping[str, Any],
) -> list[Comparison]:
    spoilt = faces[(faces["perturbation"] == how.name) & (faces["level"] == how.level)]
    found = protocols.compare(spoilt, videos, protocol, originals=False, **settings)
    return [each for each in found if each.method == ALL]


def _scored(videos: "pd.DataFrame", faces: "pd.DataFrame") -> "pd.DataFrame":
    """Each video with its score, frames and faces, or why it has none."""
    from training.metrics import video_scores

    columns = ["key", "dataset", "method", "label", "original", "people", "status"]
    made = videos[columns].merge(video_scores(faces), on="key", how="left", validate="one_to_one")
    counts = {name: made[name].fillna(0).astype(int) for name in ("frames", "faces")}
    why = protocols.missing(faces, videos)
    return made.assign(**counts, missing=[why.get(key, "") for key in made["key"]])


def _digests(folders: Sequence[Path]) -> dict[str, str]:
    names = [folder.resolve().name for folder in folders]
    told = dict(zip(folders, fingerprint.of(folders), strict=True))
    several = len(set(names)) < len(names)
    return {
        f"{number} {name}" if several else name: told[folder]
        for number, (name, folder) in enumerate(zip(names, folders, strict=True), start=1)
    }


def _warn(found: Evaluation) -> None:
    for role, count in found.part.seen.items():
        if count:
            verb = "learnt from" if role == "train" else "was chosen by"
            log.warning("%d of these videos are of people whom the run %s", count, verb)
    for each in found.datasets:
        if each.coverage.missing:
            log.warning("%s: scored %s videos", each.dataset, each.coverage)
        for name in METRICS:
            if each.summary.reason and name == "auc":
                log.warning("%s: no metrics: %s", each.dataset, each.summary.reason)
