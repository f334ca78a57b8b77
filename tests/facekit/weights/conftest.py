"""Empty folders, a registry to write to, and a network that answers from a dict."""

import io
from urllib.error import URLError

import pytest

from facekit import weights


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Empty folders for given and cached weights; returns their parent."""
    for name in ("given", "cache"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("FACEKIT_WEIGHTS", str(tmp_path / "given"))
    monkeypatch.setenv("FACEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEKIT_OFFLINE", raising=False)
    return tmp_path


@pytest.fixture
def register(monkeypatch):
    def put(name, entry):
        monkeypatch.setitem(weights.KNOWN, name, entry)

    return put


@pytest.fixture
def network(monkeypatch):
    """Address -> bytes, or an exception to raise; records what was asked for."""
    answers, asked = {}, []

    def opened(url):
        asked.append(url)
        answer = answers.get(url, URLError("no such host"))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, io.BytesIO) else io.BytesIO(answer)

    monkeypatch.setattr(weights, "_open", opened)
    answers["asked"] = asked
    return answers
