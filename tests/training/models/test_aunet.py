"""Every switch gives a network that runs, and of which each parameter learns."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from facekit.errors import BadInput
from training.losses import losses
from training.mixing import LAYERS, Mix
from training.models import AUNet, Output, TokenCNN, build
from training.models.backbones import KINDS
from training.options import Loss, Model

SMALL = Model(
    backbone="resnet18",
    weights="none",
    size_px=112,
    attention_width=8,
    token_width=16,
    heads=4,
    feed_forward=2,
)
SIZE_PX = 112
LABEL_N = torch.tensor([0, 0, 1, 1])


def _small(learnt: bool = True, seed: int = 0, **fields: Any) -> AUNet | TokenCNN:
    torch.manual_seed(seed)
    return build(replace(SMALL, **fields), tokens=learnt)


def _image(images: int = 4, size_px: int = SIZE_PX) -> Tensor:
    return torch.rand(images, 3, size_px, size_px, generator=torch.Generator().manual_seed(9))


def _mix(layer: str) -> Mix:
    mask_B1HW = torch.zeros(2, 1, SIZE_PX, SIZE_PX)
    mask_B1HW[..., 30:80, 30:80] = 1
    return Mix(layer, torch.full((2, 3), 0.5), mask_B1HW)


def _learn(model: AUNet | TokenCNN, mix: Mix | None = None) -> Output:
    """One backward pass with all that the network can be told."""
    output: Output = model(_image(), mix, details=True)
    grid_hw = model.grid_hw(SIZE_PX)
    token_label_NT = None
    if output.token_logits_NT2 is not None:
        token_label_NT = LABEL_N[:, None].expand(-1, grid_hw[0] * grid_hw[1])
    target_NKHW = torch.full((4, 15, *grid_hw), 0.3)
    total = losses(output, LABEL_N, token_label_NT, target_NKHW, Loss()).total
    assert total.isfinite()
    total.backward()
    return output


VARIANTS: list[tuple[dict[str, Any], bool, int]] = [
    ({}, True, 3),
    ({}, False, 2),
    ({"specific": False}, True, 0),
    ({"specific": False}, False, 0),
    ({"specific": False, "encoders": 1}, False, 0),
    ({"agnostic": False}, True, 3),
    ({"agnostic": False}, False, 3),
    ({"tokens": "vit"}, True, 2),
    ({"tokens": "vit", "specific": False, "encoders": 1}, True, 0),
    ({"encoders": 1}, True, 1),
    ({"embedding": "literal"}, True, 3),
    ({"au_weight": "softmax"}, True, 3),
    ({"au_weight": "scaled"}, True, 3),
    ({"position": False}, True, 3),
    ({"integration": "norm"}, True, 3),
    ({"name": "cnn"}, True, 0),
    ({"name": "cnn"}, False, 0),
    ({"backbone": "xception"}, True, 3),
    ({"backbone": "efficientnet_b4"}, True, 3),
    ({"backbone": "resnet34"}, True, 3),
    ({"name": "cnn", "backbone": "xception"}, True, 0),
    ({"name": "cnn", "backbone": "efficientnet_b4"}, True, 0),
]


@pytest.mark.parametrize(("fields", "tokens", "maps"), VARIANTS)
def test_every_switch_learns_with_all_that_it_has(
    fields: dict[str, Any], tokens: bool, maps: int
) -> None:
    model = _small(tokens, **fields)
    output = _learn(model)
    grid_hw = model.grid_hw(SIZE_PX)
    shapes = [None if part is None else tuple(part.shape) for part in output]
    assert shapes == [
        (4, 2),
        (4, grid_hw[0] * grid_hw[1], 2) if tokens else None,
        (maps, 4, 15, *grid_hw) if maps else None,
        (4, 15, 15) if maps else None,
        (4, 15) if maps else None,
    ]
    assert {part.dtype for part in output if part is not None} == {torch.float32}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # The last norm of a residual block starts at 0 and keeps what lies before it still.
        if not name.startswith("backbone"):
            assert parameter.grad.any(), name


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", ["aunet", "cnn"])
def test_mixing_reaches_the_fakes_and_their_loss(name: str, layer: str) -> None:
    model = _small(name=name).eval()
    with torch.no_grad():
        plain, mixed = model(_image()), model(_image(), _mix(layer))
    for one, other in zip(plain[:2], mixed[:2], strict=True):
        assert torch.equal(one[:2], other[:2])
        assert not torch.equal(one[2:], other[2:])
    _learn(model.train(), _mix(layer))


def test_every_backbone_is_an_option() -> None:
    assert set(KINDS) == set(Model.__annotations__["backbone"].__args__)


def test_one_encoder_without_token_labels_has_no_place_for_the_units() -> None:
    with pytest.raises(BadInput, match=r"model\.encoders = 1"):
        _small(False, encoders=1)
    with pytest.raises(BadInput, match=r"model\.encoders = 1"):
        _small(tokens="vit", encoders=1)


def test_no_images_give_no_logits() -> None:
    output = _small().eval()(_image(0), details=True)
    assert output.class_logits_N2.shape == (0, 2)
    assert output.token_logits_NT2.shape == (0, 49, 2)
    assert output.attention_ENKHW.shape == (3, 0, 15, 7, 7)


def test_details_change_nothing_else() -> None:
    model = _small().eval()
    plain, full = model(_image()), model(_image(), details=True)
    assert plain[3:] == (None, None)
    for one, other in zip(plain[:3], full[:3], strict=True):
        assert torch.equal(one, other)
    assert torch.allclose(full.au_weight_NK.sum(1), torch.ones(4), atol=1e-4)


def test_an_image_does_not_see_its_batch() -> None:
    model = _small().eval()
    together, alone = model(_image()), model(_image()[2:3])
    assert torch.allclose(together.class_logits_N2[2:3], alone.class_logits_N2, atol=1e-5)
    assert torch.allclose(together.token_logits_NT2[2:3], alone.token_logits_NT2, atol=1e-5)


@pytest.mark.parametrize("size_px", [224, 256])
def test_another_size_resizes_the_positions(size_px: int) -> None:
    model = _small().eval()
    rows, columns = model.grid_hw(size_px)
    assert (rows, columns) == (size_px // 16, size_px // 16)
    with torch.no_grad():
        output = model(_image(1, size_px))
        # A grid of one value stays that value at every size.
        model.position_1DHW.fill_(1.0)
        filled = model(_image(1, size_px)).class_logits_N2
        model.position_1DHW = torch.nn.Parameter(torch.ones(1, 16, rows, columns))
        assert torch.allclose(model(_image(1, size_px)).class_logits_N2, filled, atol=1e-4)
    assert output.token_logits_NT2.shape == (1, rows * columns, 2)


def test_positions_count_before_the_first_encoder_alone() -> None:
    model = _small().eval()
    seen: list[bool] = []
    for encoder in model.encoders:
        encoder.register_forward_pre_hook(lambda _module, given: seen.append(given[2] is not None))
    model(_image(1))
    assert seen == [True, False, False]


def test_the_class_token_goes_from_encoder_to_encoder() -> None:
    model = _small().eval()
    given, made = [], []
    for encoder in model.encoders:
        encoder.register_forward_pre_hook(lambda _module, given_: given.append(given_[1]))
        encoder.register_forward_hook(lambda _module, _given, out: made.append(out.class_ND))
    output = model(_image())
    assert torch.equal(given[0], model.class_1D.expand(4, -1))
    assert given[1] is made[0]
    assert given[2] is made[1]
    assert torch.equal(output.class_logits_N2, model.fc(made[2]))


def test_the_seed_decides_the_weights() -> None:
    one, same, other = (_small(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["fc.weight"], other["fc.weight"])


def test_a_state_goes_into_a_network_made_for_it() -> None:
    one, other = _small(seed=0).eval(), build(replace(SMALL, weights="hub"), fresh=False).eval()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(_image()).token_logits_NT2, other(_image()).token_logits_NT2)


def test_channels_last_and_bfloat16_stay_near() -> None:
    model = _small().eval()
    with torch.no_grad():
        want = model(_image())
        model.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = model(_image().contiguous(memory_format=torch.channels_last))
    for one, other in zip(got[:3], want[:3], strict=True):
        assert one.dtype == torch.float32
        assert torch.allclose(one, other, atol=0.05)


def test_it_compiles_in_one_piece() -> None:
    model = _small(encoders=2)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    got, want = compiled(_image(), _mix("1")), model(_image(), _mix("1"))
    assert torch.allclose(got.class_logits_N2, want.class_logits_N2, atol=1e-5)
