"""How well a network does on the videos held out for it while it learns."""

import logging
import math
from contextlib import AbstractContextManager

import torch
from torch import nn

from training.config import Config
from training.metrics import summary, video_scores
from training.scoring import score_faces
from training.table import Table
from training.tiers import open_source

log = logging.getLogger(__name__)


class Validation(AbstractContextManager["Validation"]):
    """The faces of the validation videos, kept beside those that are learnt from.

    Args:
        table: all videos; those of the role `val` count, with `config.data.frames` frames each.
        config: of the run.
        device: where the network is.
        tier: where the crops are kept.

    Attributes:
        why_not: why there is no AUC; empty where there is one.
    """

    def __init__(self, table: Table, config: Config, device: torch.device, tier: str) -> None:
        self._table = table.subset("val").frames(config.data.frames)
        self._config = config
        self._device = device
        labels = {int(label) for label in self._table.samples.label_N}
        missing = {0: "real", 1: "fake"}.keys() - labels
        self.why_not = ""
        if missing:
            kinds = " and no ".join({0: "real", 1: "fake"}[label] for label in sorted(missing))
            self.why_not = f"there is no {kinds} face among the validation videos"
            log.warning("no validation AUC, so no best snapshot: %s", self.why_not)
        self._source = None if missing else open_source(self._table, device, tier)

    def auc(self, model: nn.Module) -> float | None:
        """Video AUC of a network, which is left as it was; None where there is none."""
        if self._source is None:
            return None
        faces = score_faces(model, self._source, self._table, self._config, device=self._device)
        videos = video_scores(faces)
        label = self._table.videos.set_index("key").label.loc[videos.key]
        value = summary(label.to_numpy(), videos.score.to_numpy(), bootstrap=0).auc.value
        return None if math.isnan(value) else value

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.__exit__()
