"""Several processes that act as one."""

import socket
import sys

import pytest
import torch
from synthetic_faces import make_shards
from tiny_runs import losses, start, tiny

from facekit.errors import BadInput, MissingDevice
from training import checkpoint
from training.loop import train
from training.ranks import joined

STEPS = 20
SETS = (
    "training.epochs=5",
    "training.batch=4",
    "training.freeze_norm=true",
    "training.rate=0.0001",
)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"RANK": "two"}, "RANK must be a whole number, not 'two'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK 2 does not lie in 0 to WORLD_SIZE 2"),
        ({"RANK": "-1"}, "RANK -1 does not lie"),
    ],
)
def test_variables_that_make_no_sense(variables, told, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=told), joined("cpu"):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_no_silent_cpu():
    with pytest.raises(MissingDevice, match="torch finds no usable GPU"), joined("cuda"):
        pass


def test_one_process_is_all_of_them():
    with joined("cpu") as ranks:
        assert (ranks.rank, ranks.world, ranks.is_first, ranks.here) == (0, 1, True, 1)
        assert ranks.sum(torch.ones(2)).tolist() == [1.0, 1.0]
        assert ranks.told(0.5) == 0.5
        ranks.wait()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run by one process, and by two that share its batches."""
    folder = tmp_path_factory.mktemp("ranks")
    shards = make_shards(folder / "shards")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    pair = [
        start(shards, folder / "two", STEPS, *SETS, RANK=str(rank), LOCAL_RANK=str(rank), **shared)
        for rank in (0, 1)
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train([shards], folder / "one", config=tiny(*SETS), device="cpu")
    torch.set_num_threads(threads)
    said = [process.communicate() for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    return folder / "one", folder / "two", said


def test_two_ranks_have_the_losses_of_one_process(runs):
    one, two, _ = runs
    want, got = losses(one), losses(two)
    assert list(got) == list(want) == list(range(1, STEPS + 1))
    for step, loss in want.items():
        assert got[step] == pytest.approx(loss, rel=1e-6), f"step {step}"


def test_the_first_rank_alone_tells_and_writes(runs):
    _, two, ((out, _), (out_of_other, _)) = runs
    assert out.count("\n") == STEPS
    assert out_of_other == ""
    assert checkpoint.last(two).state.world == 2
    assert len(checkpoint.steps_of(two)) == 1


def test_any_number_of_ranks_may_go_on(runs):
    _, two, _ = runs
    assert train([], two, device="cpu", resume=True).step == STEPS


def test_torchrun_starts_again_what_was_killed(runs, tmp_path):
    """A worker that dies once by SIGKILL: torchrun starts another, which goes on from the last."""
    one, _, _ = runs
    dying = (
        "import os, signal, runpy, sys\n"
        "from training import checkpoint\n"
        "if os.environ['TORCHELASTIC_RESTART_COUNT'] == '0':\n"
        "    whole = checkpoint.prune\n"
        "    def prune(run, keep):\n"
        "        whole(run, keep)\n"
        "        if len(checkpoint.steps_of(run)) and checkpoint.last(run).state.step == 2:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    checkpoint.prune = prune\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    script = tmp_path / "dying.py"
    script.write_text(dying)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1")
    program = (sys.executable, *torchrun, "--max-restarts=1", str(script))
    shards = one.parent / "shards"
    with start(shards, tmp_path / "run", 4, *SETS, program=program, SNAPSHOT_MINUTES="0") as agent:
        out, said = agent.communicate()
    assert agent.returncode == 0, said
    assert list(losses(tmp_path / "run")) == [1, 2, 3, 4]
    want = losses(one)
    assert all(loss == want[step] for step, loss in losses(tmp_path / "run").items())
    assert out.count("step 1/") == out.count("step 4/") == 1
