"""The embedded models from scratch, in one command: detector (in two looks), landmarker, AU engine.

    python -m training.lite DATA -o OUT [--seed 0] [--device auto]

DATA holds `faces68` and `lfw` (see `training.lite_faces`), and for the AU engine the clips of
`ffpp` with OpenFace's CSVs in `openface_reference/ffpp`. OUT gets the three files that
`facekit/models` ships, and `scores.json`. The same data, seed and machine give the same files; use
one elsewhere as `--detector lite:OUT/lite_detector.safetensors`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from joblib import Parallel, delayed

from facekit.errors import BadInput, FacekitError
from facekit.options import DEVICES

ROLES: Final = ("detector", "landmarker", "second_look", "action_units")

_STAGES: Final = (("detector", "landmarker"), ("second_look",), ("action_units",))
"""What can learn side by side, in order."""

Scores = dict[str, Any]


def train(
    data: Path, out: Path, *, seed: int = 0, device: str = "auto", roles: tuple[str, ...] = ROLES
) -> dict[str, Scores]:
    """Train the embedded models and judge them on what was held back.

    Detector and landmarker learn side by side, each in a process of one CPU thread; where one
    fails, the other is ended. The detector's second look learns from what its first one finds, and
    the AU engine's units are fitted on what all of these measure.

    Args:
        data: the data folder.
        out: folder for the files; made if it is not there.
        seed: of every random draw.
        device: `auto`, `cpu` or `cuda`.
        roles: which of `ROLES` to train; what the others give is taken from `out`, else from the
            embedded files.

    Returns:
        Role -> its scores, as written to `scores.json` beside those of other roles.

    Raises:
        BadInput: no such role, or the data folder lacks something.
    """
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        raise BadInput(f"no embedded model plays {unknown[0]!r}; there are {', '.join(ROLES)}")
    out.mkdir(parents=True, exist_ok=True)
    scores: dict[str, Scores] = {}
    for stage in _STAGES:
        now = [role for role in stage if role in roles]
        made = Parallel(n_jobs=2)(delayed(_train)(role, data, out, seed, device) for role in now)
        scores |= dict(zip(now, made, strict=True))
    path = out / "scores.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | scores, indent=1, sort_keys=True) + "\n")
    return scores


def _train(role: str, data: Path, out: Path, seed: int, device: str) -> Scores:
    from training import (
        lite_action_units,
        lite_detector,
        lite_landmarker,
        lite_second_look,
    )

    trainers: dict[str, Callable[..., Scores]] = {
        "detector": lite_detector.train,
        "landmarker": lite_landmarker.train,
        "second_look": lite_second_look.train,
        "action_units": lite_action_units.train,
    }
    return trainers[role](data, out, seed=seed, device=device)


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder to fill.")
@click.option("--seed", default=0, show_default=True, help="Of every random draw.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@click.option("--only", type=click.Choice(ROLES), multiple=True, help="Train only this model.")
def main(data: Path, out: Path, seed: int, device: str, only: tuple[str, ...]) -> None:
    """Train facekit's embedded models from the annotated faces below DATA."""
    try:
        scores = train(data, out, seed=seed, device=device, roles=only or ROLES)
    except FacekitError as problem:
        click.echo(f"training.lite: {problem}", err=True)
        sys.exit(problem.exit_code)
    click.echo(json.dumps(scores, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
