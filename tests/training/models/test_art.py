"""The parts of an encoder are the paper's equations."""

import pytest
import torch
from torch import Tensor, nn

from training.models.art import (
    UNITS,
    AgnosticBranch,
    Encoder,
    SpecificBranch,
    TransformerBlock,
    au_weight,
    relation_matrix,
)
from training.options import Model

SMALL = Model(weights="none", attention_width=8, token_width=16, heads=4, feed_forward=2)


def _randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("images", [0, 3])
@pytest.mark.parametrize("form", ["literal", "scaled", "softmax"])
def test_weights_are_those_of_the_matrix(form: str, images: int) -> None:
    embedding_NKC = 1 + _randn(images, 5, 7)
    matrix_NKK = relation_matrix(embedding_NKC)
    for i in range(5):
        for j in range(5):
            dot_N = (embedding_NKC[:, i] * embedding_NKC[:, j]).sum(1)
            assert torch.allclose(matrix_NKK[:, i, j], dot_N, atol=1e-4)
    literal_NK = matrix_NKK.sum(2) / matrix_NKK.sum((1, 2))[:, None]
    want_NK = {
        "literal": literal_NK,
        "scaled": 5 * literal_NK,
        "softmax": (matrix_NKK.mean(2) / 7**0.5).softmax(1),
    }[form]
    assert torch.allclose(au_weight(embedding_NKC, form), want_NK, atol=1e-5)


def test_embeddings_that_cancel_give_finite_weights() -> None:
    embedding_NKC = torch.zeros(1, 4, 3)
    assert au_weight(embedding_NKC).tolist() == [[0.0] * 4]


def test_relations_stay_in_float32_under_autocast() -> None:
    embedding_NKC = 1000 + _randn(2, 15, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weight_NK, matrix_NKK = au_weight(embedding_NKC), relation_matrix(embedding_NKC)
    assert torch.equal(weight_NK, au_weight(embedding_NKC))
    assert torch.equal(matrix_NKK, relation_matrix(embedding_NKC))


@pytest.mark.parametrize("form", ["literal", "scaled", "softmax"])
def test_the_specific_branch_is_equations_2_to_5(form: str) -> None:
    branch = SpecificBranch(6, Model(weights="none", attention_width=8, au_weight=form)).eval()
    features_NCHW = _randn(2, 6, 5, 4)
    with torch.no_grad():
        specific_NCHW, relation = branch(features_NCHW)
        conv = branch.embedding.conv
        rows = []
        for i in range(UNITS):
            mask_N1HW = relation.attention_NKHW[:, i : i + 1]
            rows.append(conv(features_NCHW * mask_N1HW + features_NCHW).mean((2, 3)))
    embedding_NKC = torch.stack(rows, 1)
    assert torch.allclose(relation.embedding_NKC, embedding_NKC, atol=1e-5)
    weight_NK = au_weight(embedding_NKC, form)
    weighted_NKHW = torch.einsum("nk,nkhw->nkhw", weight_NK, relation.attention_NKHW)
    region_N1HW = weighted_NKHW.max(1, keepdim=True).values
    assert torch.allclose(specific_NCHW, region_N1HW * features_NCHW, atol=1e-5)


def test_attention_lies_between_0_and_1_in_float32() -> None:
    branch = SpecificBranch(6, SMALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, relation = branch(100 * _randn(2, 6, 5, 4))
    assert relation.attention_NKHW.dtype == torch.float32
    assert relation.attention_NKHW.shape == (2, UNITS, 5, 4)
    assert ((relation.attention_NKHW >= 0) & (relation.attention_NKHW <= 1)).all()


def test_the_block_is_a_transformer_normalised_after_each_sum() -> None:
    torch.manual_seed(0)
    mine = TransformerBlock(16, heads=4, times=2)
    for parameter in mine.parameters():
        nn.init.normal_(parameter, std=0.3)
    theirs = nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=False
    )
    pairs = {
        "self_attn.in_proj_weight": mine.query_key_value.weight,
        "self_attn.in_proj_bias": mine.query_key_value.bias,
        "self_attn.out_proj.weight": mine.merge.weight,
        "self_attn.out_proj.bias": mine.merge.bias,
        "linear1.weight": mine.feed_forward[0].weight,
        "linear1.bias": mine.feed_forward[0].bias,
        "linear2.weight": mine.feed_forward[2].weight,
        "linear2.bias": mine.feed_forward[2].bias,
        "norm1.weight": mine.norm_attention.weight,
        "norm1.bias": mine.norm_attention.bias,
        "norm2.weight": mine.norm_feed_forward.weight,
        "norm2.bias": mine.norm_feed_forward.bias,
    }
    theirs.load_state_dict(pairs)
    token_NSD = _randn(2, 9, 16)
    assert torch.allclose(mine(token_NSD), theirs(token_NSD), atol=1e-5)


def test_tokens_keep_their_place() -> None:
    branch = AgnosticBranch(6, SMALL, back=True)
    features_NCHW = _randn(2, 6, 3, 4)
    class_ND = _randn(2, 16)
    agnostic_NCHW, class_out_ND, patch_NDHW = branch(features_NCHW, class_ND, None)
    token_NSD = torch.cat(
        (class_ND[:, None], branch.into(features_NCHW).flatten(2).transpose(1, 2)), 1
    )
    want_NSD = branch.block(token_NSD)
    assert torch.allclose(class_out_ND, want_NSD[:, 0], atol=1e-5)
    for row in range(3):
        for column in range(4):
            want_ND = want_NSD[:, 1 + 4 * row + column]
            assert torch.allclose(patch_NDHW[:, :, row, column], want_ND, atol=1e-5)
    assert agnostic_NCHW is not None
    assert agnostic_NCHW.shape == features_NCHW.shape


@pytest.mark.parametrize(("specific", "agnostic"), [(True, True), (True, False), (False, True)])
def test_an_encoder_adds_its_branches_and_integrates_them(specific: bool, agnostic: bool) -> None:
    options = Model(
        weights="none", attention_width=8, token_width=16, specific=specific, agnostic=agnostic
    )
    encoder = Encoder(6, options).eval()
    features_NCHW, class_ND = _randn(2, 6, 3, 4), _randn(2, 16) if agnostic else None
    got = encoder(features_NCHW, class_ND, None)
    want_NCHW = torch.zeros(2, 6, 3, 4)
    if encoder.specific is not None:
        want_NCHW = want_NCHW + encoder.specific(features_NCHW)[0]
    if encoder.agnostic is not None:
        want_NCHW = want_NCHW + encoder.agnostic(features_NCHW, class_ND, None)[0]
    assert encoder.integration is not None
    assert torch.allclose(got.features_NCHW, encoder.integration(want_NCHW), atol=1e-5)
    assert (got.relation is None, got.class_ND is None) == (not specific, not agnostic)


@pytest.mark.parametrize(("integration", "kinds"), [("plain", 2), ("norm", 6)])
def test_the_integration_is_two_convolutions(integration: str, kinds: int) -> None:
    options = Model(weights="none", attention_width=8, token_width=16, integration=integration)
    encoder = Encoder(6, options)
    assert encoder.integration is not None
    assert len(encoder.integration) == kinds
    kernels = [each for each in encoder.integration if isinstance(each, nn.Conv2d)]
    assert [each.kernel_size for each in kernels] == [(3, 3), (3, 3)]
