import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(name, *arguments):
    ran = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_own_detector():
    assert _run("own_detector.py") == "box [160.0, 120.0, 480.0, 360.0] score 1.0\n"


def test_first_extraction_and_then_torch(pyfeat_clips, tmp_path):
    said = _run("first_extraction.py", pyfeat_clips / "single_face.mp4", tmp_path)
    assert "frames with a face  8 of 8" in said
    assert (tmp_path / "preview.png").stat().st_size > 50_000
    assert _run("shards_in_torch.py", tmp_path / "shards") == "batch (8, 3, 224, 224) labels [-1]\n"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_says_how_to_run_it(script):
    assert script.read_text().startswith('"""')
    assert len(script.read_text().splitlines()) < 80
