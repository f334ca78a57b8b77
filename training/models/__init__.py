"""The networks: a batch of images in, logits of images and of their tokens out."""

from training.models.aunet import AUNet
from training.models.cnn import TokenCNN
from training.models.output import Output, score, token_map
from training.options import Model

__all__ = ["AUNet", "Output", "TokenCNN", "build", "score", "token_map"]


def build(options: Model, *, tokens: bool = True, fresh: bool = True) -> AUNet | TokenCNN:
    """A network in float32 on the CPU, set to training.

    Torch's global random numbers decide its weights: call `torch.manual_seed` before.

    Args:
        options: section `model`.
        tokens: whether patch tokens are learnt, `Config.learns_tokens`; without it there is no
            classifier for them, and the score is the class's alone.
        fresh: False where a checkpoint is loaded next: `options.weights` is not looked for.

    Raises:
        BadWeights: the file of weights is damaged or holds another network.
        MissingWeights: there is no such file, or the hub cannot be reached.
        BadInput: options that do not go together.
    """
    kind = AUNet if options.name == "aunet" else TokenCNN
    return kind(options, tokens=tokens, fresh=fresh).train()
