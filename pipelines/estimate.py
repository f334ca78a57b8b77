"""What a run would take, from a few of its videos measured for real."""

import dataclasses
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facekit import schema, shards
from facekit.options import Measurement, Run
from facekit.video import Video
from pipelines import jobs
from pipelines.signals import stopping
from pipelines.summary import Estimate
from pipelines.workers import Workers

SAMPLE: Final = 3
"""Videos measured for an estimate."""


def estimate(
    videos: Sequence[Video], measurement: Measurement, run: Run, *, folder: Path
) -> Estimate:
    """Measure a few videos, spread evenly, into a folder that is thrown away, and extrapolate.

    Args:
        videos: what is to be done.
        measurement: how.
        run: with how many workers, on which device.
        folder: where the shards would go.

    Returns:
        What all of it would take.

    Raises:
        Interrupted: a signal came.
    """
    count = min(SAMPLE, len(videos))
    chosen = [videos[i * len(videos) // count] for i in range(count)]
    config = {
        "measurement": dataclasses.asdict(measurement),
        "device": run.device,
        "header": None,
    }
    faces = part_bytes = failed = 0
    began_s = time.monotonic()
    seconds = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        tasks = (
            (v.key, {"do": "measure", "video": jobs.video_to(v), "part": f"{scratch}/{i}.h5"})
            for i, v in enumerate(chosen)
        )
        with (
            Workers(
                "pipelines.jobs:measuring",
                config,
                jobs=1,
                timeout_s=run.timeout,
                max_rss_mib=run.max_rss,
            ) as workers,
            stopping(workers),
        ):
            for outcome in workers.run(tasks):
                result = outcome.result or {}
                failed += result.get("status") not in schema.SUCCESSES
                faces += result.get("faces", 0)
                part_bytes += result.get("part_bytes", 0)
                seconds += outcome.duration_s
            jobs.pass_on_warnings(workers.info)
    start_s = time.monotonic() - began_s - seconds
    scale = len(videos) / count if count else 0.0
    workers_count = max(1, min(run.jobs or os.cpu_count() or 1, len(videos)))
    return Estimate(
        videos=len(videos),
        measured=count,
        failed=failed,
        faces=math.ceil(faces * scale),
        shard_bytes=math.ceil(part_bytes * scale),
        duration_s=start_s + seconds * scale / workers_count,
        free_bytes=shards.free_bytes(
            next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
        ),
    )
