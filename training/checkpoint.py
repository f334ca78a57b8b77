"""Snapshots of a run: folders that appear whole or not at all, of tensors and JSON alone.

    runs/a/snapshots/step-00000100/model.safetensors      weights and statistics
                                   optimiser.safetensors  what the optimiser remembers
                                   state.json             everything else, and the files' sha256

The last snapshot is the one with the most steps, the best the one with the highest validation
score, the later of equals: the folders alone say so, and no marker can disagree with them.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from facekit.checkpoints import fill
from facekit.errors import BadInput, BadWeights, DiskFull, FacekitError
from facekit.shards.disk import disk_full, publish, publishing, temporary
from training.config import Config
from training.models import AUNet, TokenCNN, build

FORMAT: Final = 1
"""Version of a snapshot's layout; no other is read."""

FOLDER: Final = "snapshots"
STATE: Final = "state.json"
MODEL: Final = "model.safetensors"
OPTIMISER: Final = "optimiser.safetensors"

_NAME: Final = re.compile(r"step-\d{8,}")
_STATE_LIMIT_BYTES: Final = 1 << 20
_UNFIT: Final = (FacekitError, AttributeError, KeyError, RecursionError, TypeError, ValueError)
"""What text that is no state makes of reading it."""

Which = Literal["best", "last"]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a run stands, but for its tensors.

    No generator is among it: every draw, and the seed of torch's own generators at each step, is a
    function of `config.training.seed` and the position (`training.draws`, `training.loop`).

    Args:
        config: what decides the run.
        step: steps done.
        epoch: passes over the faces done.
        position: steps done of the pass that is under way.
        steps_per_epoch: steps of a pass.
        rate: learning rate of the last step done; it follows from the step.
        world: processes that took the last step; any number may go on.
        data: sha256 of the manifest of each folder of shards, in order.
        score: validation video AUC; None where nothing was validated.
        losses: sums since the last line of the log, so that a resumed run writes the same lines.
        versions: package -> version.
    """

    config: Config
    step: int
    epoch: int
    position: int
    steps_per_epoch: int
    rate: float
    world: int
    data: tuple[str, ...]
    score: float | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return told | {"config": self.config.as_json(), "data": list(self.data)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "State":
        """The state of plain values.

        Raises:
            FacekitError, KeyError, TypeError, ValueError: they are not those of a state.
        """
        if told.keys() != cls.__dataclass_fields__.keys():
            apart = ", ".join(sorted(told.keys() ^ cls.__dataclass_fields__.keys()))
            raise KeyError(f"missing or unknown: {apart}")
        score = told["score"]
        return cls(
            config=Config.of(told["config"]),
            **{name: int(told[name]) for name in _WHOLE},
            rate=float(told["rate"]),
            data=tuple(str(sha256) for sha256 in told["data"]),
            score=None if score is None else float(score),
            losses={str(name): float(value) for name, value in told["losses"].items()},
            versions={str(name): str(value) for name, value in told["versions"].items()},
        )


_WHOLE: Final = ("step", "epoch", "position", "steps_per_epoch", "world")


def write(run: Path, state: State, *, model: Tensors, optimiser: Tensors) -> Path:
    """Publish a snapshot; one that is there for this step stays as it is.

    Args:
        run: folder of the run.
        state: where the run stands.
        model: the network's state, on any device.
        optimiser: the optimiser's tensors by name (`training.optimisation.tensors`).

    Returns:
        The snapshot's folder.

    Raises:
        DiskFull: the disk ran out; older snapshots are as they were.
    """
    target = run / FOLDER / f"step-{state.step:08d}"
    if target.exists():
        return target
    draft = temporary(target)
    try:
        with disk_full(target):
            draft.mkdir(parents=True)
        files = {MODEL: _packed(model), OPTIMISER: _packed(optimiser)}
        for name, content in files.items():
            _put(draft / name, content)
        _put(draft / STATE, _rendered(state, files))
        publish(draft, target)
    except DiskFull as full:
        reason = full.__cause__.strerror if isinstance(full.__cause__, OSError) else str(full)
        raise DiskFull(
            f"{target}: {reason}; earlier snapshots are whole: free some room and --resume {run}"
        ) from full
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _packed(tensors: Tensors) -> bytes:
    return save({name: x.detach().cpu().contiguous() for name, x in tensors.items()})


def _put(path: Path, content: bytes) -> None:
    with publishing(path) as draft:
        draft.write_bytes(content)


def _rendered(state: State, files: Mapping[str, bytes]) -> bytes:
    told = {
        "facekit_snapshot": FORMAT,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
        "state": state.as_json(),
    }
    return _dumped({**told, "sha256": hashlib.sha256(_dumped(told)).hexdigest()})


def _dumped(told: Mapping[str, Any]) -> bytes:
    return (json.dumps(told, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


@dataclass(frozen=True)
class Snapshot:
    """A snapshot whose `state.json` was read and is whole; its tensors are checked when read.

    Args:
        path: its folder.
        state: where the run stood.
        sha256: file -> digest.
    """

    path: Path
    state: State
    sha256: Mapping[str, str]

    def require(self, name: str) -> Path:
        """A file of it, every byte checked.

        Raises:
            BadWeights: it is missing or not what was written.
        """
        path = self.path / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BadWeights(f"{path} cannot be read: {error.strerror}") from error
        if found != self.sha256[name]:
            raise BadWeights(f"{path} is damaged: not the bytes that {STATE} beside it tells of")
        return path

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a file of it, on the CPU.

        Raises:
            BadWeights: it is missing, or not what was written.
        """
        path = self.require(name)
        try:
            return load(path.read_bytes())
        except (SafetensorError, OSError) as error:
            raise BadWeights(f"{path} holds no tensors") from error

    def fill(self, model: nn.Module) -> None:
        """Give a network these weights, and set it to evaluation.

        Raises:
            BadWeights: they are missing, damaged, or of another network.
        """
        fill(model, self.require(MODEL), f"the {self.state.config.model.name} of its {STATE}")

    @property
    def run(self) -> Path:
        """The folder of its run."""
        return self.path.parent.parent

    def start(self, model: nn.Module) -> None:
        """Give a new network these weights; what only the old one has, such as `fc_s`, is left.

        Raises:
            BadWeights: they are missing, damaged, or of another network.
        """
        known, wanted = self.tensors(MODEL), model.state_dict()
        for name, tensor in wanted.items():
            if name not in known or known[name].shape != tensor.shape:
                raise BadWeights(
                    f"{self.path} holds another network: its {name} is not the one that is asked "
                    "for; take its model section, or another training.start"
                )
        model.load_state_dict({name: known[name] for name in wanted})


def read(path: Path) -> Snapshot:
    """Read what a snapshot says of itself.

    Args:
        path: its folder.

    Raises:
        BadWeights: it is damaged, or was written by something else.
    """
    where = path / STATE
    try:
        with where.open("rb") as file:
            told = json.loads(file.read(_STATE_LIMIT_BYTES))
        _require_whole(where, told)
        sha256 = {name: str(told["files"][name]["sha256"]) for name in (MODEL, OPTIMISER)}
        return Snapshot(path, State.of(told["state"]), sha256)
    except BadWeights:
        raise
    except OSError as error:
        raise BadWeights(f"{where} cannot be read: {error.strerror}") from error
    except _UNFIT as error:
        raise BadWeights(f"{where} is damaged: {error}") from error


def _require_whole(where: Path, told: object) -> None:
    if not isinstance(told, dict) or "facekit_snapshot" not in told:
        raise BadWeights(f"{where} is no snapshot of facekit")
    if told["facekit_snapshot"] != FORMAT:
        raise BadWeights(
            f"{where} is of format {told['facekit_snapshot']!r}; this facekit reads {FORMAT}"
        )
    content = {name: value for name, value in told.items() if name != "sha256"}
    if hashlib.sha256(_dumped(content)).hexdigest() != told["sha256"]:
        raise BadWeights(f"{where} is damaged: its content is not what its digest tells of")


def steps_of(run: Path) -> list[Path]:
    """The snapshots of a run, whole as they are published, the fewest steps first."""
    found = (run / FOLDER).iterdir() if (run / FOLDER).is_dir() else iter(())
    named = [path for path in found if _NAME.fullmatch(path.name)]
    return sorted(named, key=lambda path: int(path.name.removeprefix("step-")))


def last(run: Path) -> Snapshot | None:
    """The snapshot with the most steps, or None where there is none.

    Raises:
        BadWeights: it is damaged.
    """
    paths = steps_of(run)
    return read(paths[-1]) if paths else None


def best(run: Path) -> Snapshot | None:
    """The snapshot with the highest validation score, or None where none has one.

    Raises:
        BadWeights: a snapshot is damaged.
    """
    ranked = _ranked([read(path) for path in steps_of(run)])
    return ranked[0] if ranked else None


def _ranked(snapshots: list[Snapshot]) -> list[Snapshot]:
    scored = [(s.state.score, s.state.step, s) for s in snapshots if s.state.score is not None]
    return [s for *_, s in sorted(scored, key=lambda scored: scored[:2], reverse=True)]


def prune(run: Path, keep: int) -> None:
    """Remove all snapshots but the last and the best few, and what killed processes left.

    Whoever calls holds the run's folder. A snapshot loses its name before its files.

    Args:
        run: folder of the run.
        keep: how many of the best stay.
    """
    paths = steps_of(run)
    stay = {snapshot.path for snapshot in _ranked([read(path) for path in paths])[:keep]}
    for path in paths[:-1]:
        if path not in stay:
            path.rename(temporary(path, "old"))
    for left in (run / FOLDER).glob(".*.tmp-*"):
        shutil.rmtree(left)


@dataclass(frozen=True)
class Loaded:
    """A trained network and where it comes from.

    Args:
        model: set to evaluation, on the device.
        config: what it was trained with.
        step: after how many steps.
        sha256: of its weights' file.
    """

    model: AUNet | TokenCNN
    config: Config
    step: int
    sha256: str


def load_model(
    run: Path | str, *, which: Which = "best", device: torch.device | str = "cpu"
) -> Loaded:
    """The network of a snapshot, to evaluate, predict or export.

    Args:
        run: folder of a run, or of one of its snapshots.
        which: `best` by validation video AUC, or `last`; a snapshot's own folder needs no choice.
        device: where to.

    Raises:
        BadInput: there is no snapshot, or none was validated and the best was asked for.
        BadWeights: the snapshot is damaged, or not one of facekit.
    """
    snapshot = find(Path(run), which)
    config = snapshot.state.config
    model = build(config.model, tokens=config.learns_tokens, fresh=False)
    snapshot.fill(model)
    return Loaded(model.to(device), config, snapshot.state.step, snapshot.sha256[MODEL])


def find(run: Path, which: Which = "best") -> Snapshot:
    """A snapshot of a run, or the one whose folder is given.

    Raises:
        BadInput: there is none, or none was validated and the best was asked for.
        BadWeights: it is damaged.
    """
    if which not in ("best", "last"):
        raise BadInput(f"--which must be best or last, not {which!r}")
    if (run / STATE).exists():
        return read(run)
    snapshot = best(run) if which == "best" else last(run)
    if snapshot is None and steps_of(run):
        raise BadInput(f"{run}: none of its snapshots was validated; ask for the last")
    if snapshot is None:
        raise BadInput(f"{run} holds no snapshot; give the folder of a run that has one")
    return snapshot
