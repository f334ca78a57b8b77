from importlib import metadata

import pytest

from facekit import versions


def _fake(monkeypatch, installed):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(
    ("installed", "found", "told"),
    [
        ({}, {}, "not installed"),
        ({"onnxruntime": "1.21"}, {"onnxruntime": "1.21"}, "1.21"),
        ({"onnxruntime-gpu": "1.22"}, {"onnxruntime-gpu": "1.22"}, "1.22 (onnxruntime-gpu)"),
        (
            {"onnxruntime": "1.21", "onnxruntime-gpu": "1.22"},
            {"onnxruntime": "1.21", "onnxruntime-gpu": "1.22"},
            "1.21",
        ),
    ],
)
def test_a_stand_in_counts_and_is_named(monkeypatch, installed, found, told):
    _fake(monkeypatch, installed)
    assert versions.installed("onnxruntime") == found
    assert versions.measuring()["onnxruntime"] == told


def test_what_is_recorded_is_what_is_installed():
    told = versions.measuring()
    assert told["numpy"] == metadata.version("numpy")
    assert told.keys() == set(versions.MEASURING)
