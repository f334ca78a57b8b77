import inspect
import json
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


def _facekit(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "facekit", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_help_imports_nothing_heavy():
    asked = "import sys, facekit.cli, facekit.options; print([n for n in %r if n in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", asked % (HEAVY,)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_the_commands_are_pinned():
    assert sorted(cli.cli.commands) == [
        "au-stats", "compare-au", "diff", "doctor", "evaluate", "export-model", "extract",
        "inspect", "merge", "predict", "preview", "train", "verify", "weights",
    ]  # fmt: skip
    assert sorted(cli.weights.commands) == ["fetch", "list", "verify"]


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (
            "extract",
            "--align --au --config --dataset --detect-every --detector --device --dry-run --engine "
            "--face --force --frames --images --jobs --json --landmarker --margin --mask-profile "
            "--max-rss --min-score --out --part --preset --quiet --retry --size --strict --timeout",
        ),
        ("merge", "--force --out --quiet"),
        ("inspect", "--json"),
        ("verify", "--deep --json --rebuild"),
        ("diff", "--json"),
        (
            "au-stats",
            "--bootstrap --config --csv --disjoint --json --manifest --out --permutations --quiet "
            "--seed --show-top --volumes",
        ),
        ("compare-au", "--json --min-positives --out --table"),
        (
            "evaluate",
            "--batch --bootstrap --device --frames --json --masks --out --perturb --protocol "
            "--quiet --split --tier --which",
        ),
        ("export-model", "--opset --size --which"),
        (
            "predict",
            "--batch --detector --device --face --frames --json --min-score --out --overlay "
            "--quiet --which",
        ),
        ("preview", "--faces --key --masks --out --tampered"),
        (
            "train",
            "--config --device --json --out --quiet --resume --set --show-config "
            "--snapshot-minutes --steps --tensorboard --tier",
        ),
        ("doctor", "--json"),
    ],
)
def test_the_flags_are_pinned(command, flags):
    options = [p for p in cli.cli.commands[command].params if isinstance(p, click.Option)]
    assert sorted(max(p.opts, key=len) for p in options) == flags.split()


def test_the_exported_names_are_pinned():
    assert dir(facekit) == [
        "Config", "FacekitError", "Measurement", "Run", "Statistics", "au_stats", "compare_au",
        "diff", "doctor", "evaluate", "export_model", "extract", "inspect", "merge",
        "open_shards", "predict", "preview", "read_config", "train", "verify",
    ]  # fmt: skip
    for name in dir(facekit):
        assert callable(getattr(facekit, name))


@pytest.mark.parametrize(
    ("name", "of_commands", "of_python"),
    [
        ("train", {"assignments", "as_json", "quiet", "show_config"}, {"tell"}),
        ("evaluate", {"as_json", "quiet"}, set()),
        ("predict", {"as_json", "quiet"}, {"on_video"}),
        ("export-model", set(), set()),
    ],
)
def test_commands_that_learn_have_the_options_of_their_functions(name, of_commands, of_python):
    function = getattr(facekit, name.replace("-", "_"))
    options = {one.name for one in cli.cli.commands[name].params} - of_commands
    assert options == set(inspect.signature(function).parameters) - of_python


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
        (["verify", "missing"], 2, "missing"),
        (["inspect", "missing"], 2, "missing"),
        (["preview", "missing"], 2, "missing"),
        (["diff", "missing", "missing"], 2, "missing"),
        (["compare-au", "missing", "missing"], 2, "missing"),
        (["au-stats", "-o", "out"], 2, "no inputs"),
        (["au-stats", "missing", "-o", "out"], 2, "missing"),
        (["au-stats", "--csv", "missing", "-o", "out"], 2, "missing"),
        (["au-stats", ".", "-o", "out", "--volumes", "20"], 2, "--volumes"),
        (["merge", "missing", "-o", "out"], 2, "missing"),
        (["train", "-o", "out"], 2, "no shards"),
        (["train", "missing"], 2, "-o RUN is missing"),
        (["train", "missing", "-o", "out"], 2, "missing"),
        (["train", "missing", "-o", "out", "--set", "epochs=5"], 2, "training.epochs=5"),
        (["train", "missing", "-o", "out", "--config", "no.toml"], 2, "no.toml"),
        (["train", "missing", "--resume", "out"], 2, "give neither"),
        (["train", "--resume", "missing"], 2, "missing"),
        (["evaluate", "missing", "missing"], 2, "missing"),
        (["predict", "missing", "clip.mp4", "-o", "out"], 2, "missing"),
        (["export-model", "missing", "model.onnx"], 2, "missing"),
        (["preview", "missing", "--tampered"], 2, "missing"),
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
        ("frames = ['8']", "frames cannot be ['8']"),
        ("images = 3", "images cannot be 3"),
        ("align = []", "align cannot be []"),
        ("json = 1", "json cannot be 1"),
        ("jobs = 1.5", "jobs cannot be 1.5"),
        ("jobs = true", "jobs cannot be True"),
        ("timeout = 2020-01-01", "timeout cannot be datetime.date(2020, 1, 1)"),
        ("config = 'other.toml'", "'config' is no option"),
        ("inputs = 'videos'", "inputs cannot be 'videos'"),
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


@pytest.mark.parametrize(
    ("content", "name", "value"),
    [
        ("json = true", "as_json", True),
        ("max-rss = 512", "max_rss", 512),
        ("max_rss = 512", "max_rss", 512),
        ("frames = 8", "frames", "8"),
        ("margin = 2", "margin", 2.0),
        ("inputs = ['a', 'b']", "inputs", ("a", "b")),
    ],
)
def test_a_config_file_calls_options_as_the_flags_do(tmp_path, content, name, value):
    config = tmp_path / "extract.toml"
    config.write_text(content)
    given = [] if name == "inputs" else ["in"]
    arguments = [*given, "-o", "out", "--config", str(config)]
    with cli.extract.make_context("extract", arguments) as context:
        assert context.params[name] == value


@pytest.mark.parametrize(
    ("redirections", "exit_code", "said"),
    [
        ("<&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("2>&- >/dev/null", 0, ""),
        (">/dev/full", 74, "facekit: No space left on device"),
        ("| true; exit ${PIPESTATUS[0]}", 141, ""),
    ],
)
def test_streams_that_are_closed_or_full_cost_no_traceback(redirections, exit_code, said):
    ran = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m facekit doctor {redirections}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == exit_code, ran.stderr
    assert ran.stderr.strip() == said


def test_another_package_of_one_of_our_names_is_refused(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("")
    ran = _facekit("doctor", cwd=tmp_path)
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
