import random

import pytest
import torch
from safetensors.torch import save_file

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_safetensors_arrive_in_the_precision_of_the_network(tmp_path, dtype):
    wanted = {key: x.to(dtype) for key, x in network().state_dict().items()}
    save_file(wanted, tmp_path / "a.safetensors")
    filled = torch.nn.Linear(3, 2)
    checkpoints.fill(filled, tmp_path / "a.safetensors", "a line")
    assert not filled.training
    assert all(x.dtype == torch.float32 for x in filled.state_dict().values())
    assert all(torch.equal(filled.state_dict()[key], x.float()) for key, x in wanted.items())


@pytest.mark.parametrize("seed", range(40))
def test_damaged_safetensors_are_refused_and_nothing_else_escapes(tmp_path, seed):
    """Cut, or hit in its header; numbers alone could be any, and are the sha256's business."""
    rng = random.Random(seed)
    save_file(network().state_dict(), tmp_path / "a.safetensors")
    whole = bytearray((tmp_path / "a.safetensors").read_bytes())
    if seed % 2:
        del whole[rng.randrange(len(whole)) :]
    else:
        whole[rng.randrange(8)] ^= 1 << rng.randrange(8)
    (tmp_path / "a.safetensors").write_bytes(whole)
    with pytest.raises(BadWeights):
        checkpoints.fill(network(), tmp_path / "a.safetensors", "a line")


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
