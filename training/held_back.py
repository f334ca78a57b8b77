"""Which videos a run may be tested on: not those of people it learnt from or was chosen by.

A run leaves `videos.csv`: its videos, and what each was for. Videos of other shards are the run's
own if they have the same key, and of its people if they are linked to one of them, such as the
same faces extracted again, or forged by another method.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from facekit.errors import BadInput
from facekit.shards import publishing
from training import splits

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "videos.csv"
COLUMNS: Final = ("key", "original", "group", "dataset", "method", "label", "role")

Split = Literal["auto", "test", "val", "train", "all"]

_ROLES: Final = ("train", "val", "test")
"""The first that any video of some people has is what these people are to the run."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """The videos to test on.

    Args:
        kept_V: (V,) bool, which of the videos these are.
        role_V: (V,) what the people of each are to the run: train, val, test, or empty where it
            has not seen them.
        told: dataset -> which of its videos are used, as a sentence.
    """

    kept_V: npt.NDArray[np.bool_]
    role_V: npt.NDArray[np.object_]
    told: Mapping[str, str]

    @property
    def seen(self) -> dict[str, int]:
        """train, val -> how many of the videos used are of such people."""
        kept = self.role_V[self.kept_V]
        return {role: int((kept == role).sum()) for role in ("train", "val")}


def write(run: Path, videos: "pd.DataFrame") -> None:
    """Keep with a run what each of its videos is for.

    Args:
        run: its folder.
        videos: `training.table.Table.videos`.

    Raises:
        DiskFull: the disk ran out.
    """
    with publishing(run / NAME) as draft:
        videos[list(COLUMNS)].to_csv(draft, index=False, lineterminator="\n")


def read(run: Path) -> "pd.DataFrame":
    """The videos of a run, with `COLUMNS`.

    Raises:
        BadInput: the run does not tell.
    """
    import pandas as pd

    path = run / NAME
    try:
        videos = pd.read_csv(path, dtype={"label": np.int64}, keep_default_na=False)
        return videos[list(COLUMNS)].astype({name: str for name in COLUMNS if name != "label"})
    except FileNotFoundError as error:
        raise BadInput(
            f"{run} does not tell which videos it was trained on: there is no {NAME}; "
            f"go on with it by --resume, or ask for --split all"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error


def with_those_before(videos: "pd.DataFrame", known: "pd.DataFrame") -> "pd.DataFrame":
    """The videos of a run that starts from another's network, and those that this one has seen.

    Args:
        videos: `training.table.Table.videos`.
        known: `read` of the run it starts from.

    Returns:
        With `COLUMNS`: the videos, then those that only the other run has; what is not used here
        stays what its people were there.

    Raises:
        BadInput: people who validate or test here have been learnt from there, or those who test
            here have validated.
    """
    import pandas as pd

    role_V, was_V = videos["role"].to_numpy(object), _roles(videos, known)
    is_seen_V = (role_V == "test") & np.isin(was_V, ("train", "val"))
    is_seen_V |= (role_V == "val") & (was_V == "train")
    if is_seen_V.any():
        first = int(np.flatnonzero(is_seen_V)[0])
        raise BadInput(
            f"training.start: {is_seen_V.sum()} videos that judge this run are of people whom the "
            f"other run was given, such as {videos['key'].iloc[first]}, {role_V[first]} here and "
            f"{was_V[first]} there; take the same data.split, folds, fold and training.seed"
        )
    mine = videos.assign(role=np.where(role_V == "", was_V, role_V))[list(COLUMNS)]
    others = known[~known["key"].isin(mine["key"])]
    return pd.concat([mine, others], ignore_index=True)


def choose(videos: "pd.DataFrame", known: "pd.DataFrame", split: Split = "auto") -> Part:
    """Choose what to test on.

    Args:
        videos: of the shards given: `COLUMNS` but `role`, and `split`.
        known: `read` of the run.
        split: auto: of each dataset what the run held back for testing and what it does not know;
            of a dataset that it does not know at all, and that has a test split of its own, that.
            train, val, test: what was that to the run; of what it does not know, the shards' own
            split. all: everything, seen or not.

    Raises:
        BadInput: no such split, or it leaves nothing of a dataset.
    """
    if split not in get_args(Split):
        raise BadInput(f"--split must be one of {', '.join(get_args(Split))}, not {split!r}")
    role_V = _roles(videos, known)
    own_V = videos["split"].to_numpy(object)
    kept_V = np.zeros(len(videos), bool)
    told = {}
    for dataset in sorted(set(videos["dataset"])):
        here_V = (videos["dataset"] == dataset).to_numpy()
        chosen_V, told[dataset] = _of_dataset(here_V, role_V, own_V, split)
        if not chosen_V.any():
            raise BadInput(_nothing(dataset, role_V[here_V], split))
        kept_V |= chosen_V
    return Part(kept_V=kept_V, role_V=role_V, told=told)


def _roles(videos: "pd.DataFrame", known: "pd.DataFrame") -> npt.NDArray[np.object_]:
    import pandas as pd

    columns = ["key", "original", "group"]
    together = pd.concat([known[columns], videos[columns]], ignore_index=True)
    people = splits.people(together)
    first: dict[str, str] = {}
    for role in _ROLES:
        for name, was in zip(people, known["role"], strict=False):
            if was == role:
                first.setdefault(name, role)
    return np.array([first.get(name, "") for name in people[len(known) :]], object)


def _of_dataset(
    here_V: npt.NDArray[np.bool_],
    role_V: npt.NDArray[np.object_],
    own_V: npt.NDArray[np.object_],
    split: Split,
) -> tuple[npt.NDArray[np.bool_], str]:
    """Which videos of a dataset, and a sentence that says so."""
    unseen_V = here_V & (role_V == "")
    if split == "all":
        return here_V, f"all {here_V.sum():,} videos, whether or not the run has seen their people"
    if split != "auto":
        chosen_V = here_V & np.where(role_V == "", own_V == split, role_V == split)
        return chosen_V, f"the {chosen_V.sum():,} videos of split {split}"
    official_V = unseen_V & (own_V == "test")
    if unseen_V.sum() == here_V.sum() and official_V.any():
        count = official_V.sum()
        return official_V, f"the {count:,} videos of its own test split; the run knows none of it"
    held_V = here_V & (role_V == "test")
    parts = []
    if held_V.any():
        parts.append(f"{held_V.sum():,} videos held back from training")
    if unseen_V.any():
        parts.append(f"{unseen_V.sum():,} videos of people unknown to the run")
    return held_V | unseen_V, " and ".join(parts)


def _nothing(dataset: str, role_V: npt.NDArray[np.object_], split: Split) -> str:
    name = f"dataset {dataset!r}" if dataset else "the shards"
    if split != "auto":
        return f"{name}: none of {len(role_V)} videos is of split {split}"
    return (
        f"{name}: all {len(role_V)} videos are of people whom the run learnt from or was chosen "
        "by, which tests nothing; give other videos, or ask for --split all"
    )
