import errno
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import urllib.request
from email.message import Message
from pathlib import Path
from urllib.error import URLError
from urllib.response import addinfourl

import pytest
from fake_models import CONTENT, SUM, known, left_in_cache, put

from facekit import weights
from facekit.errors import BadInput, BadWeights, DiskFull, MissingWeights

EMBEDDED = ("lite_detector", "lite_landmarker", "lite_action_units")


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, bytes(3_000_000)])
def test_sha256_of_a_file_is_what_sha256sum_says(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum here")
    said = subprocess.run([program, str(path)], capture_output=True, text=True, check=True)
    assert weights.sha256_of(path) == said.stdout.split()[0]


def test_sha256_of_a_folder_follows_names_and_bytes_alone(tmp_path):
    def make(name, files):
        for relative, content in files.items():
            path = tmp_path / name / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return weights.sha256_of(tmp_path / name)

    first = make("first", {"a.txt": b"1", "sub/b.dat": b"2"})
    assert make("same", {"sub/b.dat": b"2", "a.txt": b"1"}) == first
    assert make("noted", {"sub/b.dat": b"2", "a.txt": b"1", "PROVENANCE.txt": b"x"}) == first
    assert make("hidden", {"sub/b.dat": b"2", "a.txt": b"1", ".listing": b"x"}) == first
    others = [
        make("renamed", {"a.txt": b"1", "sub/c.dat": b"2"}),
        make("moved", {"a.txt": b"1", "b.dat": b"2"}),
        make("changed", {"a.txt": b"1", "sub/b.dat": b"3"}),
        make("more", {"a.txt": b"1", "sub/b.dat": b"2", "sub/c.dat": b""}),
    ]
    assert len({first, *others}) == 5


def test_sha256_of_nothing_is_missing_weights(tmp_path):
    with pytest.raises(MissingWeights, match="nowhere"):
        weights.sha256_of(tmp_path / "nowhere")


def test_a_path_is_taken_as_it_is(home, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(CONTENT)
    found = weights.find(str(path))
    assert found == weights.ModelFile(name="mine.onnx", path=path, sha256=SUM)
    assert weights.find(str(tmp_path / "given")).name == "given"


@pytest.mark.parametrize("text", ["", "no_such", "/no/such/file.onnx", "./yunet_2023mar"])
def test_neither_name_nor_path(home, text):
    with pytest.raises(MissingWeights, match="neither a file nor one of the models lite_detector"):
        weights.find(text)


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_model_comes_from_the_package_alone(home, monkeypatch, name):
    """A file of its name elsewhere changes nothing: defaults never depend on what lies about."""
    monkeypatch.setenv("FACEKIT_OFFLINE", "1")
    (home / "given" / name).mkdir()
    (home / "given" / name / weights.KNOWN[name].file).write_bytes(b"another")
    found = weights.find(name)
    assert found.path.parent.parent == Path(weights.__file__).parent
    assert found.sha256 == weights.KNOWN[name].sha256
    assert weights.fetch(name) == found


def test_a_damaged_embedded_model_is_refused_with_what_to_do(home, monkeypatch):
    shipped = weights.find("lite_detector").path.read_bytes()
    (home / "models").mkdir()
    damaged = shipped[:-1] + bytes([shipped[-1] ^ 1])
    (home / "models" / "lite_detector.safetensors").write_bytes(damaged)
    monkeypatch.setattr(weights, "_EMBEDDED", home / "models")
    with pytest.raises(BadWeights, match=r"it should be .*: install facekit again$"):
        weights.find("lite_detector")


def test_a_lost_embedded_model_is_missed_with_what_to_do(home, monkeypatch):
    monkeypatch.setattr(weights, "_EMBEDDED", home / "models")
    with pytest.raises(MissingWeights, match=r"is not at .*: install facekit again$"):
        weights.find("lite_landmarker")


@pytest.mark.parametrize(
    ("given", "cached", "want"),
    [
        (None, CONTENT, "cache"),
        (CONTENT, None, "given"),
        (CONTENT, b"damaged but second", "given"),
    ],
)
def test_a_name_is_looked_for_in_order(home, register, network, given, cached, want):
    register("m", known())
    for where, content in (("given", given), ("cache/weights", cached)):
        if content is not None:
            put(home, where, content)
    assert (home / want) in weights.find("m").path.parents
    assert network["asked"] == []


@pytest.mark.parametrize("where", ["given", "cache/weights"])
def test_a_wrong_hash_is_never_used(home, register, network, where):
    register("m", known())
    put(home, where, b"x" * len(CONTENT))
    wrong = hashlib.sha256(b"x" * len(CONTENT)).hexdigest()
    with pytest.raises(BadWeights, match=f"{wrong}.*{SUM}"):
        weights.find("m")
    assert network["asked"] == []


def test_an_unpublished_hash_lets_any_file_pass(home, register):
    register("m", known(sha256=None, size_bytes=0))
    put(home, "given", b"any")
    assert weights.find("m").sha256 == hashlib.sha256(b"any").hexdigest()


def test_find_downloads_what_needs_no_word(home, register, network):
    register("m", known())
    network["https://two/model.bin"] = CONTENT
    found = weights.find("m")
    assert found.path == home / "cache" / "weights" / "m" / "model.bin"
    assert found.path.read_bytes() == CONTENT
    assert network["asked"] == ["https://one/model.bin", "https://two/model.bin"]
    assert left_in_cache(home) == ["model.bin"]
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o644
    assert weights.find("m") == found
    assert len(network["asked"]) == 2


@pytest.mark.parametrize(
    ("changes", "offline", "want"),
    [
        ({}, "", r"facekit weights fetch m`.*FACEKIT_WEIGHTS.*no such host"),
        ({}, "1", r"facekit weights fetch m` without FACEKIT_OFFLINE"),
        ({"needs_word": True}, "", r"facekit weights fetch m --accept-licence`"),
        ({"urls": (), "note": "ask your admin"}, "", r"ask your admin, or put it into"),
    ],
)
def test_missing_says_where_it_was_looked_for_and_what_to_do(
    home, register, network, monkeypatch, changes, offline, want
):
    monkeypatch.setenv("FACEKIT_OFFLINE", offline)
    register("m", known(**changes))
    with pytest.raises(MissingWeights, match=want) as raised:
        weights.find("m")
    message = str(raised.value)
    assert "\n" not in message
    assert str(home / "given" / "m" / "model.bin") in message
    assert str(home / "cache" / "weights" / "m" / "model.bin") in message
    asked = not changes and not offline
    assert network["asked"] == (["https://one/model.bin", "https://two/model.bin"] * asked)


def test_offline_still_finds_what_is_at_hand(home, register, network, monkeypatch):
    monkeypatch.setenv("FACEKIT_OFFLINE", "1")
    register("m", known())
    put(home, "cache/weights", CONTENT)
    assert weights.fetch("m").sha256 == SUM


@pytest.mark.parametrize(
    ("entry", "accept", "error"),
    [
        (known(needs_word=True), False, BadInput),
        (known(needs_word=True), True, None),
        (known(), False, None),
        (known(urls=()), True, MissingWeights),
    ],
)
def test_fetch_asks_for_the_users_word(home, register, network, entry, accept, error):
    register("m", entry)
    network["https://one/model.bin"] = CONTENT
    assert weights.licence_to_accept("m") == ("a licence" if entry.needs_word else None)
    if error is None:
        assert weights.fetch("m", accept_licence=accept).sha256 == SUM
        assert weights.licence_to_accept("m") is None
    else:
        with pytest.raises(error):
            weights.fetch("m", accept_licence=accept)
        assert network["asked"] == []


def test_fetch_of_an_unknown_name(home):
    with pytest.raises(BadInput, match="there are lite_detector"):
        weights.fetch("no_such")
    with pytest.raises(BadInput, match="there are lite_detector"):
        weights.licence_to_accept("no_such")


def test_fetch_replaces_a_damaged_copy_of_its_own_but_not_the_users(home, register, network):
    register("m", known())
    network["https://one/model.bin"] = CONTENT
    put(home, "cache/weights", b"damaged")
    assert weights.fetch("m").path.read_bytes() == CONTENT
    theirs = put(home, "given", b"damaged")
    with pytest.raises(BadWeights, match=SUM):
        weights.fetch("m")
    assert theirs.read_bytes() == b"damaged"


class Cut(io.BytesIO):
    """A response that promised more bytes than it brings, as `http.client` shows it."""

    length = 17


class Broken(io.BytesIO):
    def read(self, size=-1):
        if self.tell():
            raise TimeoutError("timed out")
        return super().read(10)


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (b"", BadWeights, "sha256"),
        (b"x" * len(CONTENT), BadWeights, SUM),
        (CONTENT + b"x", BadWeights, "more than the 7000 bytes"),
        (Cut(CONTENT[:100]), MissingWeights, "ended after 100 bytes"),
        (Broken(CONTENT), MissingWeights, "timed out"),
        (URLError("no such host"), MissingWeights, "no such host"),
    ],
)
def test_nothing_of_a_bad_download_is_kept(home, register, network, answer, error, match):
    register("m", known(urls=("https://one/model.bin",)))
    network["https://one/model.bin"] = answer
    with pytest.raises(error, match=match):
        weights.find("m")
    assert left_in_cache(home) == []


def test_a_cut_download_without_a_published_hash_is_not_taken(home, register, network):
    register("m", known(sha256=None, size_bytes=0, urls=("https://one/model.bin",)))
    network["https://one/model.bin"] = Cut(CONTENT[:100])
    with pytest.raises(MissingWeights, match="ended after"):
        weights.find("m")
    assert left_in_cache(home) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing(home, register, network, monkeypatch, number):
    def full(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(weights.os, "fsync", full)
    register("m", known())
    network["https://one/model.bin"] = CONTENT
    with pytest.raises(DiskFull, match=r"model\.bin"):
        weights.find("m")
    assert left_in_cache(home) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "file:///etc/hostname", "ftp://h/x"])
def test_only_https_is_opened(url):
    with pytest.raises(URLError, match="unknown url type"):
        weights._open(url)


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/x", "ftp://h/x"])
def test_a_redirect_away_from_https_is_refused(monkeypatch, place):
    def redirects(_handler, request):
        headers = Message()
        headers["Location"] = place
        answer = addinfourl(io.BytesIO(), headers, request.full_url, 302)
        answer.msg = "Found"
        return answer

    monkeypatch.setattr(urllib.request.HTTPSHandler, "https_open", redirects)
    with pytest.raises(URLError, match="unknown url type"):
        weights._open("https://host/model")


@pytest.mark.parametrize(
    ("content", "sha256", "listed", "verified"),
    [
        (None, SUM, "missing", None),
        (CONTENT, SUM, "found", "ok"),
        (CONTENT, None, "found", "unproven"),
        (b"short", SUM, "damaged", "damaged"),
        (b"x" * len(CONTENT), SUM, "found", "damaged"),
    ],
)
def test_listing_and_verify(home, register, content, sha256, listed, verified):
    register("m", known(sha256=sha256))
    if content is not None:
        put(home, "given", content)
    line = next(held for held in weights.listing() if held.name == "m")
    assert line.state == listed
    assert line.ok == (listed != "damaged")
    checks = {held.name: held for held in weights.verify()}
    assert (checks["m"].state if "m" in checks else None) == verified
    text = next(text for text in weights.lines() if text.startswith("m "))
    assert listed in text
    assert ("facekit weights fetch m" in text) == (content is None)
    assert "a licence" in text


def test_without_variables_the_cache_is_the_users(monkeypatch, tmp_path):
    for name in ("FACEKIT_WEIGHTS", "FACEKIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.cache_folder() == tmp_path / ".cache" / "facekit" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights.cache_folder() == tmp_path / "xdg" / "facekit" / "weights"


def test_real_model_files_are_what_the_catalogue_says(weights_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEKIT_CACHE", str(tmp_path))
    held = {one.name: one for one in weights.verify()}
    assert len(held) >= 5
    assert {one.state for one in held.values()} <= {"ok", "unproven"}
    assert all(weights.find(name).path == one.path for name, one in held.items())


def test_it_imports_lightly():
    code = "import sys, facekit.weights; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "torch", "cv2", "onnxruntime", "urllib.request", "ssl", "zipfile"}
    assert heavy & set(done.stdout.split()) == set()
