import dataclasses
import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

import facekit
from facekit import catalogue, diagnosis, weights


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """No model at hand."""
    monkeypatch.setenv("FACEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEKIT_WEIGHTS", raising=False)
    return tmp_path


def by_topic(findings):
    return {finding.topic: finding for finding in findings}


def test_every_topic_has_one_line(bare):
    findings = facekit.doctor()
    told = by_topic(findings)
    assert len(told) == len(findings)
    assert {"python", "facekit", "pipelines", "training", "cpu", "disk"} <= set(told)
    assert {"torch device", "onnxruntime device", "FACEKIT_WEIGHTS"} <= set(told)
    assert {f"model {name}" for name in catalogue.KNOWN} <= set(told)
    assert all(f.text and "\n" not in f.text for f in findings)
    assert {f.state for f in findings} <= {"ok", "warn", "missing"}
    json.dumps([dataclasses.asdict(finding) for finding in findings])


def test_packages_are_those_that_facekit_asks_for(bare):
    told = by_topic(diagnosis.doctor())
    for name in ("torch", "insightface", "av"):
        assert told[f"package {name}"].text == f"{name} {metadata.version(name)}"
    assert "package dask" not in told


@pytest.mark.parametrize(
    ("installed", "state", "text"),
    [
        ({}, "missing", "pip install 'onnxruntime>=1.18'"),
        ({"onnxruntime": "1.20"}, "ok", "onnxruntime 1.20"),
        ({"onnxruntime-gpu": "1.20"}, "ok", "onnxruntime-gpu 1.20"),
        ({"onnxruntime": "1.20", "onnxruntime-gpu": "1.19"}, "warn", "keep one"),
    ],
)
def test_a_package_and_its_stand_ins(monkeypatch, installed, state, text):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(diagnosis.metadata, "version", version)
    found = diagnosis._package("onnxruntime>=1.18")
    assert (found.topic, found.state) == ("package onnxruntime", state)
    assert text in found.text


def test_without_metadata_it_says_so(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(diagnosis.metadata, "requires", requires)
    assert [finding.state for finding in diagnosis._packages()] == ["warn"]


def test_a_package_of_our_name_that_shadows_ours(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipelines"]:
        monkeypatch.delitem(sys.modules, name)
    assert diagnosis._ours("pipelines").state == "ok"
    monkeypatch.syspath_prepend(tmp_path)
    found = diagnosis._ours("pipelines")
    assert found.state == "warn"
    assert f"{tmp_path / 'pipelines'} shadows {Path(facekit.__file__).parents[1]}" in found.text
    assert diagnosis._ours("no_such_package_of_ours").state == "missing"


def test_models_found_missing_and_damaged(bare, monkeypatch):
    monkeypatch.setenv("FACEKIT_WEIGHTS", str(bare))
    for name, content in (("yunet_2023mar", b"damaged"), ("pyfeat_svm", b"unpublished")):
        (bare / name).mkdir()
        (bare / name / catalogue.KNOWN[name].file).write_bytes(content)
    told = {h.name: diagnosis._model(h) for h in weights.listing(hashed=True)}
    assert told["yunet_2023mar"].state == "warn"
    assert "damaged" in told["yunet_2023mar"].text
    assert told["pyfeat_svm"].state == "ok"
    assert told["buffalo_l"].state == "missing"
    assert "facekit weights fetch buffalo_l" in told["buffalo_l"].text
    assert "facekit weights fetch openface_au" in told["openface_au"].text


@pytest.mark.parametrize(("value", "state"), [("", "ok"), (".", "ok"), ("/no/such/folder", "warn")])
def test_the_weights_folder(monkeypatch, value, state):
    monkeypatch.setenv("FACEKIT_WEIGHTS", value)
    assert diagnosis._weights_folder().state == state


def test_onnxruntime_without_a_model_is_untried(bare):
    assert "untried" in diagnosis._onnxruntime().text


def test_onnxruntime_with_a_model_is_tried(weights_dir, bare, monkeypatch):
    monkeypatch.setenv("FACEKIT_WEIGHTS", str(weights_dir))
    assert "auto takes" in diagnosis._onnxruntime().text


def test_onnxruntime_with_a_damaged_model_says_so(bare, monkeypatch):
    monkeypatch.setenv("FACEKIT_WEIGHTS", str(bare))
    (bare / "yunet_2023mar").mkdir()
    (bare / "yunet_2023mar" / catalogue.KNOWN["yunet_2023mar"].file).write_bytes(b"damaged")
    found = diagnosis._onnxruntime()
    assert (found.state, "no ONNX model" in found.text) == ("warn", True)


@pytest.mark.parametrize(("free_bytes", "state"), [(0, "warn"), (1 << 40, "ok")])
def test_scarce_disk(monkeypatch, tmp_path, free_bytes, state):
    usage = diagnosis.shutil.disk_usage(tmp_path)._replace(free=free_bytes)
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda _: usage)
    assert diagnosis._disk(tmp_path).state == state
