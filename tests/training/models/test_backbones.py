"""The table is timm's, nothing lies behind the cut, and weights come from where it is said."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from facekit.errors import BadWeights, FacekitError, MissingWeights
from training import mixing
from training.mixing import LAYERS, Mix
from training.models.backbones import KINDS, Backbone
from training.options import SIZES_PX

LAST = {
    "xception": "block11",
    "resnet34": "layer3",
    "efficientnet_b4": "blocks.4",
    "resnet18": "layer3",
}
STRIDES = {
    "xception": (4, 16, 16, 16, 16),
    "resnet34": (4, 8, 8, 16, 16),
    "efficientnet_b4": (2, 4, 8, 16, 16),
    "resnet18": (4, 4, 8, 8, 16),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_table_says_what_timm_says(name: str) -> None:
    told = timm.get_pretrained_cfg(KINDS[name].timm)
    assert (KINDS[name].mean, KINDS[name].std) == (told.mean, told.std)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_channels_and_grid_at_every_size(name: str, whole: bool) -> None:
    backbone = Backbone(name, whole=whole, fresh=False).to("meta")
    for size_px in SIZES_PX:
        features_NCHW = backbone(torch.empty(2, 3, size_px, size_px, device="meta"))
        assert features_NCHW.shape == (2, backbone.channels, *backbone.grid_hw(size_px))


def test_the_paper_has_fourteen_rows_and_columns() -> None:
    assert [KINDS["xception"].side(size, whole=False) for size in (224, 384)] == [14, 24]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_features_are_those_of_timm(name: str, whole: bool) -> None:
    torch.manual_seed(0)
    network = timm.create_model(KINDS[name].timm, num_classes=0).eval()
    torch.manual_seed(0)
    backbone = Backbone(name, whole=whole, fresh=False).eval()
    seen: list[Tensor] = []
    network.get_submodule(LAST[name]).register_forward_hook(
        lambda _module, _inputs, out: seen.append(out.clone())
    )
    image_NCHW = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(each)[:, None, None] for each in (KINDS[name].mean, KINDS[name].std))
    with torch.no_grad():
        pooled = network.forward_features((image_NCHW - mean) / std)
        features = backbone(image_NCHW)
    assert torch.equal(features, pooled if whole else seen[0])


@pytest.mark.parametrize("name", KINDS)
def test_nothing_behind_the_cut_is_kept(name: str) -> None:
    cut, whole = (Backbone(name, whole=whole, fresh=False) for whole in (False, True))
    assert set(cut.state_dict()) < set(whole.state_dict())
    first_behind = KINDS[name].rest[0].replace(".", "_")
    assert not [key for key in cut.state_dict() if first_behind in key]


@pytest.mark.parametrize("name", KINDS)
def test_mixing_happens_behind_the_block_of_the_table(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = Backbone(name, fresh=False).eval()
    image_NCHW = torch.rand(2, 3, 64, 64)
    blocks: list[Tensor] = []
    hook: Callable[..., Any] = lambda _module, _inputs, out: blocks.append(out)  # noqa: E731
    for block in KINDS[name].mixing:
        backbone.parts[block.replace(".", "_")].register_forward_hook(hook)
    mixed: list[Tensor] = []

    def noted(features_NCHW: Tensor, mask_B1HW: Tensor, lambda_B3: Tensor) -> Tensor:
        mixed.append(features_NCHW)
        return features_NCHW

    monkeypatch.setattr(mixing, "mix", noted)
    with torch.no_grad():
        for layer in LAYERS:
            backbone(image_NCHW, Mix(layer, torch.ones(1, 3), torch.ones(1, 1, 64, 64)))
    assert len(mixed) == len(LAYERS)
    for number, features_NCHW in enumerate(mixed):
        assert features_NCHW is blocks[number * len(LAYERS) + number]
        side = features_NCHW.shape[-1]
        assert abs(side * STRIDES[name][number] - 64) <= STRIDES[name][number]


@pytest.mark.parametrize("layer", LAYERS)
def test_mixing_changes_the_fakes_alone(layer: str) -> None:
    torch.manual_seed(0)
    backbone = Backbone("resnet18", fresh=False).eval()
    image_NCHW = torch.rand(4, 3, 64, 64)
    mix = Mix(layer, torch.full((2, 3), 0.5), torch.ones(2, 1, 64, 64))
    with torch.no_grad():
        plain, mixed = backbone(image_NCHW), backbone(image_NCHW, mix)
    assert torch.equal(mixed[:2], plain[:2])
    assert not torch.allclose(mixed[2:], plain[2:], atol=1e-3)


def test_the_seed_decides_the_weights() -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(Backbone("resnet18", fresh=False).state_dict()["parts.conv1.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def _state(classes: int) -> dict[str, Tensor]:
    torch.manual_seed(7)
    network: nn.Module = timm.create_model("resnet18", num_classes=classes)
    return network.state_dict()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("classes", [0, 10])
def test_a_file_of_weights_is_taken(suffix: str, classes: int, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    _save(_state(classes), path)
    backbone = Backbone("resnet18", weights=str(path))
    assert backbone.training
    assert all(module.training for module in backbone.modules())
    want = _state(classes)["layer3.1.conv2.weight"]
    assert torch.equal(backbone.state_dict()["parts.layer3_1.conv2.weight"], want)


def _save(state: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.clear(),
        lambda state: state.pop("layer4.1.conv2.weight"),
        lambda state: state.update(other=torch.zeros(1)),
        lambda state: state.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}),
    ],
    ids=["empty", "one less", "one more", "another shape"],
)
def test_a_file_of_another_network_is_refused(
    change: Callable[[dict[str, Tensor]], object], tmp_path: Path
) -> None:
    state = dict(_state(10))
    change(state)
    path = tmp_path / "other.safetensors"
    save_file(state, path)
    with pytest.raises(BadWeights, match="does not hold the weights of timm's resnet18"):
        Backbone("resnet18", weights=str(path))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadWeights, match=r"damaged\.pth"):
        Backbone("resnet18", weights=str(path))


def _unreachable(*_: object, **__: object) -> nn.Module:
    raise FileNotFoundError("the file is not in the cache") from OSError("no\nroute")


def _mismatched(*_: object, **__: object) -> nn.Module:
    raise RuntimeError("size mismatch")


@pytest.mark.parametrize(
    ("weights", "create", "error", "message"),
    [
        ("", None, None, ""),
        ("/no/such/file.pth", None, MissingWeights, "no file /no/such/file.pth; give a file"),
        ("hub", _unreachable, MissingWeights, r"\(no route\).* or none to start"),
        ("hub", _mismatched, BadWeights, r"\(size mismatch\); delete it"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    weights: str,
    create: Callable[..., nn.Module] | None,
    error: type[FacekitError] | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FACEKIT_OFFLINE", "0")
    if create is not None:
        monkeypatch.setattr(timm, "create_model", create)
    if error is None:
        Backbone("resnet18", weights=weights)
        return
    with pytest.raises(error, match=message) as caught:
        Backbone("resnet18", weights=weights)
    assert "\n" not in str(caught.value)


def test_offline_the_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEKIT_OFFLINE", "1")
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(MissingWeights, match="FACEKIT_OFFLINE"):
        Backbone("resnet18", weights="hub")


def test_a_checkpoint_to_come_asks_for_no_weights(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Backbone("resnet18", weights="/no/such/file.pth", fresh=False)
    assert caplog.messages == []


def test_random_numbers_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    Backbone("resnet18", weights="none")
    assert caplog.messages == [
        "model.weights = none: resnet18 starts from random numbers, not ImageNet"
    ]
