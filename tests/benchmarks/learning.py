"""What the small config learns from FaceForensics++ clips: three folds of people, pooled.

    python tests/benchmarks/learning.py SHARDS -o OUT [--photographs SHARDS] [--only NAME ...]

SHARDS are those of `facekit extract data/ffpp --dataset ffpp --size 160 --frames 32 --margin 1.6`.
OUT keeps the runs, so that a second call goes on where the first was stopped; all of it takes
some 75 minutes on one core. Every run is judged by its last snapshot, on people whom it has not
seen: nothing is chosen by a score. Video scores of the folds are pooled; intervals are over groups
of people.

With --photographs, shards of still faces, the network first learns from them what a blended face
looks like (TAP), in two cycles of the learning rate; `tampered` and `labelled` then start from
there. It stands in for ImageNet. --picture draws losses by step and pooled ROC curves as SVG.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import pandas as pd
import torch

from facekit.drawings import FAINT, blank, drawing, style
from training import metrics, run_folder
from training.config import Config, read_config
from training.evaluate import evaluate
from training.log import Line, read
from training.loop import resume, train

FOLDS = 3
SMALL = Path(__file__).parents[2] / "examples" / "small.toml"
PHOTOGRAPHS = ("data.frames=1", "training.epochs=15", "training.validate_every=0")
AGAIN = ("training.epochs=13", "training.rate=0.0003", "training.constant=0.3")
SETS = {
    "tampered": ("data.task=tampered",),
    "labelled": ("data.task=labelled", "data.balance=method"),
}
EPOCHS = {"tampered": 40, "labelled": 16}
EPOCHS_STARTED = {"tampered": 14, "labelled": 6}
RATE_STARTED = 2e-4


def learn(shards: Path, out: Path, config: Config) -> None:
    def tell(line: Line) -> None:
        print(f"{out.name}: {line}", flush=True)

    if run_folder.exists(out):
        resume(out, device="cpu", tell=tell)
    else:
        train([shards], out, config=config, device="cpu", tell=tell)


def tested(out: Path, shards: Path) -> pd.DataFrame:
    """The videos that a run was not given, with their scores."""
    found = evaluate(out, shards, which="last", bootstrap=0, device="cpu")
    return found.videos[found.videos["score"].notna()]


def told(name: str, videos: pd.DataFrame) -> list[str]:
    """A row a method: its fakes against all reals."""
    reals = videos[videos["label"] == 0]
    lines = []
    for method in sorted(set(videos["method"][videos["label"] == 1])):
        these = pd.concat([reals, videos[(videos["label"] == 1) & (videos["method"] == method)]])
        auc = metrics.summary(
            these["label"], these["score"], these["people"].tolist(), bootstrap=10_000
        ).auc
        over = auc.groups
        lines.append(
            f"| {name} | {method} | {(these['label'] == 1).sum()} | {len(reals)} | "
            f"{over.clusters} | {auc.value:.3f} | {over.low:.3f} to {over.high:.3f} |"
        )
    return lines


def picture(out: Path, pooled: dict[str, pd.DataFrame]) -> bytes:
    """Class loss of every run by step, then a ROC panel a task."""
    with style():
        figure = blank(3.4 * (1 + len(pooled)), 3.2)
        first, *others = figure.subplots(1, 1 + len(pooled))
        for run in sorted(path.parent for path in out.glob("*/log.jsonl")):
            told = [line for line in read(run / "log.jsonl") if "cls" in line]
            first.plot(
                [line["step"] for line in told],
                pd.Series([line["cls"] for line in told]).ewm(span=10).mean(),
                label=run.name,
                linewidth=1.0,
            )
        first.set(xlabel="step", ylabel="class loss, training", title="learning")
        first.legend(fontsize=6)
        for axes, (name, videos) in zip(others, pooled.items(), strict=True):
            for method in sorted(set(videos["method"][videos["label"] == 1])):
                these = videos[(videos["label"] == 0) | (videos["method"] == method)]
                alarms, hits = metrics.roc(these["label"], these["score"])
                axes.plot(alarms, hits, label=method, linewidth=1.2)
            axes.plot([0, 1], [0, 1], ":", color=FAINT)
            axes.set(xlabel="reals taken for fakes", ylabel="fakes found", title=name)
            axes.legend(fontsize=6)
        figure.tight_layout()
        return drawing("learning", "What was learnt", "", figure).svg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--only", choices=tuple(SETS), action="append")
    parser.add_argument("--fold", type=int, action="append", help="only this one, not pooled")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    start: tuple[str, ...] = ()
    epochs = EPOCHS
    if asked.photographs is not None:
        first, again = asked.out / "photographs", asked.out / "photographs-again"
        learn(asked.photographs, first, read_config(SMALL, PHOTOGRAPHS))
        sets = (*PHOTOGRAPHS, *AGAIN, f"training.start={first}")
        learn(asked.photographs, again, read_config(SMALL, sets))
        start = (f"training.start={again}", f"training.rate={RATE_STARTED}")
        epochs = EPOCHS_STARTED
    lines = ["| task | method | fakes | reals | groups of people | video AUC | 95 % |"]
    lines += ["|---|---|---|---|---|---|---|"]
    pooled: dict[str, pd.DataFrame] = {}
    for name in asked.only or SETS:
        parts = []
        for fold in asked.fold or range(FOLDS):
            out = asked.out / f"{name}-{fold}"
            this = (f"data.fold={fold}", f"training.epochs={epochs[name]}")
            config = read_config(SMALL, (*start, *SETS[name], *this, *asked.sets))
            learn(asked.shards, out, config)
            parts.append(tested(out, asked.shards))
        pooled[name] = pd.concat(parts, ignore_index=True)
        lines += told(name, pooled[name])
    print("\n".join(lines))
    if asked.picture is not None:
        asked.picture.write_bytes(picture(asked.out, pooled))


if __name__ == "__main__":
    main()
