"""A run that was stopped comes to the same weights as one that was not, bit for bit."""

import os
import signal

import pytest
import torch
from safetensors.torch import load_file
from synthetic_faces import make_shards
from tiny_runs import losses, start, tiny

from facekit.errors import BadInput, BadWeights, Interrupted
from training import checkpoint, log
from training.loop import resume, train

STEPS = 6
EPOCHS = "training.epochs=3"

CASES = {
    "plain": (),
    "accumulated": ("training.accumulate=2", "training.clip=1.0", "training.log_every=3"),
    "adamw": ("training.optimiser=adamw", "training.weight_decay=0.01", "data.task=labelled"),
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("resume") / "shards")


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(run):
    snapshot = checkpoint.last(run)
    files = [snapshot.path / name for name in (checkpoint.MODEL, checkpoint.OPTIMISER)]
    return snapshot.state.step, [load_file(path) for path in files]


def same(one, other):
    (step, tensors), (other_step, others) = weights(one), weights(other)
    return step == other_step and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(tensors, others, strict=True)
    )


@pytest.mark.parametrize("sets", CASES.values(), ids=CASES)
def test_stopped_and_resumed_is_the_same_run(sets, shards, tmp_path):
    config = tiny(EPOCHS, *sets)
    whole = train([shards], tmp_path / "whole", config=config, device="cpu")
    train([shards], tmp_path / "parts", config=config, device="cpu", steps=STEPS - 2)
    resumed = resume(tmp_path / "parts", device="cpu")
    assert whole.step == resumed.step == STEPS
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


def test_other_weights_are_told_apart(shards, tmp_path):
    for seed in (0, 1):
        config = tiny(EPOCHS, f"training.seed={seed}")
        train([shards], tmp_path / str(seed), config=config, device="cpu", steps=1)
    assert not same(tmp_path / "0", tmp_path / "1")


def test_a_start_goes_on_from_the_network_of_another_run(shards, tmp_path):
    """Of the tampered run the tokens' classifier is left; nothing else of it is new."""
    train([shards], tmp_path / "tampered", config=tiny(EPOCHS), device="cpu", steps=2)
    sets = ("data.task=labelled", f"training.start={tmp_path / 'tampered'}", "training.rate=1e-9")
    train([shards], tmp_path / "labelled", config=tiny(EPOCHS, *sets), device="cpu", steps=1)
    (before, _), (after, _) = (weights(tmp_path / run)[1] for run in ("tampered", "labelled"))
    assert before.keys() - after.keys() >= {"fc_s.weight", "fc_s.bias"}
    counted = ("running_mean", "running_var", "num_batches_tracked")
    for name in [name for name in after if not name.endswith(counted)]:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("where", "sets", "error", "told"),
    [
        ("nothing", (), BadInput, "holds no snapshot"),
        ("whole", ("model.token_width=16",), BadWeights, "holds another network: its "),
    ],
)
def test_what_cannot_be_started_from(where, sets, error, told, shards, tmp_path):
    train([shards], tmp_path / "whole", config=tiny(EPOCHS), device="cpu", steps=1)
    config = tiny(EPOCHS, *sets, f"training.start={tmp_path / where}")
    with pytest.raises(error, match=told):
        train([shards], tmp_path / "new", config=config, device="cpu")


def test_killed_and_resumed_is_the_same_run(shards, tmp_path):
    train([shards], tmp_path / "whole", config=tiny(EPOCHS), device="cpu")
    with start(shards, tmp_path / "killed", STEPS, EPOCHS, SNAPSHOT_MINUTES="0") as killed:
        for line in killed.stdout:
            if line.startswith("step 3/"):
                killed.kill()
    assert killed.returncode == -signal.SIGKILL
    assert 2 <= checkpoint.last(tmp_path / "killed").state.step < STEPS
    resume(tmp_path / "killed", device="cpu")
    assert same(tmp_path / "whole", tmp_path / "killed")
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_a_snapshot_and_the_command_that_resumes(number, shards, tmp_path):
    out = tmp_path / "a run"
    before = signal.getsignal(number)

    def at_first(line):
        if line.step == 1:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted) as stopped:
        train(
            [shards],
            out,
            config=tiny(EPOCHS, "data.task=labelled"),
            device="cpu",
            tell=at_first,
        )
    assert stopped.value.signal_number == number
    assert str(stopped.value) == (
        f"stopped at step 2 of {STEPS}; go on with: facekit train --resume '{out}'"
    )
    assert checkpoint.last(out).state.step == 2
    assert [line["step"] for line in log.read(out / "log.jsonl")] == [1, 2]
    assert signal.getsignal(number) == before
