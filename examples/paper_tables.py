"""Tables 1 to 5 of the paper, and 2 and 3 of its supplement, on the data at hand.

    python examples/paper_tables.py shards_ffpp/ -o runs/paper --tables 1,2
    python examples/paper_tables.py shards_ffpp/ -o runs/paper --tables 3,4,5,s2,s3 \
        --test CDF=shards_cdf/ --test DFDCP=shards_dfdcp/ --set training.epochs=20
    python examples/paper_tables.py shards/ -o runs/demo --tables 2,5 --test CDF=other/ --demo

Every row is a training run; `--demo` makes each a minute's, which shows the way and nothing else.
Run again to go on with what was stopped.
"""

import argparse
import logging
import sys
from pathlib import Path

from facekit import FacekitError
from training.config import read_config
from training.paper_tables import TABLES, measure

DEMO = (
    "data.frames=1",
    "model.backbone=resnet18",
    "model.weights=none",
    "model.size_px=112",
    "model.encoders=2",
    "model.attention_width=16",
    "model.token_width=32",
    "model.heads=2",
    "training.epochs=1",
    "training.batch=4",
)


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must look like CDF=shards_cdf/, not {text!r}")
    return name, Path(folder)


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("shards", nargs="+", type=Path, help="what to train on")
    add("-o", "--out", required=True, type=Path, help="folder for the runs")
    add("--tables", default="2", help=f"by comma, of {','.join(TABLES)}")
    add("--test", action="append", default=[], type=_named, metavar="NAME=SHARDS")
    add("--config", type=Path, help="TOML file")
    add("--set", action="append", default=[], metavar="SECTION.NAME=VALUE")
    add("--device", default="auto")
    add("--demo", action="store_true", help="a network and runs that are far too small")
    told = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = read_config(told.config, [*(DEMO if told.demo else ()), *told.set])
    tests, chosen = dict(told.test), told.tables.split(",")
    for table in measure(chosen, told.shards, tests, told.out, config=config, device=told.device):
        print("\n".join(table.lines()), flush=True)


if __name__ == "__main__":
    try:
        main()
    except FacekitError as problem:
        sys.exit(str(problem))
