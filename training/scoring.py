"""A model over the faces of a table: the score of each, and the tampering map behind it.

Letters in shapes: N faces, H W rows and columns, h w those of the grid of tokens.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from training.config import Config
from training.draws import Draws
from training.face_scores import FaceScores, Scores
from training.faces import Faces
from training.framing import frame
from training.models import AUNet, TokenCNN
from training.perturbations import Perturbation, perturb
from training.source import Source
from training.table import Table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Final = ("key", "frame_index", "track_id", "score", "class_score", "token_score")
"""Of the table of scores, one row a face."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A batch of faces and what the model says of them.

    Args:
        faces: as stored.
        scores: on the same device.
    """

    faces: Faces
    scores: Scores


def score_batches(
    model: nn.Module,
    source: Source,
    table: Table,
    config: Config,
    *,
    batch: int = 64,
    perturbation: Perturbation | None = None,
    device: torch.device | str | None = None,
) -> Iterator[Scored]:
    """Score the faces of a table, in order, in float32, framed at `data.margin`.

    The network is set to evaluation meanwhile, and each of its modules back to what it was.

    Args:
        model: from `training.models.build`.
        source: of the same table.
        table: whose faces.
        config: `model.size_px`, `data.margin` and `training.seed`.
        batch: faces at once; no score depends on it.
        perturbation: how the framed faces are spoilt; None: not.
        device: where the network is; None takes the source's.
    """
    size_px = config.model.size_px
    where = torch.device(source.device if device is None else device)
    name_N = torch.from_numpy(names(table)) if perturbation else None
    order = np.arange(len(table))
    batches = [order[first : first + batch] for first in range(0, len(order), batch)]
    with _evaluating(model) as network:
        scorer = FaceScores(network, size_px)
        for sample_N, faces in zip(batches, source.stream(batches, window=batch), strict=True):
            # Not around the yield: the mode would be the caller's, too.
            with torch.inference_mode():
                framed = frame(faces, size_px, draws=None, data=config.data)
                image_NCHW = framed.image_NCHW.to(where)
                if perturbation and name_N is not None:
                    draws = Draws(config.training.seed, 0, name_N[sample_N].to(where))
                    image_NCHW = perturb(image_NCHW, perturbation, draws)
                scores = scorer(image_NCHW)
            yield Scored(faces=faces, scores=scores)


def score_faces(
    model: nn.Module,
    source: Source,
    table: Table,
    config: Config,
    *,
    batch: int = 64,
    perturbation: Perturbation | None = None,
    device: torch.device | str | None = None,
) -> "pd.DataFrame":
    """Score the faces of a table; arguments as in `score_batches`.

    Returns:
        `COLUMNS`, one row a face in the table's order: the video's key, the frame, the person,
        the score (equation 3 of AUNet's supplement over 1.5), the class token's probability of
        fake, and the largest of the patch tokens', NaN where the model has learnt none.
    """
    import pandas as pd

    parts = [
        _columns(scored.scores)
        for scored in score_batches(
            model,
            source,
            table,
            config,
            batch=batch,
            perturbation=perturbation,
            device=device,
        )
    ]
    samples = table.samples
    score_N3 = torch.cat(parts).cpu().numpy() if parts else np.empty((0, 3), np.float32)
    told = {
        "key": table.videos.key.to_numpy(object)[samples.video_N],
        "frame_index": samples.frame_index_N,
        "track_id": samples.track_id_N,
        "score": score_N3[:, 0],
        "class_score": score_N3[:, 1],
        "token_score": score_N3[:, 2],
    }
    return pd.DataFrame(told, columns=list(COLUMNS))


def names(table: Table) -> npt.NDArray[np.int64]:
    """What the draws of each face go by: its video, frame and person.

    Unlike `sample_N` it is the same for any selection of videos or frames, and any shards.

    Returns:
        (N,) int64.
    """
    samples = table.samples
    keys = table.videos.key.tolist()
    told = zip(
        samples.video_N.tolist(),
        samples.frame_index_N.tolist(),
        samples.track_id_N.tolist(),
        strict=True,
    )
    made = [_number(f"{keys[video]} {index} {track}") for video, index, track in told]
    return np.array(made, np.int64)


def _number(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _columns(scores: Scores) -> torch.Tensor:
    """(N, 3) score, class score and token score; left on the device, lest each batch waits."""
    map_NHW = scores.token_map_NHW
    token_score_N = (
        torch.full_like(scores.score_N, torch.nan)
        if map_NHW is None
        else map_NHW.flatten(1).amax(1)
    )
    return torch.stack([scores.score_N, scores.class_score_N, token_score_N], dim=1)


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[AUNet | TokenCNN]:
    """The network set to evaluation; afterwards every module is as it was."""
    # Torch compiles and distributes a network by putting it into another module.
    inner = getattr(model, "module", model)
    inner = getattr(inner, "_orig_mod", inner)
    assert isinstance(inner, AUNet | TokenCNN)
    were = [(module, module.training) for module in inner.modules()]
    try:
        yield inner
    finally:
        for module, was_training in were:
            module.training = was_training
