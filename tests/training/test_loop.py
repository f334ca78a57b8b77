import resource
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file
from synthetic_faces import make_shards
from tiny_runs import losses, tiny

from facekit.errors import (
    BadInput,
    BadWeights,
    DiskFull,
    Diverged,
    FolderLocked,
    MissingDevice,
)
from training import checkpoint, log, run_folder
from training.loop import resume, train

LABELLED = tiny("data.task=labelled", "training.epochs=3")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("loop") / "shards")


@pytest.fixture(scope="module")
def started(shards, tmp_path_factory):
    """A run after its first step; not to be changed."""
    out = tmp_path_factory.mktemp("loop") / "run"
    train([shards], out, config=LABELLED, device="cpu", steps=1)
    return out


@pytest.fixture
def run(started, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(started, tmp_path / "run")


def test_a_run_says_what_it_was_and_what_it_came_to(started, shards):
    snapshot = checkpoint.last(started)
    assert snapshot.state.config == LABELLED
    assert (snapshot.state.step, snapshot.state.epoch, snapshot.state.position) == (1, 0, 1)
    assert run_folder.read(started) == ((shards,), LABELLED)
    (line,) = log.read(started / "log.jsonl")
    assert line["loss"] == pytest.approx(line["cls"] + 0.5 * line["attention"])
    assert line["rate"] == LABELLED.training.rate


def test_done_is_done(run):
    first = resume(run, device="cpu", steps=1)
    assert (first.step, first.steps, first.images_per_s) == (1, 6, None)
    assert len(losses(run)) == 1


def test_torchrun_goes_on_by_itself(run, shards, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    again = train([shards], run, config=LABELLED, device="cpu", steps=2)
    assert again.step == 2
    assert list(losses(run)) == [1, 2]


def test_torchrun_starts_what_died_before_it_began(shards, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train([shards], tmp_path / "a", config=LABELLED, device="cpu", steps=1).step == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"resume": False}, "already holds a run; go on with it by --resume"),
        ({"config": tiny("data.task=labelled", "training.epochs=4")}, "training.epochs = 3, not 4"),
        ({"config": tiny("training.epochs=3")}, "data.task = labelled, not tampered"),
        ({"device": "tpu"}, "--device must be one of auto, cpu, cuda, not 'tpu'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_run_is_refused(changed, told, started, shards):
    options = {"config": LABELLED, "device": "cpu", "resume": True, **changed}
    with pytest.raises(BadInput, match=told) as refused:
        train([shards], started, **options)
    assert "\n" not in str(refused.value)


def test_other_data_is_refused(started, tmp_path):
    other = make_shards(tmp_path / "other", seed=1)
    with pytest.raises(BadInput, match="was trained on other shards"):
        train([other], shutil.copytree(started, tmp_path / "run"), device="cpu", resume=True)


def test_data_may_move(run, shards, tmp_path):
    moved = shutil.copytree(shards, tmp_path / "moved")
    assert train([moved], run, device="cpu", resume=True, steps=2).step == 2
    assert run_folder.read(run)[0] == (moved,)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(BadInput, match="holds no run to resume"):
        resume(tmp_path / "none", device="cpu")


def test_a_run_that_was_refused_may_begin_in_its_folder(shards, tmp_path):
    with pytest.raises(BadInput, match="gone: no such file or folder"):
        train([tmp_path / "gone"], tmp_path / "run", config=LABELLED, device="cpu")
    train([shards], tmp_path / "run", config=LABELLED, device="cpu", steps=1)


def test_a_folder_in_use_is_refused(run):
    with run_folder.locked(run), pytest.raises(FolderLocked, match="is in use: process"):
        resume(run, device="cpu")


def test_a_damaged_last_snapshot_is_refused(run):
    path = checkpoint.last(run).path / checkpoint.OPTIMISER
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadWeights, match="is damaged"):
        resume(run, device="cpu")


def test_what_is_no_number_stops_the_run_and_leaves_the_batch(shards, tmp_path):
    config = tiny("data.task=labelled", "training.epochs=3", "training.rate=1e30")
    with pytest.raises(Diverged) as stopped:
        train([shards], tmp_path / "run", config=config, device="cpu")
    (path,) = (tmp_path / "run").glob("not-finite-*.safetensors")
    assert str(path) in str(stopped.value)
    assert "\n" not in str(stopped.value)
    faces = load_file(path)
    assert faces["image_NHWC.0"].shape == (8, 64, 64, 3)
    assert sorted(faces["label_N.0"].tolist()) == [0] * 4 + [1] * 4
    assert checkpoint.last(tmp_path / "run") is None


def test_a_full_disk_leaves_the_snapshot_before(run):
    before = checkpoint.last(run)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(DiskFull, match="earlier snapshots are whole") as stopped:
            resume(run, device="cpu", steps=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(stopped.value)
    assert checkpoint.last(run) == before
    assert [path.name for path in (run / "snapshots").iterdir()] == [before.path.name]
    assert resume(run, device="cpu", steps=2).step == 2


def test_it_learns_and_the_best_by_validation_are_kept(shards, tmp_path):
    sets = ("data.task=labelled", "training.epochs=5", "training.validate_every=1")
    more = ("training.optimiser=adamw", "training.keep=2", "training.precision=bf16")
    done = train([shards], tmp_path / "run", config=tiny(*sets, *more), device="cpu")
    loss = list(losses(tmp_path / "run").values())
    assert sum(loss[-2:]) < 0.5 * sum(loss[:2])
    lines = log.read(tmp_path / "run" / "log.jsonl")
    auc = {line["step"]: line["auc"] for line in lines if "auc" in line}
    assert list(auc) == [2, 4, 6, 8, 10]
    ranked = sorted(auc, key=lambda step: (auc[step], step), reverse=True)
    kept = {checkpoint.read(path).state.step for path in checkpoint.steps_of(tmp_path / "run")}
    assert kept == {*ranked[:2], 10}
    assert (done.auc, done.best_step) == (auc[ranked[0]], ranked[0])


def test_without_fakes_to_validate_with_nothing_is_best(tmp_path, caplog):
    reals = make_shards(tmp_path / "reals", fakes=False)
    config = tiny("training.epochs=1", "training.validate_every=1")
    done = train([reals], tmp_path / "run", config=config, device="cpu")
    assert (done.auc, done.best_step, done.step) == (None, None, 2)
    assert "no fake face among the validation videos" in caplog.text
    with pytest.raises(BadInput, match="none of its snapshots was validated; ask for the last"):
        checkpoint.load_model(tmp_path / "run")


def test_tensorboard_that_is_not_installed(shards, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDevice, match=r"pip install 'facekit\[tensorboard\]'"):
        train([shards], tmp_path / "run", config=LABELLED, device="cpu", tensorboard=True)


def test_frozen_norms_keep_their_statistics(shards, tmp_path):
    config = tiny("data.task=labelled", "training.freeze_norm=true")
    train([shards], tmp_path / "run", config=config, device="cpu", steps=1)
    model = load_file(checkpoint.last(tmp_path / "run").path / checkpoint.MODEL)
    means = [x for name, x in model.items() if name.endswith("running_mean")]
    assert means
    assert all(torch.equal(x, torch.zeros_like(x)) for x in means)
