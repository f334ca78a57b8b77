"""The tables of AUNet's paper, each row a config: trained, evaluated, and put beside the print.

AUCs in % are those that Bai et al., "AUNet: Learning relations between action units for face
forgery detection" (CVPR 2023) and its supplement print for their own method.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from facekit.errors import BadInput
from facekit.text_lines import table as lines_of
from training import checkpoint, run_folder
from training.config import Config
from training.evaluate import Evaluation, evaluate
from training.loop import train
from training.protocols import ALL

log = logging.getLogger(__name__)

METHODS: Final = {
    "DF": "Deepfakes",
    "F2F": "Face2Face",
    "FS": "FaceSwap",
    "NT": "NeuralTextures",
    "FF++": ALL,
}
"""Columns that are methods of the shards trained on, in their held-back part."""

Sets = Mapping[str, Mapping[str, Any]]
"""Section -> field -> value, over a config."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A row: what it changes, and what the paper reports.

    Args:
        name: as the paper calls it.
        paper: AUC in % of each column.
        sets: what it changes.
    """

    name: str
    paper: Mapping[str, float]
    sets: Sets = field(default_factory=dict)

    def over(self, config: Config) -> Config:
        """The config of this row."""
        told = config.as_json()
        return Config.of(
            {name: {**section, **self.sets.get(name, {})} for name, section in told.items()}
        )


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """A table of the paper."""

    title: str
    variants: Sequence[Variant]

    @property
    def columns(self) -> list[str]:
        """Test sets or methods, in order."""
        return list(self.variants[0].paper)


def _rows(names: str, *rows: tuple[str, str, Sets]) -> tuple[Variant, ...]:
    """Rows of name, figures and what is changed; the figures stand in the order of `names`."""
    columns = names.split()
    return tuple(
        Variant(
            name=name, sets=sets, paper=dict(zip(columns, map(float, told.split()), strict=True))
        )
        for name, told, sets in rows
    )


_CROSS: Final = "CDF DFDCP FFIW"
_OURS: Final = ("Ours", "92.77 86.16 81.45")
_WITHOUT_AGNOSTIC: Final[Sets] = {"model": {"agnostic": False, "integration": "norm"}}
_CLASS_ALONE: Final[Sets] = {"model": {"name": "cnn"}, "loss": {"token": 0.0}}

TABLES: Final[Mapping[str, PaperTable]] = {
    "1": PaperTable(
        title="Table 1: in-dataset evaluation on FF++, real and fake, without TAP",
        variants=_rows(
            "DF F2F FS NT FF++",
            ("Ours", "100.00 99.86 99.98 99.71 99.89", {"data": {"task": "labelled"}}),
        ),
    ),
    "2": PaperTable(
        title="Table 2: cross-manipulation evaluation on FF++, trained on reals",
        variants=_rows("DF F2F FS NT FF++", ("Ours", "99.98 99.60 99.89 98.38 99.46", {})),
    ),
    "3": PaperTable(
        title="Table 3: cross-dataset evaluation",
        variants=_rows("CDF DFD DFDC DFDCP FFIW", ("Ours", "92.77 99.22 73.82 86.16 81.45", {})),
    ),
    "4": PaperTable(
        title="Table 4: each branch of ART and each process of TAP",
        variants=_rows(
            _CROSS,
            # As a whole network: the paper stops at block11.
            ("Backbone", "88.10 80.99 74.45", _CLASS_ALONE),
            ("ART w/o SPB", "90.39 83.68 78.13", {"model": {"specific": False}}),
            (
                "ART w/o AGB",
                "90.60 84.11 77.10",
                {"model": {"agnostic": False, "integration": "norm"}},
            ),
            ("TAP w/o M_p", "91.48 84.47 77.95", {"tampering": {"partial": False}}),
            ("TAP w/o IT", "88.98 79.85 72.60", {"tampering": {"image": False}}),
            ("TAP w/o FM", "89.56 79.51 74.16", {"tampering": {"mixing_layers": ""}}),
            ("TAP w/o LS", "90.80 82.17 78.06", {"loss": {"token": 0.0}}),
            (*_OURS, {}),
        ),
    ),
    "5": PaperTable(
        title="Table 5: weight of the token labels",
        variants=_rows(
            _CROSS,
            ("lambda_t = 0", "90.80 82.17 78.06", {"loss": {"token": 0.0}}),
            ("lambda_t = 10", "91.98 84.87 81.03", {"loss": {"token": 10.0}}),
            ("lambda_t = 30", "92.77 86.16 81.45", {"loss": {"token": 30.0}}),
            ("lambda_t = 50", "93.01 85.65 82.59", {"loss": {"token": 50.0}}),
            ("lambda_t = 100", "92.95 85.39 82.73", {"loss": {"token": 100.0}}),
        ),
    ),
    "s2": PaperTable(
        title="Supplement, table 2: TAP on plain convolutional networks",
        variants=_rows(
            _CROSS,
            *(
                (name, told, {"model": {"name": "cnn", "backbone": backbone}})
                for name, told, backbone in (
                    ("ResNet-34", "90.19 84.85 73.64", "resnet34"),
                    ("Xception", "91.31 83.06 76.60", "xception"),
                    ("EfficientNet-b4", "95.10 85.12 85.84", "efficientnet_b4"),
                )
            ),
        ),
    ),
    "s3": PaperTable(
        title="Supplement, table 3: layers that are mixed",
        variants=_rows(
            _CROSS,
            *(
                (f"block {layers}", told, {"tampering": {"mixing_layers": layers}})
                for layers, told in (
                    ("1", "90.87 81.94 78.43"),
                    ("13", "91.20 84.63 79.98"),
                    ("135", "91.96 85.12 80.78"),
                    ("1357", "92.77 86.16 81.45"),
                    ("13579", "92.04 84.01 81.99"),
                )
            ),
        ),
    ),
}
"""Number -> table; an `s` before it: of the supplement."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A table with what was measured beside what is printed.

    Args:
        table: the paper's.
        rows: name of each variant -> column -> AUC in %; NaN where it could not be measured.
    """

    table: PaperTable
    rows: Mapping[str, Mapping[str, float]]

    def lines(self) -> list[str]:
        """The table for a person: the paper's figure, then the measured one."""
        shown = []
        for variant in self.table.variants:
            pairs = {
                name: (of, self.rows[variant.name][name]) for name, of in variant.paper.items()
            }
            if not METHODS.keys() & pairs.keys():
                paper, measured = zip(*pairs.values(), strict=True)
                pairs["Avg"] = (sum(paper) / len(paper), sum(measured) / len(measured))
            cells = {name: f"{of:.2f} / {_shown(found)}" for name, (of, found) in pairs.items()}
            shown.append({"": variant.name, **cells})
        return list(lines_of(f"{self.table.title}: AUC (%), paper / measured", shown))


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def measure(
    chosen: Sequence[str],
    shards: Sequence[Path],
    tests: Mapping[str, Path],
    out: Path,
    *,
    config: Config,
    **options: Any,
) -> Iterator[Measured]:
    """Train and evaluate every row of some tables; a row that two tables share is trained once.

    A run that was stopped goes on when this is called again with the same folder.

    Args:
        chosen: keys of `TABLES`.
        shards: folders to train on; tables 1 and 2 test on what these hold back.
        tests: CDF, DFD, DFDC, DFDCP, FFIW -> folder of its shards; those left out are not
            measured.
        out: folder for the runs.
        config: what the rows change; with the epochs that there is time for.
        **options: `device` and `tier`, of `training.loop.train` and `training.evaluate.evaluate`.

    Yields:
        Each table, when its last row is done.

    Raises:
        BadInput: no such table or test set; and whatever training and evaluation raise.
    """
    known = {name for table in TABLES.values() for name in table.columns} - METHODS.keys()
    for kind, names, allowed in (("table", chosen, TABLES), ("test set", tests, sorted(known))):
        for name in names:
            if name not in allowed:
                raise BadInput(f"no {kind} {name!r}; there are {', '.join(allowed)}")
    bench = _Bench(shards, tests, out, config, options)
    for number in chosen:
        paper = TABLES[number]
        yield Measured(table=paper, rows={row.name: bench.row(row) for row in paper.variants})


class _Bench:
    """Runs and their evaluations, each made once."""

    def __init__(
        self,
        shards: Sequence[Path],
        tests: Mapping[str, Path],
        out: Path,
        config: Config,
        options: Mapping[str, Any],
    ) -> None:
        self._shards, self._tests, self._out = shards, tests, out
        self._config, self._options = config, options
        self._found: dict[tuple[Path, tuple[Path, ...]], Evaluation] = {}

    def row(self, variant: Variant) -> dict[str, float]:
        """Column -> AUC in %."""
        wanted = [name for name in variant.paper if name in METHODS or name in self._tests]
        run = self._trained(variant) if wanted else None
        made = dict.fromkeys(variant.paper, math.nan)
        for name in wanted:
            assert run is not None
            folders = tuple(self._shards) if name in METHODS else (self._tests[name],)
            found = self._evaluated(run, folders)
            method = METHODS.get(name, ALL)
            aucs = [
                each.summary.auc.value
                for each in found.comparisons
                if each.method == method and each.against == "all reals"
            ]
            made[name] = 100 * sum(aucs) / len(aucs) if aucs else math.nan
        return made

    def _trained(self, variant: Variant) -> Path:
        config = variant.over(self._config)
        run = self._out / _folder_name(config, self._config)
        log.info("%s: %s", variant.name, run)
        train(self._shards, run, config=config, resume=run_folder.exists(run), **self._options)
        return run

    def _evaluated(self, run: Path, folders: tuple[Path, ...]) -> Evaluation:
        if (run, folders) not in self._found:
            # Without fakes to validate with, as with reals alone, there is no best snapshot.
            which: Literal["best", "last"] = "last" if checkpoint.best(run) is None else "best"
            self._found[run, folders] = evaluate(
                run, folders, which=which, bootstrap=0, **self._options
            )
        return self._found[run, folders]


def _folder_name(config: Config, base: Config) -> str:
    """What a config changes, as a name.

    >>> _folder_name(Config(), Config())
    'ours'
    >>> from training.options import Loss
    >>> _folder_name(Config(loss=Loss(token=50.0)), Config())
    'loss.token=50.0'
    """
    was = base.as_json()
    changed = [
        f"{section}.{name}={value}"
        for section, values in config.as_json().items()
        for name, value in values.items()
        if value != was[section][name]
    ]
    return " ".join(changed) or "ours"
