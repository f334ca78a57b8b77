import dataclasses

import pytest
import torch
from synthetic_faces import make_shards
from tiny_runs import tiny
from torch.overrides import TorchFunctionMode

from training import framing, step
from training.data import open_source, open_table
from training.models import build


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("step") / "shards")


def ready(shards, *sets):
    """A network, four faces of the training videos and the config."""
    config = tiny(*sets)
    table = open_table([shards], config.data, 0).subset("train")
    source = open_source(table, "cpu")
    torch.manual_seed(0)
    network = build(config.model, tokens=config.learns_tokens)
    taken = torch.arange(4) * (len(source) // 4)
    return network, source.take(taken), config


def test_tampered_faces_become_pairs(shards):
    network, faces, config = ready(shards)
    batch = step.prepare(network, faces, config, epoch=0, step=0)
    assert batch.image_NCHW.shape == (8, 3, 112, 112)
    assert batch.label_N.tolist() == [0] * 4 + [1] * 4
    assert batch.token_label_NT.shape == (8, 49)
    assert not batch.token_label_NT[:4].any()
    assert batch.token_label_NT[4:].any()
    assert batch.attention_NKHW.shape == (8, 15, 7, 7)
    assert torch.equal(batch.attention_NKHW[:4], batch.attention_NKHW[4:])
    assert batch.mix.lambda_B3.shape == (4, 3)


def test_labelled_faces_stay_what_they_are(shards):
    network, faces, config = ready(shards, "data.task=labelled")
    batch = step.prepare(network, faces, config, epoch=0, step=0)
    assert len(batch.image_NCHW) == 4
    assert torch.equal(batch.label_N, faces.label_N)
    assert batch.token_label_NT is None
    assert batch.mix is None


@pytest.mark.parametrize("layers", ["", "1", "1357"])
def test_one_layer_is_drawn_for_each_step(layers, shards):
    _, faces, config = ready(shards)
    tampering = dataclasses.replace(config.tampering, mixing_layers=layers)
    config = dataclasses.replace(config, tampering=tampering)
    drawn = [step._mix(torch.ones(1, 1, 8, 8), _draws(faces), config, n) for n in range(40)]
    assert {mix.layer if mix else "" for mix in drawn} == (set(layers) or {""})
    assert drawn[0] is None or drawn[0].lambda_B3.shape == (4, 3)


def _draws(faces):
    return step.Draws(0, 0, faces.sample_N)


@pytest.mark.parametrize("task", ["tampered", "labelled"])
def test_a_face_does_not_depend_on_the_rest_of_its_batch(task, shards):
    network, faces, config = ready(shards, f"data.task={task}")
    whole = step.prepare(network, faces, config, epoch=3, step=5)
    alone = step.prepare(network, faces[2:3], config, epoch=3, step=5)
    rows = [2, 6] if task == "tampered" else [2]
    assert torch.allclose(whole.image_NCHW[rows], alone.image_NCHW, atol=1e-5)
    assert torch.equal(whole.label_N[rows], alone.label_N)
    if whole.mix:
        assert whole.mix.layer == alone.mix.layer
        assert torch.equal(whole.mix.lambda_B3[2:3], alone.mix.lambda_B3)


def test_another_epoch_is_another_draw(shards):
    network, faces, config = ready(shards)
    one, other = (
        step.prepare(network, faces, config, epoch=epoch, step=0).image_NCHW for epoch in (0, 1)
    )
    assert not torch.allclose(one, other, atol=1e-2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("channels_last", ["true", "false"])
def test_every_parameter_learns(precision, channels_last, shards):
    sets = (f"training.precision={precision}", f"training.channels_last={channels_last}")
    network, faces, config = ready(shards, *sets)
    found = step.compute(network, faces, config, epoch=0, step=0)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in found)
    found.total.backward()
    assert [name for name, x in network.named_parameters() if x.grad is None] == []


class _Waits(TorchFunctionMode):
    """Collects what would send numbers from the host, for which a GPU is waited for."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.__getitem__ and args[0].is_meta:
            keys = args[1] if isinstance(args[1], tuple) else (args[1],)
            self.found += [key for key in keys if isinstance(key, list)]
        makes = func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None
        if func is torch.Tensor.new_tensor or (
            makes and torch.device(kwargs["device"]).type == "meta"
        ):
            self.found.append(args)
        return func(*args, **kwargs)


@pytest.mark.parametrize(
    "sets",
    [[], ["tampering.recipe=sbi"], ["tampering.face_mask=extended"], ["data.task=labelled"]],
)
def test_a_batch_is_prepared_without_a_number_from_the_host(sets, shards, monkeypatch):
    network, faces, config = ready(shards, *sets)
    monkeypatch.setattr(framing, "_warn_once", lambda *of_the_first_batch: None)
    # Whatever looks at a number, such as `item`, fails on the meta device by itself.
    told = {one.name: getattr(faces, one.name).to("meta") for one in dataclasses.fields(faces)}
    faces = type(faces)(**told)
    step.prepare(network, faces, config, epoch=0, step=0)
    with _Waits() as waits:
        step.prepare(network, faces, config, epoch=0, step=1)
    assert waits.found == []
