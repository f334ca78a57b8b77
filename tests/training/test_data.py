import pytest
import torch
from face_folders import video, write_folder

from facekit.errors import BadInput
from training.data import Batches, open_source, open_table
from training.draws import Draws
from training.framing import frame
from training.options import Data

TAMPERED = Data(task="tampered", frames=3)
LABELLED = Data(task="labelled", frames=3)
TASKS = pytest.mark.parametrize("data", [TAMPERED, LABELLED])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    told = [
        video(f"{i:02d}", 5, label=int(i > 7), group=f"{i:02d}", split="train") for i in range(20)
    ]
    return write_folder(tmp_path_factory.mktemp("shards") / "shards", told)


def batches(folder, data, tier="device", batch=8):
    table = open_table([folder], data, 0).subset("train").frames(data.frames)
    return Batches(table, open_source(table, "cpu", tier), batch=batch, data=data, seed=0)


def ids(several):
    return [faces.sample_N.tolist() for faces in several]


@TASKS
def test_an_epoch(folder, data):
    made = batches(folder, data)
    told = list(made.epoch(0))
    assert len(told) == made.steps == (6 if data is TAMPERED else 9)
    for faces in told:
        assert faces.label_N.tolist() == ([0] * 4 if data is TAMPERED else [0] * 4 + [1] * 4)
    assert ids(told) == ids(made.epoch(0)) != ids(made.epoch(1))


@TASKS
def test_an_epoch_goes_on_where_it_stopped(folder, data):
    made = batches(folder, data)
    whole = ids(made.epoch(2))
    for start in range(made.steps + 1):
        assert ids(made.epoch(2, start=start)) == whole[start:]


@TASKS
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_the_order_of_one(folder, data, ranks):
    made = batches(folder, data)
    alone = ids(made.epoch(1))
    shares = [ids(made.epoch(1, rank=rank, ranks=ranks)) for rank in range(ranks)]
    for step, whole in enumerate(alone):
        told = [None] * len(whole)
        for rank in range(ranks):
            told[rank::ranks] = shares[rank][step]
        assert told == whole
    if data is LABELLED:
        for faces in made.epoch(1, rank=1, ranks=ranks):
            assert faces.label_N.float().mean() == 0.5


@TASKS
def test_a_faces_draws_do_not_depend_on_the_ranks(folder, data):
    made = batches(folder, data)
    whole, half = next(made.epoch(1)), next(made.epoch(1, rank=1, ranks=2))
    framed = [frame(one, 112, draws=Draws(0, 1, one.sample_N), data=data) for one in (whole, half)]
    torch.testing.assert_close(framed[1].image_NCHW, framed[0].image_NCHW[1::2])
    assert torch.equal(framed[1].landmarks_NP2, framed[0].landmarks_NP2[1::2])


@TASKS
@pytest.mark.parametrize("tier", ["pinned", "disk"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_every_tier_gives_the_same_batches(folder, data, tier, ranks):
    resident, other = batches(folder, data), batches(folder, data, tier)
    for one, two in zip(
        resident.epoch(3, start=1, rank=ranks - 1, ranks=ranks),
        other.epoch(3, start=1, rank=ranks - 1, ranks=ranks),
        strict=True,
    ):
        assert all(
            torch.equal(getattr(one, name), getattr(two, name)) for name in one.__dataclass_fields__
        )


def test_ranks_that_cannot_share_evenly(folder):
    made = batches(folder, TAMPERED)
    with pytest.raises(BadInput, match="gives 4 faces a step, which 3 ranks cannot share evenly"):
        next(made.epoch(0, ranks=3))


def test_too_few_faces_for_one_step(folder):
    with pytest.raises(BadInput, match="24 faces do not fill one step, which takes 32"):
        batches(folder, TAMPERED, batch=64)
