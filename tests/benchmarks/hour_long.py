"""The memory of a worker over an hour-long video.

    FACEKIT_WEIGHTS=... python tests/benchmarks/hour_long.py --every 10

The video is a real clip, made small, encoded once and repeated for an hour without encoding again.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import psutil

SIZE_WH = (320, 240)
FPS = 25


def make_hour(path: Path, seconds: int) -> None:
    """Repeat the packets of one encoded pass until the video is long enough."""
    feat = importlib.util.find_spec("feat")
    clip = Path(feat.origin).parent / "tests/data/WolfgangLanger_Pexels.mp4"
    with tempfile.TemporaryDirectory() as scratch:
        once = Path(scratch) / "once.mp4"
        with av.open(str(clip)) as source, av.open(str(once), "w") as target:
            stream = target.add_stream("libx264", rate=FPS, options={"bf": "0"})
            stream.width, stream.height, stream.pix_fmt = *SIZE_WH, "yuv420p"
            for index, frame in enumerate(source.decode(video=0)):
                small = frame.reformat(*SIZE_WH, format="yuv420p")
                small.pts, small.time_base = index, Fraction(1, FPS)
                target.mux(stream.encode(small))
            target.mux(stream.encode())
        with av.open(str(path), "w") as target:
            shift, stream, ticks_s = 0, None, 1.0
            while shift * ticks_s < seconds:
                with av.open(str(once)) as source:
                    video = source.streams.video[0]
                    stream = stream or target.add_stream_from_template(video)
                    ticks_s = float(video.time_base)
                    for packet in source.demux(video):
                        if packet.dts is None:
                            continue
                        packet.pts += shift
                        packet.dts += shift
                        end = packet.pts + packet.duration
                        packet.stream = stream
                        target.mux(packet)
                    shift = end


def watch(command: list[str]) -> list[tuple[float, float]]:
    """Run; gives (seconds, MiB) of the largest descendant, twice a second."""
    process = subprocess.Popen(command)
    began_s, seen = time.monotonic(), []
    while True:
        try:
            process.wait(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            family = psutil.Process(process.pid).children(recursive=True)
            sizes = []
            for member in family:
                try:
                    sizes.append(member.memory_info().rss / 2**20)
                except psutil.NoSuchProcess:
                    continue
            if sizes:
                seen.append((time.monotonic() - began_s, max(sizes)))
    assert process.returncode == 0
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--detector", default="yunet")
    parser.add_argument("--landmarker", default="mobilefacenet")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        hour = Path(scratch) / "hour.mp4"
        make_hour(hour, asked.seconds)
        seen = watch(
            [
                *(sys.executable, "-m", "facekit", "extract", str(hour)),
                *("-o", f"{scratch}/out", "--jobs", "1", "--frames", f"every:{asked.every}"),
                *("--detector", asked.detector, "--landmarker", asked.landmarker),
            ]
        )
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        second, mib = seen[min(len(seen) - 1, int(share * len(seen)))]
        print(f"after {second:6.1f} s  {mib:6.0f} MiB")
    print(f"peak {max(mib for _, mib in seen):.0f} MiB")


if __name__ == "__main__":
    main()
