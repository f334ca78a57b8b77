"""What the data pipeline adds to a training step, images a second, and FLOP utilisation.

    python tests/benchmarks/train_step.py                  # the paper's network on CUDA, else small
    python tests/benchmarks/train_step.py --shards FOLDER --set model.size_px=256 --steps 200

Two kinds of step take turns on the same network: one takes its faces from the shards (framing,
tampering and all), the other a batch that was prepared once and lies on the device. On CUDA time
is that of events on the device around many steps, so that launches may run ahead as they do in
training; on the CPU it is processor time of one thread.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import torch
from synthetic_faces import make_shards

from training.config import Config, read_config
from training.data import Batches, open_source, open_table
from training.learner import Learner
from training.pace import OPERATIONS_PER_MAC, peak_flops
from training.ranks import joined
from training.step import losses_of, prepare

SMALL = ("model.backbone=resnet18", "model.size_px=112", "training.batch=16")
WARM_STEPS = 8


def seconds(device: torch.device, run: Callable[[], None]) -> float:
    """What a run of steps takes."""
    if device.type == "cpu":
        began = time.process_time()
        run()
        return time.process_time() - began
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


class Bench:
    """A learner, and the two kinds of step that it is given."""

    def __init__(self, config: Config, shards: Path, learner: Learner) -> None:
        self.config, self.learner = config, learner
        training, data = config.training, config.data
        table = open_table([shards], data, training.seed).subset("train").frames(data.frames)
        source = open_source(table, learner.ranks.device)
        self.batches = Batches(table, source, batch=training.batch, data=data, seed=training.seed)
        self.step = 0
        self.stream = self.faces()
        with torch.no_grad():
            self.fixed = prepare(learner.network, next(self.stream), config, epoch=0, step=0)

    def faces(self):
        for epoch in range(10**9):
            yield from self.batches.epoch(epoch)

    def whole(self, steps: int) -> None:
        for _ in range(steps):
            self.learner.take([next(self.stream)], epoch=0, step=self.step)
            self.step += 1

    def resident(self, steps: int) -> None:
        for _ in range(steps):
            forward = partial(losses_of, self.learner.network, self.fixed, self.config)
            self.learner.descend([forward], step=self.step)
            self.step += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, help="real ones; without, some are made up")
    parser.add_argument("--set", dest="sets", action="append", default=[])
    parser.add_argument("--steps", type=int, default=0, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--most", type=float, default=0.0, help="fail above this ratio")
    asked = parser.parse_args()
    with joined() as ranks, tempfile.TemporaryDirectory() as scratch:
        on_gpu = ranks.device.type == "cuda"
        torch.set_num_threads(torch.get_num_threads() if on_gpu else 1)
        # 10**6 epochs, so that the rate stays; weights do not matter to the time.
        fixed = ("model.weights=none", "training.epochs=1000000")
        config = read_config(None, (*fixed, *(() if on_gpu else SMALL), *asked.sets))
        shards = asked.shards or make_shards(
            Path(scratch) / "shards", videos=48 if on_gpu else 16, frames=8, size=288
        )
        bench = Bench(config, shards, Learner(config, ranks, steps=10**9))
        steps = asked.steps or (50 if on_gpu else 3)
        kinds = {"whole": bench.whole, "resident": bench.resident}
        for run in kinds.values():
            run(WARM_STEPS if on_gpu else 1)
        taken: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(asked.turns):
            for kind, run in kinds.items():
                taken[kind].append(seconds(ranks.device, partial(run, steps)) / steps)
        peak = peak_flops(ranks.device, config.training.precision)
        where = torch.cuda.get_device_name(ranks.device) if on_gpu else "one CPU thread"
        options = f"{config.model.name} of {config.model.backbone}, {config.model.size_px} px, "
        print(f"{options}batch {config.training.batch}, {config.training.precision}, {where}")
        for kind, each in taken.items():
            rate = config.training.batch / statistics.median(each)
            used = rate * bench.learner.macs * OPERATIONS_PER_MAC
            share = "" if peak is None else f", {used / peak:.1%} of the device's peak"
            print(
                f"{kind:8}: {statistics.median(each) * 1e3:,.1f} ms a step "
                f"({min(each) * 1e3:,.1f} to {max(each) * 1e3:,.1f}), {rate:,.1f} images/s, "
                f"{used / 1e12:.3f} TFLOP/s{share}"
            )
        ratios = [one / other for one, other in zip(*taken.values(), strict=True)]
        ratio = statistics.median(ratios)
        print(f"whole over resident: {ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
        if on_gpu:
            print(f"most memory: {torch.cuda.max_memory_allocated(ranks.device) / 2**30:.1f} GiB")
    return 1 if asked.most and ratio > asked.most else 0


if __name__ == "__main__":
    sys.exit(main())
