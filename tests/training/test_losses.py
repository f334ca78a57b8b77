"""Equation 20: each part is what it says, or nothing."""

import math

import pytest
import torch

from training.losses import Losses, losses
from training.models.output import Output
from training.options import Loss

LABEL_N = torch.tensor([0, 1])
TOKEN_LABEL_NT = torch.tensor([[0, 0, 0], [0, 1, 1]])
TARGET_NKHW = torch.zeros(2, 15, 1, 3)


def _output(*, attention: float = 0.25, dtype: torch.dtype = torch.float32) -> Output:
    """Logits that are right by 2 everywhere, attention maps of one value in two encoders."""
    right = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=dtype)
    maps = torch.full((2, 2, 15, 1, 3), attention, dtype=dtype)
    return Output(right[LABEL_N], right[TOKEN_LABEL_NT], maps)


SURE = math.log(1 + math.exp(-2))
HUBER = 0.25**2 / 2


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (Loss(cls=0.0, token=0.0, attention=0.0), (0, 0, 0, 0)),
        (Loss(), (SURE + 30 * SURE + 0.5 * HUBER, SURE, SURE, HUBER)),
        (Loss(token=0.0), (SURE + 0.5 * HUBER, SURE, 0, HUBER)),
        (Loss(attention=0.0), (31 * SURE, SURE, SURE, 0)),
        (Loss(cls=2.0, token=1.0), (3 * SURE + 0.5 * HUBER, SURE, SURE, HUBER)),
    ],
)
def test_the_sum_and_its_parts(options: Loss, want: tuple[float, ...]) -> None:
    got = losses(_output(), LABEL_N, TOKEN_LABEL_NT, TARGET_NKHW, options)
    assert [float(part) for part in got] == pytest.approx(want)


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        ("token_label", "token"),
        ("token_logits", "token"),
        ("target", "attention"),
        ("maps", "attention"),
    ],
)
def test_what_is_not_given_is_nothing(missing: str, name: str) -> None:
    output = _output()
    if missing == "token_logits":
        output = output._replace(token_logits_NT2=None)
    if missing == "maps":
        output = output._replace(attention_ENKHW=None)
    got = losses(
        output,
        LABEL_N,
        None if missing == "token_label" else TOKEN_LABEL_NT,
        None if missing == "target" else TARGET_NKHW,
        Loss(),
    )
    assert getattr(got, name) == 0
    assert got.total == Loss().cls * got.cls + 30 * got.token + 0.5 * got.attention
    assert sum(part == 0 for part in got) == 1


def test_the_token_loss_is_a_mean_over_tokens_and_images() -> None:
    output = _output()
    wrong_NT = 1 - TOKEN_LABEL_NT
    wrong_NT[1] = TOKEN_LABEL_NT[1]
    got = losses(output, LABEL_N, wrong_NT, None, Loss())
    assert float(got.token) == pytest.approx((SURE + 2 + SURE) / 2)


def test_the_attention_loss_is_linear_beyond_its_delta() -> None:
    got = losses(_output(attention=1.0), LABEL_N, None, TARGET_NKHW, Loss(huber=0.5))
    assert float(got.attention) == pytest.approx(0.5 * (1 - 0.25))
    got = losses(_output(attention=1.0), LABEL_N, None, TARGET_NKHW, Loss(huber=1.0))
    assert float(got.attention) == pytest.approx(0.5)


def test_the_attention_loss_is_a_mean_over_encoders() -> None:
    output = _output()
    assert output.attention_ENKHW is not None
    output.attention_ENKHW[0] = 0
    got = losses(output, LABEL_N, None, TARGET_NKHW, Loss())
    assert float(got.attention) == pytest.approx(HUBER / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_are_float32(dtype: torch.dtype) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = losses(_output(dtype=dtype), LABEL_N, TOKEN_LABEL_NT, TARGET_NKHW.to(dtype), Loss())
    assert isinstance(got, Losses)
    assert {part.dtype for part in got} == {torch.float32}
    assert float(got.total) == pytest.approx(31 * SURE + 0.5 * HUBER, rel=1e-5)
