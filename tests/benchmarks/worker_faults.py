"""Inject faults of all kinds into worker processes, and count what each of them costs.

    python tests/benchmarks/worker_faults.py --tasks 600 --faults 200 --seed 0 --jobs 2

Exit code 0 only if every fault cost its own task alone and every task has one outcome.
"""

import argparse
import platform
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipelines.workers import Outcome, Task, Workers

JOBS = Path(__file__).parents[1] / "pipelines"
"""Where the tests keep `faulty_jobs`."""
GOOD = "none (prints garbage)"
TIMEOUT_S = 1.0
MAX_RSS_MIB = 256


@dataclass(frozen=True)
class Fault:
    """A way to harm a worker, and the kind of outcome that it must have."""

    name: str
    task: Task
    kind: str


FAULTS = (
    Fault("SIGSEGV", {"do": "signal", "number": signal.SIGSEGV}, "crashed"),
    Fault("SIGABRT", {"do": "print_and_crash"}, "crashed"),
    Fault("SIGKILL", {"do": "signal", "number": signal.SIGKILL}, "crashed"),
    Fault("os._exit(0)", {"do": "exit", "status": 0}, "crashed"),
    Fault("sys.exit()", {"do": "raise", "what": "exit"}, "crashed"),
    Fault("SIGSTOP", {"do": "stop_itself"}, "timeout"),
    Fault("endless loop in Python", {"do": "spin_in_python"}, "timeout"),
    Fault("endless loop in C", {"do": "spin_in_c"}, "timeout"),
    Fault("waits for ever", {"do": "wait"}, "timeout"),
    Fault("memory leak", {"do": "leak_and_wait", "mib": 2 * MAX_RSS_MIB}, "out_of_memory"),
    Fault("MemoryError", {"do": "raise", "what": "memory"}, "out_of_memory"),
    Fault("exception", {"do": "raise", "what": "value"}, "error"),
    Fault("result that is no JSON", {"do": "return_object"}, "error"),
)


def plan(tasks: int, faults: int, seed: int) -> dict[str, Fault | int]:
    """Key -> fault or number to be echoed, in shuffled order, every kind equally often."""
    kinds: list[Fault | int] = [FAULTS[i % len(FAULTS)] for i in range(faults)]
    kinds += range(tasks - faults)
    random.Random(seed).shuffle(kinds)
    return {f"task {place}": what for place, what in enumerate(kinds)}


def as_expected(what: Fault | int, outcome: Outcome) -> bool:
    """Whether a task ended as it had to: a good one with its own result, a fault as its kind."""
    if isinstance(what, Fault):
        return outcome.kind == what.kind
    return outcome.kind == "done" and (outcome.result or {}).get("echo") == what


def name_of(what: Fault | int) -> str:
    """The row of the table that a task counts in."""
    return what.name if isinstance(what, Fault) else GOOD


def run(planned: dict[str, Fault | int], jobs: int) -> list[Outcome]:
    """Do all tasks under supervision."""
    sys.path.insert(0, str(JOBS))
    tasks = {
        key: what.task if isinstance(what, Fault) else {"do": "print", "value": what}
        for key, what in planned.items()
    }
    limits = {"timeout_s": TIMEOUT_S, "max_rss_mib": MAX_RSS_MIB}
    with Workers("faulty_jobs:make", {}, jobs=jobs, **limits) as workers:
        return list(workers.run(tasks.items()))


def report(planned: dict[str, Fault | int], outcomes: list[Outcome]) -> bool:
    """Print the table; whether all is as it must be."""
    injected = Counter(map(name_of, planned.values()))
    right = Counter(name_of(planned[o.key]) for o in outcomes if as_expected(planned[o.key], o))
    print(f"{'fault':<24}{'tasks':>8}{'as expected':>14}")
    for name, count in sorted(injected.items()):
        print(f"{name:<24}{count:>8}{right[name]:>14}")
    for outcome in outcomes:
        if not as_expected(planned[outcome.key], outcome):
            print(f"WRONG {name_of(planned[outcome.key])}: {outcome.kind}: {outcome.reason}")
    faults = sum(isinstance(what, Fault) for what in planned.values())
    lost = injected[GOOD] - right[GOOD]
    confined = max(0, sum(right[fault.name] for fault in FAULTS) - lost)
    complete = sorted(outcome.key for outcome in outcomes) == sorted(planned)
    print(f"outcomes: {len(outcomes)} of {len(planned)} tasks, each once: {complete}")
    print(f"each fault cost its own task alone: {confined} of {faults} faults")
    return complete and right == injected


def main() -> int:
    """Run, report, and look for what is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=600, help="good and bad ones together")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    planned = plan(given.tasks, given.faults, given.seed)
    start_s = time.monotonic()
    fine = report(planned, run(planned, given.jobs))
    left = psutil.Process().children(recursive=True)
    print(f"processes left behind: {len(left)}")
    print(
        f"{time.monotonic() - start_s:.0f} s; seed {given.seed}, {given.jobs} workers, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    return 0 if fine and not left else 1


if __name__ == "__main__":
    sys.exit(main())
