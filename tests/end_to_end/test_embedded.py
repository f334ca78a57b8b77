"""facekit works the minute it is installed: no model files, no network."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import facekit

OFFLINE = Path(__file__).parents[1] / "offline"


@pytest.fixture
def alone(tmp_path):
    """The environment of a machine that has facekit and nothing else: no models, no network."""
    names = ("FACEKIT_WEIGHTS", "FACEKIT_CACHE", "FACEKIT_OFFLINE", "XDG_CACHE_HOME", "TORCH_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    (tmp_path / "home").mkdir()
    return {**kept, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(OFFLINE)}


def _run(environment, *command):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('https://example.org')",
        "import subprocess, sys; "
        "c = 'import socket; socket.getaddrinfo(\\'localhost\\', 80)'; "
        "sys.exit(subprocess.run([sys.executable, '-c', c]).returncode)",
    ],
)
def test_the_network_is_blocked_in_these_tests(alone, attempt):
    ran = _run(alone, "-c", attempt)
    assert ran.returncode == 1
    assert "no network in this test" in ran.stderr


def test_extract_verify_and_preview_of_a_fresh_install(alone, tmp_path, pyfeat_clips):
    shards, picture = tmp_path / "shards", tmp_path / "preview.png"
    clip = pyfeat_clips / "single_face.mp4"
    ran = _run(alone, "-m", "facekit", "extract", clip, "-o", shards, "--frames", "8")
    assert ran.returncode == 0, ran.stderr
    said = dict(line.split(None, 1) for line in ran.stdout.splitlines())
    assert said["ok"] == "1"
    assert said["faces"] == "8"
    assert said["models"].startswith("lite detector, landmarker, au: ")
    for command in (("verify", shards, "--deep"), ("preview", shards, "-o", picture)):
        ran = _run(alone, "-m", "facekit", *command)
        assert ran.returncode == 0, ran.stderr
    assert cv2.imread(str(picture)).std() > 20
    assert not list((tmp_path / "home").rglob("*.onnx"))
    with facekit.open_shards(shards) as opened:
        assert sorted(opened.provenance.backends) == ["action_units", "detector", "landmarker"]
        assert {b["name"] for b in opened.provenance.backends.values()} == {"lite"}
        assert set(opened[0:8].columns["au_occurrence"].ravel().tolist()) >= {0, 1}
