"""The options of every command, as frozen dataclasses: light, importable without any heavy package.

What decides the result (`Measurement`) is stored in every shard; what only decides the run (`Run`)
never is. The docstring under a field is its help text on the command line.
"""

import ast
import dataclasses
import inspect
import re
import typing
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final, Literal

from facekit.errors import BadInput

DEVICES: Final = ("auto", "cpu", "cuda")
FACES: Final = ("largest", "all")
MASK_PROFILES: Final = ("default", "jaa")
ROLES: Final = ("detector", "landmarker", "au")
PRESETS: Final = {
    "lite": {"detector": "lite", "landmarker": "lite", "au": "lite"},
    "paper": {"detector": "insightface", "landmarker": "fan", "au": "openface"},
}
"""The backends that a preset stands for, by role; a backend that is named wins over it."""

_FRAMES = re.compile(r"all|every:[1-9]\d*|[1-9]\d*")
_SHARE = re.compile(r"\d?\.?\d{1,9}")
_BACKEND = re.compile(r"[a-z][a-z0-9_-]*(:.+)?")


def require(condition: bool, message: str) -> None:
    """Refuse an option.

    Raises:
        BadInput: the condition does not hold.
    """
    if not condition:
        raise BadInput(message)


def require_types(options: object, prefix: str = "") -> None:
    """Refuse a value of another type than its field, before it is compared with a range.

    A whole number where any would do becomes a float: 2 and 2.0 shall be stored as the same bytes.

    Args:
        options: a frozen dataclass of plain values.
        prefix: stands before a name in the error, such as `data.`; empty writes it as a flag.

    Raises:
        BadInput: a value has another type.
    """
    for name, hint in typing.get_type_hints(type(options)).items():
        value = getattr(options, name)
        kind = str if typing.get_origin(hint) is Literal else hint
        if type(value) is int and isinstance(0.0, kind):
            value = float(value)
            object.__setattr__(options, name, value)
        require(
            isinstance(value, kind) and (kind is bool or not isinstance(value, bool)),
            f"{_written(name, prefix)} must be {_named(kind)}, not {value!r}",
        )


def _written(name: str, prefix: str) -> str:
    return prefix + name if prefix else f"--{name.replace('_', '-')}"


def _named(kind: typing.Any) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(kind, "a number or unset")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What decides the result; stored in every shard.

    >>> Measurement(frames="every:10").frames
    'every:10'
    >>> Measurement(preset="paper", detector="yunet").landmarker
    'fan'
    >>> Measurement(margin=0.5)
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: --margin must lie in 1.0 to 4.0, not 0.5
    """

    frames: str = "32"
    """Frames of each video: a number (evenly spaced), every:N, or all."""

    preset: Literal["lite", "paper"] = "lite"
    """Backends: lite (embedded, no download) or paper (large, downloaded, for publication)."""

    detector: str = ""
    """Face detector, NAME[:MODEL]: lite, insightface, retinaface, yunet, or an installed plug-in;
    unset takes the preset's."""

    min_score: float | None = None
    """Detections below this score do not count; unset takes the detector's own threshold."""

    face: Literal["largest", "all"] = "largest"
    """Which people to keep: the track with the largest area over time, or all."""

    margin: float = 1.3
    """Side of the square crop over the longer side of the box."""

    size: int = 224
    """Side of the crop in pixels."""

    align: bool = False
    """Turn the crop upright by a similarity through the five points."""

    detect_every: int = 5
    """On consecutive frames, let the detector look on every n-th of them and where a face is lost,
    and follow the points in between; 1 looks on all. On sparse frames it looks on all."""

    landmarker: str = ""
    """68-point landmarker, NAME[:MODEL]: lite, fan, mobilefacenet, pfld, openface-csv; unset takes
    the preset's."""

    au: str = ""
    """Action unit labels, NAME[:PATH]: lite, openface, pyfeat, openface-csv, none; unset
    takes the preset's."""

    mask_profile: Literal["default", "jaa"] = "default"
    """AU mask table: default, or jaa (one region for 12/14/15, 23/24/25 and 17/26)."""

    images: bool = True
    """Store the crops; --no-images makes small shards of points and labels."""

    def __post_init__(self) -> None:
        require_types(self)
        require(
            _FRAMES.fullmatch(self.frames) is not None,
            f"--frames must be a number, every:N or all, not {self.frames!r}",
        )
        require(
            self.preset in PRESETS,
            f"--preset must be one of {tuple(PRESETS)}, not {self.preset!r}",
        )
        for name in ROLES:
            value = getattr(self, name) or PRESETS[self.preset][name]
            object.__setattr__(self, name, value)
            require(
                _BACKEND.fullmatch(value) is not None,
                f"--{name} must be NAME or NAME:MODEL, not {value!r}",
            )
        require(
            self.min_score is None or 0.0 <= self.min_score <= 1.0,
            f"--min-score must lie in 0 to 1, not {self.min_score}",
        )
        require(
            1 <= self.detect_every <= 1000,
            f"--detect-every must lie in 1 to 1000 frames, not {self.detect_every}",
        )
        require(self.face in FACES, f"--face must be one of {FACES}, not {self.face!r}")
        require(1.0 <= self.margin <= 4.0, f"--margin must lie in 1.0 to 4.0, not {self.margin}")
        require(32 <= self.size <= 2048, f"--size must lie in 32 to 2048 px, not {self.size}")
        require(
            self.mask_profile in MASK_PROFILES,
            f"--mask-profile must be one of {MASK_PROFILES}, not {self.mask_profile!r}",
        )

    @property
    def consecutive(self) -> bool:
        """Whether every frame of a video is looked at."""
        return self.frames in ("all", "every:1")

    def embedded_roles(self) -> tuple[str, ...]:
        """The roles that facekit's own small models play.

        >>> Measurement(detector="yunet").embedded_roles()
        ('landmarker', 'au')
        """
        return tuple(role for role in ROLES if getattr(self, role).partition(":")[0] == "lite")

    def as_json(self) -> dict[str, object]:
        """The options as plain JSON values, in field order; of a path only its last part.

        The preset is not among them: the backends it stood for are.

        >>> Measurement(detector="insightface:/models/mine.onnx").as_json()["detector"]
        'insightface:mine.onnx'
        """
        values = dataclasses.asdict(self)
        del values["preset"]
        for name in ROLES:
            backend, colon, model = str(values[name]).partition(":")
            values[name] = backend + colon + re.split(r"[/\\]", model.rstrip("/\\"))[-1]
        return values


@dataclass(frozen=True, kw_only=True)
class Run:
    """What only decides how a run goes; never stored in a shard."""

    jobs: int = 0
    """Worker processes; 0 takes one a CPU core."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the models run; auto takes cuda where it works and says so."""

    timeout: float = 120.0
    """Seconds without any progress after which a worker is killed; long videos live."""

    max_rss: int = 4096
    """Memory of one worker in MiB above which it is killed."""

    retry: Literal["none", "failed"] = "none"
    """Which finished inputs to take up again on resume: none, or failed."""

    part: str = "1/1"
    """For job arrays: i/n does every n-th video from the i-th on; `facekit merge` joins them."""

    strict: bool = False
    """Count a video without a face as a failure."""

    dry_run: bool = False
    """Only say what would be done: videos, bytes, time."""

    force: bool = False
    """Take over a lock that another run left behind."""

    engine: Literal["local"] = "local"
    """Where the workers run."""

    def __post_init__(self) -> None:
        require_types(self)
        require(self.jobs >= 0, f"--jobs must be 0 or more, not {self.jobs}")
        require(self.device in DEVICES, f"--device must be one of {DEVICES}, not {self.device!r}")
        require(self.timeout > 0, f"--timeout must be above 0 s, not {self.timeout}")
        require(self.max_rss >= 256, f"--max-rss must be at least 256 MiB, not {self.max_rss}")
        require(
            self.retry in ("none", "failed"),
            f"--retry must be none or failed, not {self.retry!r}",
        )
        require(self.engine == "local", f"--engine must be local, not {self.engine!r}")
        index, count = self.part_of()
        require(1 <= index <= count, f"--part must be i/n with 1 <= i <= n, not {self.part!r}")

    def part_of(self) -> tuple[int, int]:
        """The two numbers of `part`.

        >>> Run(part="2/8").part_of()
        (2, 8)
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", self.part)
        if match is None:
            raise BadInput(f"--part must look like 2/8, not {self.part!r}")
        return int(match[1]), int(match[2])


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What decides the result of `au_stats`; written into its stats.json.

    >>> Statistics(volumes="0.2,0.8").shares()
    (Fraction(1, 5), Fraction(4, 5))
    >>> Statistics(volumes="20")
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: --volumes must be shares such as 0.2,0.8, above 0 and at most 1, \
not '20'
    """

    volumes: str = "1"
    """Shares of the pairs to compare, such as 0.2,0.8; each is a comparison of its own."""

    disjoint: bool = False
    """Let no two volumes share a pair; otherwise the larger ones contain the smaller."""

    seed: int = 0
    """Decides which pairs a volume holds, and the resampling."""

    bootstrap: int = 1000
    """Resamples of the identity groups behind each 95 % interval."""

    permutations: int = 10000
    """Random exchanges of real and fake behind each p-value; all of them where they are fewer."""

    def __post_init__(self) -> None:
        require_types(self)
        self.shares()
        for name, least in (("bootstrap", 100), ("permutations", 100)):
            value = getattr(self, name)
            require(
                least <= value <= 1_000_000,
                f"--{name} must lie in {least} to 1000000, not {value}",
            )

    def shares(self) -> tuple[Fraction, ...]:
        """The volumes as exact numbers, in the order given."""
        texts = [text.strip() for text in self.volumes.split(",")]
        right = all(_SHARE.fullmatch(text) for text in texts)
        shares = tuple(Fraction(text) for text in texts) if right else ()
        require(
            bool(shares) and all(0 < share <= 1 for share in shares),
            f"--volumes must be shares such as 0.2,0.8, above 0 and at most 1, "
            f"not {self.volumes!r}",
        )
        require(len(set(shares)) == len(shares), f"--volumes names a share twice: {self.volumes!r}")
        require(
            not self.disjoint or sum(shares) <= 1,
            f"--volumes must add up to at most 1 with --disjoint, not {self.volumes!r}",
        )
        return shares


def field_docs(kind: type) -> dict[str, str]:
    """Field name -> the docstring that stands under the field.

    Args:
        kind: a dataclass whose source can be read.

    >>> field_docs(Run)["jobs"]
    'Worker processes; 0 takes one a CPU core.'
    """
    (definition,) = ast.parse(inspect.getsource(kind)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(doc.value.value)
        for field, doc in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }
