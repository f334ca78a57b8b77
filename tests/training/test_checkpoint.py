import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_runs import environment, tiny

from facekit.errors import BadInput, BadWeights
from training import checkpoint
from training.models import build

CONFIG = tiny()
STATE = checkpoint.State(
    config=CONFIG,
    step=4,
    epoch=1,
    position=1,
    steps_per_epoch=3,
    rate=0.1,
    world=2,
    data=("00" * 32,),
    score=0.75,
    losses={"loss": 1 / 3},
    versions={"torch": "2"},
)
SMALL = {"model": {"w": torch.arange(4.0)}, "optimiser": {"w|momentum_buffer": torch.ones(4)}}


def put(run, **changed):
    return checkpoint.write(run, dataclasses.replace(STATE, **changed), **SMALL)


def steps(run):
    return [checkpoint.read(path).state.step for path in checkpoint.steps_of(run)]


def test_what_was_written_is_read(tmp_path):
    path = put(tmp_path)
    snapshot = checkpoint.read(path)
    assert snapshot.state == STATE
    assert snapshot.path == path == tmp_path / "snapshots" / "step-00000004"
    told = snapshot.tensors(checkpoint.OPTIMISER)
    assert torch.equal(told["w|momentum_buffer"], torch.ones(4))
    content = (path / checkpoint.MODEL).read_bytes()
    assert snapshot.sha256[checkpoint.MODEL] == hashlib.sha256(content).hexdigest()


def test_the_same_state_is_the_same_bytes(tmp_path):
    one, other = put(tmp_path / "a"), put(tmp_path / "b")
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_a_folder_without_snapshots_has_none(tmp_path):
    assert checkpoint.steps_of(tmp_path) == []
    assert checkpoint.last(tmp_path) is None
    assert checkpoint.best(tmp_path) is None
    checkpoint.prune(tmp_path, 1)


@pytest.mark.parametrize(
    ("scores", "keep", "best", "left"),
    [
        ({1: None, 2: None}, 1, None, [2]),
        ({1: 0.5, 2: None, 3: None}, 1, 1, [1, 3]),
        ({1: 0.5, 2: 0.9, 3: 0.7, 4: None}, 1, 2, [2, 4]),
        ({1: 0.5, 2: 0.9, 3: 0.7, 4: 0.1}, 2, 2, [2, 3, 4]),
        ({1: 0.9, 2: 0.9, 3: 0.1}, 1, 2, [2, 3]),  # the later of equals
        ({9: 0.1, 100000000: 0.2}, 1, 100000000, [100000000]),  # by number, not by name
    ],
)
def test_the_last_and_the_best_stay(scores, keep, best, left, tmp_path):
    for step, score in scores.items():
        put(tmp_path, step=step, score=score)
    (tmp_path / "snapshots" / ".step-00000007.tmp-1").mkdir()
    found = checkpoint.best(tmp_path)
    assert (found and found.state.step) == best
    checkpoint.prune(tmp_path, keep)
    assert steps(tmp_path) == left
    assert len(list((tmp_path / "snapshots").iterdir())) == len(left)
    found = checkpoint.best(tmp_path)
    assert (found and found.state.step) == best


def told(path, change):
    """Change what a state.json says, and let its digest fit again."""
    where = path / checkpoint.STATE
    content = json.loads(where.read_text())
    del content["sha256"]
    change(content)
    text = json.dumps(content, sort_keys=True, indent=1) + "\n"
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    where.write_text(json.dumps(content))


DAMAGE = {
    "gone": lambda path: (path / checkpoint.STATE).unlink(),
    "empty": lambda path: (path / checkpoint.STATE).write_text(""),
    "no text": lambda path: (path / checkpoint.STATE).write_bytes(b"\xff\xfe\x00"),
    "a list": lambda path: (path / checkpoint.STATE).write_text("[]"),
    "deep": lambda path: (path / checkpoint.STATE).write_text("[" * 100_000),
    "another's": lambda path: (path / checkpoint.STATE).write_text('{"step": 4}'),
    "another format": lambda path: told(path, lambda content: content.update(facekit_snapshot=2)),
    "one letter": lambda path: (path / checkpoint.STATE).write_text(
        (path / checkpoint.STATE).read_text().replace('"step": 4', '"step": 5')
    ),
    "no digest": lambda path: (path / checkpoint.STATE).write_text('{"facekit_snapshot": 1}'),
    "a field too few": lambda path: told(path, lambda content: content["state"].pop("step")),
    "a field too many": lambda path: told(path, lambda content: content["state"].update(x=1)),
    "no number": lambda path: told(path, lambda content: content["state"].update(step="four")),
    "no config": lambda path: told(path, lambda content: content["state"].update(config=[])),
    "unknown option": lambda path: told(
        path, lambda content: content["state"]["config"]["model"].update(x=1)
    ),
    "no files": lambda path: told(path, lambda content: content.update(files={})),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_state_is_one_line(damage, tmp_path):
    damage(put(tmp_path))
    with pytest.raises(BadWeights, match=r"state\.json") as refused:
        checkpoint.last(tmp_path)
    assert "\n" not in str(refused.value)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [flip, Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])],
    ids=["a bit", "gone", "cut"],
)
@pytest.mark.parametrize("name", [checkpoint.MODEL, checkpoint.OPTIMISER])
def test_damaged_tensors_are_one_line(name, damage, tmp_path):
    damage(put(tmp_path) / name)
    with pytest.raises(BadWeights, match=name) as refused:
        checkpoint.last(tmp_path).tensors(name)
    assert "\n" not in str(refused.value)


def test_no_tensors_under_a_right_digest(tmp_path):
    path = put(tmp_path) / checkpoint.MODEL
    path.write_bytes(b"no tensors")
    digest = hashlib.sha256(b"no tensors").hexdigest()
    told(path.parent, lambda content: content["files"][path.name].update(sha256=digest))
    with pytest.raises(BadWeights, match="holds no tensors"):
        checkpoint.last(tmp_path).tensors(checkpoint.MODEL)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with a network of known weights at steps 4 (the best) and 5."""
    run = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    model = build(CONFIG.model)
    for step, score in ((4, 0.9), (5, 0.1)):
        with torch.no_grad():
            next(model.parameters()).fill_(step)
        state = dataclasses.replace(STATE, step=step, score=score)
        checkpoint.write(run, state, model=model.state_dict(), optimiser={})
    return run


@pytest.mark.parametrize(("which", "step"), [("best", 4), ("last", 5)])
def test_a_network_is_loaded(which, step, trained):
    loaded = checkpoint.load_model(trained, which=which)
    assert (loaded.step, loaded.config) == (step, CONFIG)
    assert not any(module.training for module in loaded.model.modules())
    assert bool((next(loaded.model.parameters()) == step).all())
    path = trained / "snapshots" / f"step-{step:08d}"
    assert loaded.sha256 == checkpoint.read(path).sha256[checkpoint.MODEL]
    assert checkpoint.load_model(path).step == step


def test_weights_of_another_network_are_refused(trained, tmp_path):
    model = build(tiny("model.encoders=1").model)
    checkpoint.write(tmp_path, STATE, model=model.state_dict(), optimiser={})
    with pytest.raises(BadWeights, match="does not hold the weights of the aunet") as refused:
        checkpoint.load_model(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("which", "score", "told"),
    [
        ("worst", 0.5, "--which must be best or last, not 'worst'"),
        ("best", None, "none of its snapshots was validated; ask for the last"),
    ],
)
def test_what_cannot_be_chosen(which, score, told, tmp_path):
    put(tmp_path, score=score)
    with pytest.raises(BadInput, match=told):
        checkpoint.load_model(tmp_path, which=which)


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_folder_of_something_else(which, tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(BadInput, match="holds no snapshot"):
        checkpoint.load_model(tmp_path, which=which)


def test_killed_writers_leave_whole_snapshots():
    script = Path(__file__).parent.parent / "benchmarks" / "snapshots.py"
    ran = subprocess.run(
        [sys.executable, script, "--kills", "10"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "10 of 10 killed writers left a snapshot that is whole" in ran.stdout
