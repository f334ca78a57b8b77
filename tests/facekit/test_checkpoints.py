import random

import pytest
import torch

from facekit import checkpoints
from facekit.errors import BadWeights


def network():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_weights_arrive_whatever_trained_them(tmp_path, prefix):
    wanted = network().state_dict()
    torch.save({prefix + key: x for key, x in wanted.items()}, tmp_path / "a.pth")
    filled = torch.nn.Linear(3, 2)
    checkpoints.fill(filled, tmp_path / "a.pth", "a line")
    assert not filled.training
    assert all(torch.equal(filled.state_dict()[key], x) for key, x in wanted.items())


@pytest.mark.parametrize(
    "content",
    [{}, {"weight": torch.zeros(2, 3)}, [1, 2], {"weight": 1, "bias": 2}, torch.zeros(3)],
    ids=["empty", "half", "list", "numbers", "tensor"],
)
def test_another_content_is_refused_with_the_name(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(BadWeights, match=r"a\.pth does not hold the weights of a line"):
        checkpoints.fill(network(), tmp_path / "a.pth", "a line")


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_are_refused_and_nothing_else_escapes(tmp_path, seed):
    rng = random.Random(seed)
    torch.save(network().state_dict(), tmp_path / "a.pth", _use_new_zipfile_serialization=seed % 2)
    whole = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(whole[: rng.randrange(len(whole) // 2)] + rng.randbytes(64))
    with pytest.raises(BadWeights):
        checkpoints.fill(network(), tmp_path / "a.pth", "a line")


def test_a_pickled_object_is_not_run(tmp_path):
    torch.save(network(), tmp_path / "a.pth")
    with pytest.raises(BadWeights):
        checkpoints.fill(network(), tmp_path / "a.pth", "a line")
