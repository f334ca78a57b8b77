"""The score is equation 3 of the supplement."""

import pytest
import torch

from training.models.output import Output, score, token_map


def _output(class_margin: float, token_margins: list[float] | None) -> Output:
    """One image whose logits of fake less real are these."""
    tokens = None
    if token_margins is not None:
        margin_1T = torch.tensor([token_margins])
        tokens = torch.stack((-margin_1T / 2, margin_1T / 2), -1)
    return Output(torch.tensor([[5.0, 5.0 + class_margin]]), tokens)


LARGE = 40.0


@pytest.mark.parametrize(
    ("class_margin", "token_margins", "probability", "logit"),
    [
        (0.0, None, 0.5, 0.0),
        (LARGE, None, 1.0, LARGE),
        (0.0, [0.0, 0.0], 0.5, 0.0),
        (LARGE, [-LARGE, LARGE], 1.0, 1.5 * LARGE),
        (-LARGE, [-LARGE, -LARGE], 0.0, -1.5 * LARGE),
        (LARGE, [-LARGE], 2 / 3, 0.5 * LARGE),
        (-LARGE, [-LARGE, LARGE, 0.0], 1 / 3, -0.5 * LARGE),
    ],
)
def test_score(
    class_margin: float, token_margins: list[float] | None, probability: float, logit: float
) -> None:
    output = _output(class_margin, token_margins)
    assert score(output).tolist() == pytest.approx([probability], abs=1e-6)
    assert score(output, "logit").tolist() == pytest.approx([logit], abs=1e-6)
    assert score(output).dtype == torch.float32


def test_the_token_map_lies_row_by_row() -> None:
    output = _output(0.0, [-LARGE, 0.0, LARGE, 0.0, 0.0, -LARGE])
    got = token_map(output, (2, 3))
    assert got is not None
    assert got.round(decimals=6).tolist() == [[[0.0, 0.5, 1.0], [0.5, 0.5, 0.0]]]


def test_without_token_logits_there_is_no_map() -> None:
    assert token_map(_output(0.0, None), (2, 3)) is None
