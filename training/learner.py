"""What learns: a network, its optimiser, and one step of the two, on one rank."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from training import checkpoint, optimisation
from training.checkpoint import Snapshot
from training.config import Config
from training.draws import Draws
from training.faces import Faces
from training.losses import Losses
from training.models import build
from training.models.cost import count_macs
from training.ranks import Ranks
from training.step import compute

log = logging.getLogger(__name__)

NAMES: Final = ("loss", *Losses._fields[1:], "gradient")
"""What a step comes to: the losses, and the norm of the gradient before it is clipped."""


class Learner:
    """A network and its optimiser, new or as a snapshot has them.

    Args:
        config: of the run.
        ranks: of the run; all of them make one.
        steps: of the whole run, over which the learning rate falls.
        snapshot: where to go on; None starts.

    Attributes:
        model: the network, by the names of its own modules.
        network: the same; over several ranks within what makes them share gradients.
        macs: multiplications with an addition in one image's forward pass.

    Raises:
        BadInput: there is no snapshot to start from.
        BadWeights: the snapshot, or what to start from, is damaged or another network's.
        MissingWeights: the backbone's weights are neither at hand nor could be fetched.
    """

    def __init__(
        self, config: Config, ranks: Ranks, *, steps: int, snapshot: Snapshot | None = None
    ) -> None:
        self.config, self.ranks, self.steps = config, ranks, steps
        torch.manual_seed(config.training.seed)
        start = config.training.start if snapshot is None else ""
        is_new = snapshot is None and not start
        self.model = build(config.model, tokens=config.learns_tokens, fresh=is_new)
        self.macs = count_macs(self.model, config.model.size_px)
        if snapshot is not None:
            snapshot.fill(self.model)
        elif start:
            begun = checkpoint.find(Path(start).expanduser(), "last")
            begun.start(self.model)
            log.info("training.start: goes on from %s", begun.path)
        self.network = _placed(self.model, config, ranks)
        self.optimiser = optimisation.make(self.model, config.training)
        if snapshot is not None:
            remembered = snapshot.tensors(checkpoint.OPTIMISER)
            optimisation.restore(self.model, self.optimiser, remembered)

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        return optimisation.rate_at(step, self.steps, self.config.training)

    def take(self, parts: Sequence[Faces], *, epoch: int, step: int) -> Tensor:
        """Take a step.

        Args:
            parts: the faces of this rank, cut to fit the memory, all of one length.
            epoch: passes done.
            step: steps done.

        Returns:
            (5,) float32 on the device: `NAMES`, the losses of this rank alone.
        """
        network, config = self.network, self.config
        return self.descend(
            [partial(compute, network, part, config, epoch=epoch, step=step) for part in parts],
            step=step,
        )

    def descend(self, parts: Sequence[Callable[[], Losses]], *, step: int) -> Tensor:
        """Take a step down the mean of some losses; arguments and result as in `take`.

        Args:
            parts: each gives the losses of a part of the batch.
            step: steps done.
        """
        training = self.config.training
        optimisation.set_rate(self.optimiser, self.rate(step))
        # Whatever draws from torch's own generators, such as dropout, does so as the first time.
        seed = Draws(training.seed, self.ranks.rank, torch.tensor([step]))
        torch.manual_seed(int(seed.integers("torch", high=1 << 31)))
        losses_4 = torch.zeros(4, device=self.ranks.device)
        for number, part in enumerate(parts):
            with self._sharing(is_last=number == len(parts) - 1):
                found = part()
                torch.autograd.backward(found.total / len(parts))
            losses_4 += torch.stack([loss.detach() for loss in found]) / len(parts)
        parameters = [x for x in self.model.parameters() if x.grad is not None]
        norm = nn.utils.get_total_norm([x.grad for x in parameters if x.grad is not None])
        if training.clip:
            nn.utils.clip_grads_with_norm_(parameters, training.clip, norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return torch.cat([losses_4, norm[None]])

    def _sharing(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Gradients go to the other ranks once the last part has added its own."""
        if is_last or not isinstance(self.network, DistributedDataParallel):
            return nullcontext()
        return self.network.no_sync()

    def remembered(self) -> dict[str, Tensor]:
        """The optimiser's tensors by name."""
        return optimisation.tensors(self.model, self.optimiser)


def _placed(model: nn.Module, config: Config, ranks: Ranks) -> nn.Module:
    """Move the network to its device, set it to training, and join it to those of other ranks."""
    layout = torch.channels_last if config.training.channels_last else torch.preserve_format
    model.to(ranks.device, memory_format=layout)  # type: ignore[call-overload]
    model.train()
    if config.training.freeze_norm:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
    if config.training.compile:
        model.compile()
    if ranks.world == 1:
        return model
    # A loss of weight 0 is not computed, and what it alone reaches has no gradient.
    is_partial = not (config.loss.cls and config.loss.attention)
    return DistributedDataParallel(model, find_unused_parameters=is_partial)
