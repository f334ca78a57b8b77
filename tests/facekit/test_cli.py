import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import facekit
from facekit import cli

HEAVY = (
    "torch",
    "cv2",
    "insightface",
    "feat",
    "face_alignment",
    "onnxruntime",
    "av",
    "h5py",
    "numpy",
    "pandas",
    "matplotlib",
)


def _facekit(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "facekit", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_imports_nothing_heavy():
    asked = "import sys, facekit.cli, facekit.options; print([n for n in %r if n in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", asked % (HEAVY,)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_the_commands_are_pinned():
    assert sorted(cli.cli.commands) == [
        "diff", "doctor", "extract", "inspect", "merge", "preview", "verify", "weights",
    ]  # fmt: skip
    assert sorted(cli.weights.commands) == ["fetch", "list", "verify"]


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (
            "extract",
            "--align --au --config --dataset --detector --device --dry-run --engine --face --force "
            "--frames --images --jobs --json --landmarker --margin --mask-profile --max-rss "
            "--min-score --out --part --quiet --retry --size --strict --timeout",
        ),
        ("merge", "--force --out --quiet"),
        ("inspect", "--json"),
        ("verify", "--deep --json --rebuild"),
        ("diff", "--json"),
        ("preview", "--faces --key --masks --out"),
        ("doctor", "--json"),
    ],
)
def test_the_flags_are_pinned(command, flags):
    options = [p for p in cli.cli.commands[command].params if isinstance(p, click.Option)]
    assert sorted(max(p.opts, key=len) for p in options) == flags.split()


def test_the_exported_names_are_pinned():
    assert dir(facekit) == [
        "FacekitError", "Measurement", "Run", "diff", "doctor", "extract", "inspect", "merge",
        "open_shards", "preview", "verify",
    ]  # fmt: skip
    for name in dir(facekit):
        assert callable(getattr(facekit, name))


def test_no_exported_name_is_that_of_a_module():
    """Importing such a module would put it in the place of the function."""
    package = Path(facekit.__file__).parent
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not modules & set(dir(facekit))


def test_a_name_that_is_not_exported_is_no_attribute():
    with pytest.raises(AttributeError, match="'nothing'"):
        facekit.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["extract"], 2, "Missing argument"),
        (["extract", "missing.mp4", "-o", "out"], 2, "missing.mp4"),
        (["extract", ".", "-o", "out", "--frames", "many"], 2, "--frames"),
        (["extract", ".", "-o", "out", "--face", "best"], 2, "--face"),
        (["extract", ".", "-o", "out", "--detector", "nobody"], 2, "nobody"),
        (["extract", ".", "-o", "out", "--dataset", "nothing"], 2, "ffpp"),
        (["verify", "missing"], 65, "missing"),
        (["inspect", "missing"], 65, "missing"),
        (["preview", "missing"], 65, "missing"),
        (["diff", "missing", "missing"], 65, "missing"),
        (["merge", "missing", "-o", "out"], 2, "missing"),
        (["weights", "fetch", "nothing"], 2, "nothing"),
        (["nothing"], 2, "nothing"),
    ],
)
def test_bad_input_gets_one_line_and_its_exit_code(tmp_path, arguments, exit_code, said):
    (tmp_path / "clip.mp4").write_bytes(b"")
    ran = subprocess.run(
        [sys.executable, "-m", "facekit", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == exit_code, ran.stderr
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("frames = ", "cannot be read"),
        ("frame = '8'", "'frame' is no option"),
        ("frames = 'many'", "--frames"),
    ],
)
def test_a_bad_config_file_is_named(tmp_path, content, said):
    config = tmp_path / "extract.toml"
    config.write_text(content)
    ran = _facekit("extract", tmp_path, "-o", tmp_path / "out", "--config", config)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    config = tmp_path / "extract.toml"
    config.write_text("frames = '8'\nmargin = 1.5\nimages = false\n")
    with cli.extract.make_context(
        "extract", ["in", "-o", "out", "--config", str(config), "--frames", "4"]
    ) as context:
        values = context.params
    assert (values["frames"], values["margin"], values["images"]) == ("4", 1.5, False)
    assert values["size"] == 224


def test_another_package_of_one_of_our_names_is_refused(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("")
    ran = _facekit("doctor", PYTHONPATH=str(tmp_path))
    assert ran.returncode == 2
    assert str(tmp_path) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_doctor_speaks_json():
    ran = _facekit("doctor", "--json")
    assert ran.returncode == 0, ran.stderr
    assert {finding["state"] for finding in json.loads(ran.stdout)} <= {"ok", "warn", "missing"}


def test_an_editable_checkout_is_not_taken_for_a_shadow():
    assert cli.refuse_shadowed() is None
    assert Path(facekit.__file__).parent.name == "facekit"
