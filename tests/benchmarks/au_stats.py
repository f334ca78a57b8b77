"""Time and memory of `facekit au-stats` on ten million synthetic faces in 20,000 videos, one core.

    python tests/benchmarks/au_stats.py [--faces 10000000] [--videos 20000]

A fifth of the videos are real, the others the fakes of four methods. The shards are as facekit
writes them, but for their labels all zeros; smaller ones show how time grows.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from facekit import schema
from facekit.faces import VideoRecord
from facekit.openface_files import AU_NAMES
from facekit.options import Measurement
from facekit.shards import Header, write_manifest
from facekit.shards.layout import LIBVER, create, encode_record
from facekit.shards.manifest import shard_name
from facekit.shards.seal import SEAL_BYTES, seal
from facekit.video import Video

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SHARD_FACES = 262_144


def header() -> Header:
    measurement = Measurement(images=False, detector="yunet", landmarker="pfld", au="openface-csv")
    return Header(
        provenance=schema.Provenance(
            measurement=measurement.as_json(),
            au_names=AU_NAMES,
            au_mode="imported",
            backends={"action_units": {"name": "openface-csv", "models": {}}},
        ),
        size_px=measurement.size,
        images=False,
    )


def records(videos: int, faces_each: int) -> list[VideoRecord]:
    """Reals and the fakes made from them, in order of key; neighbours share their people."""
    made = []
    for number in range(videos // (1 + len(METHODS))):
        real = f"synthetic/youtube/c23/{number:05d}"
        group = f"synthetic/{number // 2:05d}"
        named = [(real, "youtube", 0, "")]
        named += [(f"synthetic/{m}/c23/{number:05d}", m, 1, real) for m in METHODS]
        for key, method, label, original in named:
            video = Video(
                key=key,
                path=Path(key),
                relative_path=f"{key}.mp4",
                dataset="synthetic",
                method=method,
                compression="c23",
                label=label,
                original=original,
                group=group,
            )
            counts = dict.fromkeys(
                ("frames_expected", "frames_decoded", "frames_sampled", "frames_with_face"),
                faces_each,
            )
            made.append(VideoRecord(video=video, status="ok", fps=25.0, **counts))
    return sorted(made, key=lambda record: record.video.key)


def write_shard(path: Path, told: Header, of_shard: list[VideoRecord], faces_each: int) -> None:
    """A shard with random labels; of the other columns one chunk of zeros is written throughout."""
    rows = faces_each * len(of_shard)
    rng = np.random.default_rng(rows + len(path.name))
    rates = np.linspace(0.05, 0.6, len(AU_NAMES), dtype=np.float32)
    values = {
        "au_occurrence": (rng.random((rows, len(AU_NAMES)), np.float32) < rates).astype(np.int8),
        "video_id": np.repeat(np.arange(len(of_shard), dtype=np.int32), faces_each),
        "frame_index": np.tile(np.arange(faces_each, dtype=np.int32), len(of_shard)),
    }
    with h5py.File(path, "w", libver=LIBVER, userblock_size=SEAL_BYTES) as file:
        create(file, told)
        for name in told.stored():
            dataset = file[name]
            dataset.resize(rows, axis=0)
            if name in values:
                dataset[:] = values[name]
                continue
            dataset[: dataset.chunks[0]] = np.zeros(dataset.chunks, dataset.dtype)
            _, chunk = dataset.id.read_direct_chunk((0,) * dataset.ndim)
            for start in range(dataset.chunks[0], rows, dataset.chunks[0]):
                dataset.id.write_direct_chunk((start, *(0,) * (dataset.ndim - 1)), chunk)
        encoded = [encode_record(record) for record in of_shard]
        for name in schema.VIDEOS:
            dataset = file["videos"][name]
            dataset.resize(len(of_shard), axis=0)
            dataset[:] = np.concatenate([each[name] for each in encoded])
    seal(path)
    if shutil.which("fallocate"):
        subprocess.run(["fallocate", "--dig-holes", path], check=True)


def make(folder: Path, faces: int, videos: int) -> Path:
    folder.mkdir()
    faces_each = faces // videos
    everyone = records(videos, faces_each)
    each_shard = SHARD_FACES // faces_each
    for i, start in enumerate(range(0, len(everyone), each_shard)):
        of_shard = everyone[start : start + each_shard]
        write_shard(folder / shard_name(i), header(), of_shard, faces_each)
    write_manifest(folder)
    return folder


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak MiB of a command on one core."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    core = max(os.sched_getaffinity(0))
    began_s = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {status}")
    return time.monotonic() - began_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


COUNT = """
import sys
from pipelines.au_counts import count
from pipelines.au_labels import ShardLabels
print(int(count([ShardLabels(sys.argv[1])]).faces_V.sum()), "faces counted")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=10_000_000)
    parser.add_argument("--videos", type=int, default=20_000)
    parser.add_argument("--scratch", type=Path, help="where the shards go: 18 GB, mostly holes")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    *_, bare_mib = measured([sys.executable, "-c", "pass"])
    for part in (1, 2, 4):
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            faces, videos = options.faces // part, options.videos // part
            shards = make(Path(scratch) / "shards", faces, videos)
            out = Path(scratch) / "stats"
            command = [sys.executable, "-m", "facekit", "au-stats", str(shards), "-o", str(out)]
            for name, run in (
                ("counting", [sys.executable, "-c", COUNT, str(shards)]),
                ("whole command", command),
                ("two volumes", [*command, "--volumes", "0.2,0.8", "-q"]),
            ):
                wall_s, cpu_s, peak_mib = measured(run)
                print(
                    f"{faces:,} faces, {videos:,} videos, {name}: {wall_s:.1f} s, "
                    f"CPU {cpu_s:.1f} s, "
                    f"{peak_mib - bare_mib:.0f} MiB beyond the interpreter's {bare_mib:.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
