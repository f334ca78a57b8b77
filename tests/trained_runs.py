"""Run folders with a small network of random weights, for tests."""

from pathlib import Path

import torch

from training import checkpoint
from training.config import Config
from training.models import build
from training.options import Data, Model

SMALL = {
    "backbone": "resnet18",
    "weights": "none",
    "size_px": 112,
    "encoders": 2,
    "attention_width": 16,
    "token_width": 32,
    "heads": 2,
    "feed_forward": 2,
}


def config(*, data=None, **model):
    return Config(data=Data(**(data or {})), model=Model(**(SMALL | model)))


def write_run(folder: Path, told: Config | None = None, *, step=7, score=0.5, seed=0) -> Path:
    """A run of one snapshot; `score` None for one that was never validated."""
    told = told or config()
    torch.manual_seed(seed)
    model = build(told.model, tokens=told.learns_tokens, fresh=False)
    with torch.no_grad():
        # Fresh classifiers say one half of everything.
        for layer in (model.fc, model.fc_s):
            if layer is not None:
                layer.weight *= 20.0
    state = checkpoint.State(
        config=told,
        step=step,
        epoch=1,
        position=0,
        steps_per_epoch=step,
        rate=1e-3,
        world=1,
        data=("00" * 32,),
        score=score,
    )
    checkpoint.write(folder, state, model=model.state_dict(), optimiser={})
    return folder
