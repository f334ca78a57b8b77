import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from synthetic_faces import make_shards
from tiny_runs import TINY, environment
from trained_runs import config, write_run

import facekit
from facekit import cli
from training import checkpoint
from training.predict import predict
from training.scoring import score_faces
from training.table import read_table
from training.tiers import open_source

HOME = Path(__file__).parents[2]
SETTINGS = (*TINY, "data.frames=2", "training.epochs=1", "training.validate_every=1")

BLOCKED = {
    "av": "av",
    "face-alignment": "face_alignment",
    "insightface": "insightface",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "opencv-python": "cv2",
    "psutil": "psutil",
    "py-feat": "feat",
    "skops": "skops",
}
"""What only measuring, exporting and supervising need: distribution -> what is imported."""

BROUGHT_ALONG = {"joblib", "pillow"}
"""Needed by what training needs, which brings them."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("made") / "shards", frames=2)


def _facekit(*arguments):
    cli.cli([*map(str, arguments)], standalone_mode=False)


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    _facekit("train", shards, "-o", out, "--quiet", *(f"--set={setting}" for setting in SETTINGS))
    return out


def test_train_evaluate_predict_export(run, shards, pyfeat_clips, tmp_path):
    snapshot = checkpoint.best(run)
    assert snapshot is not None
    sha256 = snapshot.sha256[checkpoint.MODEL]

    _facekit("evaluate", run, shards, "-o", tmp_path / "evaluation", "--quiet")
    assert (tmp_path / "evaluation" / "report.html").exists()

    clip = pyfeat_clips / "single_face.mp4"
    _facekit("predict", run, clip, "-o", tmp_path / "out", "--frames", "2", "--overlay", "--quiet")
    said = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert said["model"]["sha256"] == sha256
    assert said["videos"][0]["frames_with_face"] == 2
    assert (tmp_path / "out" / "videos" / said["videos"][0]["overlay"]).stat().st_size > 10_000

    _facekit("export-model", run, tmp_path / "model.onnx")
    facts = {one.key: one.value for one in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert facts["sha256"] == sha256


def test_the_example_tells_the_score_of_each_second(run, pyfeat_clips, tmp_path):
    script = HOME / "examples" / "predict_one_video.py"
    ran = subprocess.run(
        [sys.executable, script, run, pyfeat_clips / "single_face.mp4", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(re.findall(r"^ +\d\.\d\d s  person 0: 0\.\d\d$", ran.stdout, re.M)) == 8
    assert ran.stdout.endswith("single_face.mp4.overlay.mp4\n")


def test_predict_says_what_evaluation_says_of_the_same_clip(pyfeat_clips, tmp_path):
    """The crop from the frame is the one framed from a shard, but for the second resampling."""
    run = write_run(tmp_path / "run", config(size_px=112))
    clip = pyfeat_clips / "single_face.mp4"
    facekit.extract(clip, tmp_path / "shards", frames="4", margin=1.6, size=224, jobs=1, au="none")
    loaded = checkpoint.load_model(run)
    table = read_table([tmp_path / "shards"])
    source = open_source(table, "cpu")
    shown = score_faces(loaded.model, source, table, loaded.config)
    predict(run, clip, out=tmp_path / "out", frames="4")
    told = json.loads((tmp_path / "out" / "videos" / f"{clip.name}.json").read_text())
    frames = pd.json_normalize(told["videos"][0]["frames"], "faces", ["frame_index"])
    assert frames.frame_index.tolist() == shown.frame_index.tolist()
    for name in ("score", "class_score", "token_score"):
        np.testing.assert_allclose(frames[name], shown[name], atol=0.02)


WITHOUT = """
import runpy, sys

sys.modules.update(dict.fromkeys({blocked!r}))  # as if they were not installed
sys.argv = {argv!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_training_needs_no_face_package(shards, tmp_path):
    argv = [str(HOME / "tests" / "tiny_runs.py"), str(shards), str(tmp_path / "run"), "2"]
    argv += ["data.frames=2", "training.validate_every=1"]
    program = WITHOUT.format(blocked=set(BLOCKED.values()), argv=argv)
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert ran.returncode == 0, ran.stderr
    assert checkpoint.last(tmp_path / "run").state.step == 2


def _packages(lines):
    """Distribution -> the line that asks for it."""
    asked = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return {re.split(r"[><=]", line)[0]: line for line in asked}


def test_requirements_are_those_of_the_package_without_the_blocked():
    setup = configparser.ConfigParser()
    setup.read(HOME / "setup.cfg")
    all_of_it = _packages(setup["options"]["install_requires"].splitlines())
    training = _packages((HOME / "requirements-train.txt").read_text().splitlines())
    assert training.keys() | BLOCKED.keys() | BROUGHT_ALONG == all_of_it.keys()
    assert not training.keys() & BLOCKED.keys()
    assert training.items() <= all_of_it.items()
