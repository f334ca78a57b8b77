"""Many videos become shards: plan, measure in worker processes, pack, account for every input."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from facekit import schema, shards
from facekit.errors import BadInput, DiskFull
from facekit.options import Measurement, Run
from facekit.video import Video
from pipelines import jobs, lock, manifest, packing, summary
from pipelines.ledger import LedgerRow, write_csv
from pipelines.packing import Group, KeyedTask, ShardPlan
from pipelines.progress import Progress
from pipelines.run_folder import RunFolder, ShardContent, part_name
from pipelines.signals import stopping
from pipelines.workers import Outcome, Workers

OnProgress = Callable[[Progress], None]

_SURE_FRAMES: Final = 250
"""Ten seconds: beyond that no video is sure to have as many frames as were asked for."""


def extract(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    dataset: str | None = None,
    on_progress: OnProgress = lambda progress: None,
    **options: Any,
) -> summary.Extraction:
    """Turn raw videos into shards of faces, landmarks, action units and masks.

    A run that was killed or interrupted goes on where it was when it is called again. The shards
    are the same bytes for any number of workers, any order of inputs, and however often resumed.

    Args:
        inputs: video files, folders, globs, image folders, a CSV or Parquet table, or with
            `dataset` the root of a known layout.
        out: folder for the shards; made if it is not there.
        dataset: name of a known layout, such as `ffpp`; None takes inputs as they are.
        on_progress: called when a video ends.
        **options: fields of `facekit.options.Measurement` and `facekit.options.Run`, by name.

    Returns:
        What became of every input.

    Raises:
        BadInput: an option, an input or the folder cannot be used as given.
        MissingWeights: a model file is not at hand and cannot be fetched.
        DiskFull: the disk ran out; call again when there is room.
        FolderLocked: another run is writing to `out`.
        Interrupted: a signal ended the run; call again to resume.

    >>> extract("videos/", "shards/", frames="seven")
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: --frames must be a number, every:N or all, not 'seven'
    """
    began_s = time.monotonic()
    measurement, run = split_options(options)
    listed = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    index, count = run.part_of()
    if not str(out):
        raise BadInput("--out is empty; give a folder for the shards")
    videos = manifest.videos_of(listed, dataset=dataset)
    if count > len(videos):
        raise BadInput(
            f"--part {run.part}: there are {len(videos)} videos, so at most as many parts"
        )
    path = Path(out) if count == 1 else Path(out) / part_name(index, count)
    folder = RunFolder(path)
    folder.refuse_file()
    share = manifest.part_of(videos, index, count)
    if run.dry_run:
        return _Extraction(folder, share, measurement, run, on_progress, began_s).estimate()
    folder.make()
    with lock.locked(path, force=run.force):
        folder.remove_leftovers()
        return _Extraction(folder, share, measurement, run, on_progress, began_s).carry_out()


def split_options(options: Mapping[str, Any]) -> tuple[Measurement, Run]:
    """Sort options by name into what decides the result and what only decides the run.

    Raises:
        BadInput: a name that is no option, or a value out of range.

    >>> split_options({"frames": "8", "jobs": 2})[1].jobs
    2
    """
    kinds = (Measurement, Run)
    names = [{field.name for field in dataclasses.fields(kind)} for kind in kinds]
    unknown = sorted(options.keys() - names[0] - names[1])
    if unknown:
        raise BadInput(
            f"{unknown[0]!r} is no option of extract; there are "
            f"{', '.join(sorted(names[0] | names[1]))}"
        )
    measurement, run = ({n: options[n] for n in own if n in options} for own in names)
    return Measurement(**measurement), Run(**run)


class _Extraction:
    """One run: knows the inputs, what is settled, and what is still to do."""

    def __init__(
        self,
        folder: RunFolder,
        videos: list[Video],
        measurement: Measurement,
        run: Run,
        on_progress: OnProgress,
        began_s: float,
    ) -> None:
        self._folder = folder
        self._videos = {video.key: video for video in videos}
        self._measurement = measurement
        self._run = run
        self._on_progress = on_progress
        self._began_s = began_s
        folder.refuse_other(measurement)
        self._contents = folder.shard_contents()
        self._settled = folder.settled(videos, self._contents, retry_failed=run.retry == "failed")
        self._pending = [video for video in videos if video.key not in self._settled]
        self._resumed = len(self._settled)
        self._faces = 0
        self._failed = sum(
            summary.is_failure(row, strict=run.strict) for row in self._settled.values()
        )
        self._plan = ShardPlan(list(self._videos), images=measurement.images)
        self._devices: Mapping[str, str] = {}
        self._header = folder.header()

    def estimate(self) -> summary.Extraction:
        """Say what would be done, from a few videos measured into a folder that is thrown away."""
        from pipelines import estimate

        found = estimate.estimate(
            self._pending, self._measurement, self._run, folder=self._folder.path
        )
        return dataclasses.replace(self._summary(), estimate=found)

    def carry_out(self) -> summary.Extraction:
        """Measure what is pending, pack, and publish the manifest last."""
        self._folder.make(parts=True)
        due = self._start_over_from_stale()
        if self._pending:
            self._require_room()
            self._measure(due)
        self._pack([*due, *self._plan.due(self._settled)])
        self._publish()
        return self._summary()

    # Measuring ---------------------------------------------------------------------------------

    def _measure(self, due: list[tuple[int, Group]]) -> None:
        with self._workers() as workers, stopping(workers):
            # One worker first: it fetches model files once for all, and fails before any is read.
            info = workers.start()
            jobs.pass_on_warnings(info)
            if info:
                self._devices = info["devices"]
                self._header = jobs.header_from(info["header"])
            for outcome in workers.run(self._tasks(due)):
                if outcome.key not in self._videos:
                    packing.raise_if_unpacked(outcome, self._folder.path)
                elif outcome.kind != "stopped":
                    self._settle(outcome)
                    due.extend(self._plan.due(self._settled))
                    self._show()
            # What has become due since goes to the same workers: they need not be started.
            packing.pack_all(workers, [self._pack_task(*one) for one in due], self._folder.path)
            due.clear()

    def _workers(self) -> Workers:
        return Workers(
            "pipelines.jobs:measuring",
            {
                "measurement": dataclasses.asdict(self._measurement),
                "device": self._run.device,
                "header": None if self._header is None else jobs.header_to(self._header),
            },
            jobs=max(1, min(self._run.jobs or os.cpu_count() or 1, len(self._pending))),
            timeout_s=self._run.timeout,
            max_rss_mib=self._run.max_rss,
            engine=self._run.engine,
        )

    def _tasks(self, due: list[tuple[int, Group]]) -> Iterator[KeyedTask]:
        """Videos to measure, and between them the shards that have become due."""
        for video in self._pending:
            while due:
                yield self._pack_task(*due.pop(0))
            part = str(self._folder.part_path(video.key))
            yield video.key, {"do": "measure", "video": jobs.video_to(video), "part": part}

    def _settle(self, outcome: Outcome) -> None:
        if packing.ran_out_of_room(outcome, self._folder.path):
            raise DiskFull(
                f"no room left in {self._folder.path} after {len(self._settled)} of "
                f"{len(self._videos)} videos; make room and run the same command again"
            )
        row = _ledger_row(outcome)
        self._folder.ledger.append(row)
        self._settled[row.key] = row
        self._faces += row.faces
        self._failed += summary.is_failure(row, strict=self._run.strict)

    def _show(self) -> None:
        self._on_progress(
            Progress(
                done=len(self._settled),
                total=len(self._videos),
                resumed=self._resumed,
                faces=self._faces,
                failed=self._failed,
                elapsed_s=time.monotonic() - self._began_s,
            )
        )

    # Packing -----------------------------------------------------------------------------------

    def _start_over_from_stale(self) -> list[tuple[int, Group]]:
        """Take apart the shards that new or retried videos change; give what can be written.

        Every video stays in at least one file at every instant: its part is published before its
        shard is removed.
        """
        due = list(self._plan.due(self._settled))
        first = packing.first_stale(self._contents, [group for _, group in due])
        stale = self._contents[first:]
        if self._pending or stale or len(due) > len(self._contents):
            self._folder.manifest.unlink(missing_ok=True)
        if stale:
            self._run_packing([self._unpack_task(content) for content in reversed(stale)])
        return due[first:]

    def _unpack_task(self, content: ShardContent) -> KeyedTask:
        parts = {
            row.key: self._folder.part_path(row.key)
            for row in content.rows
            if row.was_read and row.key in self._settled
        }
        return packing.unpack_task(
            content.path, {key: part for key, part in parts.items() if not part.exists()}
        )

    def _pack_task(self, index: int, group: Group) -> KeyedTask:
        parts = {row.key: self._folder.part_path(row.key) for row in group if row.was_read}
        sources = [
            {"file": str(parts[row.key]), "key": row.key}
            if row.key in parts
            else {"video": jobs.video_to(self._videos[row.key]), "status": row.status}
            for row in group
        ]
        return packing.pack_task(self._folder.shard_path(index), sources, remove=parts.values())

    def _pack(self, due: Sequence[tuple[int, Group]]) -> None:
        if due:
            self._run_packing([self._pack_task(index, group) for index, group in due])

    def _run_packing(self, tasks: Sequence[KeyedTask]) -> None:
        if self._header is None:
            # No video has left a part, so only the models themselves can tell what a shard says.
            with self._workers() as workers:
                self._header = jobs.header_from(workers.start()["header"])
        packing.run_packing(tasks, self._folder.path, self._header, self._run)

    # Around ------------------------------------------------------------------------------------

    def _require_room(self) -> None:
        """Refuse at the door what cannot fit, where the number of frames is known beforehand."""
        if not (self._measurement.frames.isdigit() and self._measurement.face == "largest"):
            return
        faces = min(int(self._measurement.frames), _SURE_FRAMES) * len(self._pending)
        shards.require_free(
            self._folder.path,
            int(1.2 * faces * shards.bytes_per_face(self._measurement)),
        )

    def _publish(self) -> None:
        rows = [self._settled[key] for key in self._videos]
        write_csv(self._folder.ledger_csv, rows)
        if not (self._folder.manifest.exists() and shards.verify(self._folder.path).ok):
            shards.write_manifest(self._folder.path)
        self._folder.remove_parts()

    def _summary(self) -> summary.Extraction:
        return summary.of_rows(
            self._folder.path,
            [self._settled[key] for key in self._videos if key in self._settled],
            pending=len(self._videos) - len(self._settled),
            strict=self._run.strict,
            duration_s=time.monotonic() - self._began_s,
            devices=self._devices,
            embedded=self._measurement.embedded_roles(),
        )


def _ledger_row(outcome: Outcome) -> LedgerRow:
    """The row that an outcome of the supervisor becomes."""
    statuses: dict[str, schema.Status] = {
        "crashed": "crashed",
        "timeout": "timeout",
        "out_of_memory": "out_of_memory",
    }
    ended = outcome.result or {
        "status": statuses.get(outcome.kind, "error"),
        "reason": outcome.reason,
    }
    return LedgerRow(
        key=outcome.key,
        duration_s=round(outcome.duration_s, 3),
        peak_rss_mib=round(outcome.peak_rss_mib, 1),
        **ended,
    )
