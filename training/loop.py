"""Training: shards in, snapshots of a network out. Reads from top to bottom.

On several GPUs the same function runs in each process that torchrun starts (`training.ranks`).
"""

import itertools
import logging
import shlex
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from facekit.errors import BadInput, Interrupted
from training import checkpoint, fingerprint, held_back, run_folder
from training import log as logs
from training.checkpoint import Snapshot, State
from training.config import Config
from training.data import Batches, Table, open_source, open_table
from training.faces import Faces
from training.learner import NAMES, Learner
from training.pace import Pace, peak_flops
from training.ranks import Ranks, joined
from training.validation import Validation
from training.watch import Watch, signals

log = logging.getLogger(__name__)

SNAPSHOT_MINUTES: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run came to.

    Args:
        run: its folder.
        step: steps done.
        steps: of the whole run.
        auc: highest validation video AUC of the snapshots kept; None where nothing was validated.
        best_step: after how many steps.
        images_per_s: over the steps of this call but the first few; None where there were no more.
        mfu: share of the device's arithmetic used; None where its peak is not known.
        seconds: that this call took.
    """

    run: Path
    step: int
    steps: int
    auc: float | None
    best_step: int | None
    images_per_s: float | None
    mfu: float | None
    seconds: float

    def lines(self) -> list[str]:
        """For a person."""
        told = [f"{self.run}: {self.step} of {self.steps} steps, {self.seconds:,.0f} s"]
        if self.images_per_s is not None:
            used = "" if self.mfu is None else f", {self.mfu:.1%} of the device's peak"
            told.append(f"{self.images_per_s:,.1f} images/s{used}")
        if self.auc is not None:
            told.append(f"best validation video AUC {self.auc:.4f}, at step {self.best_step}")
        return told

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "run": str(self.run)}


def train(
    shards: Sequence[Path | str],
    out: Path | str,
    *,
    config: Config | None = None,
    device: str = "auto",
    tier: str = "auto",
    resume: bool = False,
    steps: int | None = None,
    snapshot_minutes: float = SNAPSHOT_MINUTES,
    tensorboard: bool = False,
    tell: Callable[[logs.Line], None] | None = None,
) -> Trained:
    """Train a forgery detector, or go on with a run that was stopped.

    A run is a function of shards and config: however often it is stopped and resumed, on the CPU it
    comes to the same weights, bit for bit.

    Args:
        shards: folders that `facekit extract` wrote; with `resume` none takes those of the run.
        out: folder of the run.
        config: what decides it; None takes the defaults, or with `resume` the run's own.
        device: `auto`, `cpu` or `cuda`.
        tier: where the crops are kept: `device`, `pinned`, `disk`, or `auto`: the first with room.
        resume: go on from the last snapshot. A run that torchrun restarts does so by itself.
        steps: stop when this many are done; None does all. The learning rate is that of all.
        snapshot_minutes: longest time between two snapshots, up to the next line of the log; there
            is one after each validation.
        tensorboard: also log for TensorBoard.
        tell: called with each line of the log, on the first rank.

    Returns:
        What it came to.

    Raises:
        BadInput: shards, config or folder cannot be used as given, or are not those of the run.
        BadShard: a shard is damaged.
        BadWeights: a snapshot, or a file to start from, is damaged.
        MissingWeights: the backbone's weights are neither at hand nor could be fetched.
        MissingDevice: there is no such device, or TensorBoard is not installed.
        Diverged: a loss or gradient is not finite; the batch has been written out.
        DiskFull: the disk ran out; snapshots before stay.
        FolderLocked: another process trains there.
        Interrupted: a signal ended the run; the message holds the command that resumes.
    """
    began_s = time.monotonic()
    folder = Path(out)
    with ExitStack() as stack:
        ranks = stack.enter_context(joined(device))
        if ranks.is_first:
            stack.enter_context(run_folder.locked(folder))
            again = resume or (ranks.restarts > 0 and run_folder.exists(folder))
            run_folder.begin(folder, [Path(each) for each in shards], config, resume=again)
        ranks.wait()
        run = _Run(folder, ranks, stack, tier=tier, tell=tell, tensorboard=tensorboard)
        run.go(steps=steps, snapshot_minutes=snapshot_minutes)
        return run.trained(time.monotonic() - began_s)


def resume(run: Path | str, **options: Any) -> Trained:
    """Go on with a run: `train` with the shards and config it was started with.

    Args:
        run: its folder.
        **options: of `train`.
    """
    return train((), run, resume=True, **options)


class _Run:
    """A run under way on this rank."""

    def __init__(
        self,
        folder: Path,
        ranks: Ranks,
        stack: ExitStack,
        *,
        tier: str,
        tell: Callable[[logs.Line], None] | None,
        tensorboard: bool,
    ) -> None:
        self.folder, self.ranks = folder, ranks
        paths, self.config = run_folder.read(folder)
        training, data = self.config.training, self.config.data
        snapshot = checkpoint.last(folder)

        table = open_table(paths, data, training.seed)
        self.data = fingerprint.of(paths)
        self._require_same_run(snapshot)
        if snapshot is None:
            self._remember(table)
        learnt = table.subset("train").frames(data.frames)
        source = stack.enter_context(open_source(learnt, ranks.device, tier, sharing=ranks.here))
        self.batches = Batches(learnt, source, batch=training.batch, data=data, seed=training.seed)
        self.validation = None
        if training.validate_every and ranks.is_first:
            self.validation = Validation(table, self.config, ranks.device, tier)
            stack.enter_context(self.validation)
        self.steps = training.epochs * self.batches.steps
        self._require_even_parts()

        self.learner = Learner(self.config, ranks, steps=self.steps, snapshot=snapshot)
        peak = peak_flops(ranks.device, training.precision)
        self.pace = Pace(macs=self.learner.macs, peak=peak and peak * ranks.world)
        self.step, self.losses = 0, dict.fromkeys(NAMES, 0.0)
        if snapshot is not None:
            self.step, self.losses = snapshot.state.step, dict(snapshot.state.losses)
            log.info("goes on from %s", snapshot.path)

        self.stop = stack.enter_context(signals(patient=ranks.is_launched))
        self.watch = Watch(folder, ranks, self.stop)
        self.log: logs.Log | None = None
        if ranks.is_first:
            opened = logs.opened(
                folder / run_folder.LOG, after_step=self.step, tell=tell, tensorboard=tensorboard
            )
            self.log = stack.enter_context(opened)

    def _remember(self, table: Table) -> None:
        """Which videos the run must not be tested on, those of the run it starts from included."""
        videos, start = table.videos, self.config.training.start
        if start:
            begun = checkpoint.find(Path(start).expanduser(), "last")
            videos = held_back.with_those_before(videos, held_back.read(begun.run))
        if self.ranks.is_first:
            held_back.write(self.folder, videos)

    def _require_same_run(self, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            return
        run_folder.require_same(snapshot.state.config, self.config, self.folder)
        if self.data != snapshot.state.data:
            raise BadInput(
                f"{self.folder} was trained on other shards: their manifests are not those that "
                f"{snapshot.path.name} tells of; put the shards back, or give another folder"
            )

    def _require_even_parts(self) -> None:
        """A mean of the parts' means is that of the batch only if they are of one length."""
        training, world = self.config.training, self.ranks.world
        faces = training.batch // 2 if self.config.data.task == "tampered" else training.batch
        if faces % (world * training.accumulate):
            raise BadInput(
                f"training.batch {training.batch} gives {faces} faces a step, which {world} ranks "
                f"cannot cut into {training.accumulate} equal parts each"
            )

    def go(self, *, steps: int | None, snapshot_minutes: float) -> None:
        """Take the steps that are left."""
        until = self.steps if steps is None else min(steps, self.steps)
        saved_s = time.monotonic()
        while self.step < until:
            with closing(self._epoch()) as stream:
                for faces in itertools.islice(stream, until - self.step):
                    self._take(faces)
                    is_end = self.step % self.batches.steps == 0
                    is_logged = self.step % self.config.training.log_every == 0
                    is_over = self.step == until or self.watch.told_to_stop
                    if not (is_logged or is_end or is_over):
                        continue
                    # Only here, at the same steps on every rank, is a step waited for.
                    self._count(self.watch.flush())
                    if is_logged:
                        self._log({**self._means(), **self._speed()})
                    auc = self._validated() if is_end else None
                    is_late = time.monotonic() - saved_s > 60.0 * snapshot_minutes
                    if auc is not None or is_late or is_over or self.watch.told_to_stop:
                        self._save(auc)
                        saved_s = time.monotonic()
                    if self.watch.told_to_stop and self.step < self.steps:
                        self._interrupt()

    def _epoch(self) -> Generator[Faces]:
        """What is left of the epoch, as this rank sees it."""
        epoch, position = divmod(self.step, self.batches.steps)
        yield from self.batches.epoch(
            epoch, start=position, rank=self.ranks.rank, ranks=self.ranks.world
        )

    def _take(self, faces: Faces) -> None:
        training = self.config.training
        epoch = self.step // self.batches.steps
        parts = [faces[part :: training.accumulate] for part in range(training.accumulate)]
        values = self.learner.take(parts, epoch=epoch, step=self.step)
        self._count(self.watch.launched(self.step, epoch, parts, values))
        self.step += 1
        self.pace.step(training.batch)

    def _count(self, values: dict[str, float] | None) -> None:
        """Add what a step came to."""
        if values is not None:
            self.losses = {name: self.losses[name] + values[name] for name in NAMES}

    def _means(self) -> dict[str, float | None]:
        """Over the steps since the last line, which may lie before a resume."""
        sums, self.losses = self.losses, dict.fromkeys(NAMES, 0.0)
        count = self.config.training.log_every
        return {name: total / count for name, total in sums.items()}

    def _speed(self) -> dict[str, float | None]:
        return {"rate": self.learner.rate(self.step - 1), **self.pace.take()}

    def _log(self, values: dict[str, float | None]) -> None:
        if self.log is not None:
            share = self.step / self.batches.steps
            self.log.write(logs.Line(step=self.step, steps=self.steps, epoch=share, values=values))

    def _validated(self) -> float | None:
        """Validation video AUC, the same on all ranks; None where it is not this epoch's turn."""
        every, epoch = self.config.training.validate_every, self.step // self.batches.steps
        if not every or (epoch % every and self.step < self.steps):
            return None
        with self.pace.paused():
            auc = None if self.validation is None else self.validation.auc(self.learner.model)
            auc = self.ranks.told(auc)
        if auc is not None:
            self._log({"auc": auc})
        return auc

    def _save(self, score: float | None) -> None:
        """Publish a snapshot, on the first rank; the others meet it again at the next step."""
        if not self.ranks.is_first:
            return
        epoch, position = divmod(self.step, self.batches.steps)
        state = State(
            config=self.config,
            step=self.step,
            epoch=epoch,
            position=position,
            steps_per_epoch=self.batches.steps,
            rate=self.learner.rate(self.step - 1),
            world=self.ranks.world,
            data=self.data,
            score=score,
            losses=self.losses,
            versions=fingerprint.versions(),
        )
        with self.pace.paused():
            checkpoint.write(
                self.folder,
                state,
                model=self.learner.model.state_dict(),
                optimiser=self.learner.remembered(),
            )
            checkpoint.prune(self.folder, self.config.training.keep)

    def _interrupt(self) -> None:
        number = self.stop[0] if self.stop else 15
        raise Interrupted(
            f"stopped at step {self.step} of {self.steps}; go on with: "
            f"facekit train --resume {shlex.quote(str(self.folder))}",
            number,
        )

    def trained(self, seconds: float) -> Trained:
        """What it came to."""
        best = checkpoint.best(self.folder)
        return Trained(
            run=self.folder,
            step=self.step,
            steps=self.steps,
            auc=None if best is None else best.state.score,
            best_step=None if best is None else best.state.step,
            seconds=seconds,
            **self.pace.overall(),
        )
