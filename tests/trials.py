"""Runs of `facekit extract` that are killed or starved, and what must come of them.

The tests make a few such trials, the benchmarks hundreds.
"""

import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import clips as clip_maker
import numpy as np
import psutil

PLUGINS = Path(__file__).parent / "plugins"
OPTIONS = (
    *("--detector", "brightest", "--landmarker", "oval", "--au", "none"),
    *("--frames", "all", "--size", "48", "--jobs", "2", "--device", "cpu", "--quiet"),
)
LOGS = ("ledger.jsonl", "ledger.csv", "parts", ".facekit.lock")


def make_faces(path: Path, *, frames: int = 10, seed: int = 0, black=()) -> Path:
    """Write a clip of moving blocks, in which the test's detector sees a face; none where black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(40, 216, (8, 8, 3))

    def picture(index: int, width: int, height: int) -> np.ndarray:
        if index in black:
            return np.zeros((height, width, 3), np.uint8)
        moved = np.kron(blocks, np.ones((8, 8, 1)))[index % 8 :]
        return moved[:height, :width].astype(np.uint8)

    return clip_maker.make_clip(path, frames=frames, size_wh=(64, 48), picture=picture)


def make_clips(folder: Path, count: int = 9) -> Path:
    """Clips that fill a few shards, one of them without a face and one that is no video."""
    for seed in range(count - 2):
        make_faces(folder / f"{seed:02d}.mp4", frames=110 + 7 * seed, seed=seed)
    make_faces(folder / "black.mp4", frames=5, black=range(5))
    (folder / "text.mp4").write_text("this is no video")
    return folder


def start(clips: Path, out: Path, **popen) -> subprocess.Popen:
    """Begin an extraction in a session of its own."""
    path = os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "facekit", "extract", str(clips), "-o", str(out), *OPTIONS],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **popen,
    )


def finish(clips: Path, out: Path, **popen) -> tuple[int, str]:
    """Run an extraction to its end; gives the exit code and what it said."""
    process = start(clips, out, **popen)
    _, said = process.communicate(timeout=300)
    return process.returncode, said


def kill_tree(process: subprocess.Popen) -> None:
    """SIGKILL to a process and all its descendants at once."""
    try:
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.communicate()


def digests(out: Path) -> dict[str, str]:
    """File name -> sha256 of everything in a dataset but the logs of the run itself."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.iterdir())
        if path.name not in LOGS
    }


def ledger(out: Path) -> list[tuple[str, str, str]]:
    """Key, status and faces of each input, as the closing ledger tells them."""
    with (out / "ledger.csv").open(newline="") as file:
        return [(row["key"], row["status"], row["faces"]) for row in csv.DictReader(file)]


def kill_at_random(clips: Path, out: Path, rng: random.Random, run_s: float) -> str:
    """Kill a run at a random instant; gives how far it was.

    Half of the instants are spread over the whole run, start-up included; the others lie just
    after a random video has ended, where parts are renamed, the ledger grows and shards are packed.
    """
    process = start(clips, out)
    if rng.random() < 0.5:
        _wait(process, rng.uniform(0, run_s))
    else:
        rows = rng.randint(1, len(list(clips.iterdir())))
        while process.poll() is None and _rows(out) < rows:
            _wait(process, 0.002)
        _wait(process, rng.uniform(0, 0.05))
    kill_tree(process)
    return f"{_rows(out)} rows, {len(list(out.glob('faces-*.h5')))} shards"


def _wait(process: subprocess.Popen, seconds: float) -> None:
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return


def _rows(out: Path) -> int:
    path = out / "ledger.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def timed(clips: Path, out: Path) -> float:
    """Run undisturbed; gives the seconds it took."""
    began = time.monotonic()
    exit_code, said = finish(clips, out)
    assert exit_code == 3, said  # the text file is a failure, and the only one
    return time.monotonic() - began
