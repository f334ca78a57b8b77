"""The manifest: one text for one dataset, in which no bit is free."""

import hashlib
import json

import pytest
import shard_making as making

from facekit.errors import BadInput, BadShard
from facekit.shards import Header, Manifest, manifest, read_manifest, shard_name, write_manifest


def test_what_it_says(whole_dataset):
    told = json.loads((whole_dataset / "manifest.json").read_text())
    assert told["totals"] == {
        "rows": 119,
        "videos": 6,
        "statuses": {"crashed": 1, "no_face": 1, "ok": 3, "timeout": 1},
    }
    for entry in told["shards"]:
        data = (whole_dataset / entry["name"]).read_bytes()
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert [(entry["rows"], entry["videos"]) for entry in told["shards"]] == [(110, 4), (9, 2)]
    assert told["header"]["provenance"]["measurement"] == {"frames": "32", "size": 32}


def test_read_back(whole_dataset):
    found = read_manifest(whole_dataset)
    assert (found.rows, found.videos, len(found.shards)) == (119, 6, 2)
    assert found.header == making.HEADER
    assert found.render() == (whole_dataset / "manifest.json").read_text()


def test_it_tells_nothing_of_the_machine(whole_dataset, dataset):
    text = write_manifest(dataset).render()
    assert text == (whole_dataset / "manifest.json").read_text()
    assert str(dataset) not in text
    assert str(whole_dataset) not in text
    assert "elsewhere" not in text


def test_every_byte_counts(dataset):
    """One bit of each, a different one each time."""
    path = dataset / "manifest.json"
    whole = bytearray(path.read_bytes())
    missed = []
    for bit in range(0, 8 * len(whole), 7):
        whole[bit // 8] ^= 1 << bit % 8
        path.write_bytes(whole)
        try:
            read_manifest(dataset)
            missed.append(bit)
        except BadShard:
            pass
        whole[bit // 8] ^= 1 << bit % 8
    assert missed == []


def _signed(told):
    """What an enemy writes: any content, with the digest that belongs to it."""
    content = {key: value for key, value in told.items() if key != "sha256"}
    digest = hashlib.sha256(manifest._dump(content).encode()).hexdigest()
    return manifest._dump({**content, "sha256": digest})


def _with(told, *path, value):
    inner = told
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return _signed(told)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: "",
        lambda told: "[]",
        lambda told: "null",
        lambda told: "[" * 100_000,
        lambda told: "\x00\xff",
        lambda told: _signed({}),
        lambda told: json.dumps(told),
        lambda told: _signed(told) + " ",
        lambda told: _with(told, "facekit_format", value=2),
        lambda told: _with(told, "shards", value=7),
        lambda told: _with(told, "shards", value=[None]),
        lambda told: _with(told, "shards", 0, "name", value="../../etc/passwd"),
        lambda told: _with(told, "shards", 0, "name", value="faces-00002.h5"),
        lambda told: _with(told, "shards", 0, "rows", value="110"),
        lambda told: _with(told, "shards", 0, "rows", value=-1),
        lambda told: _with(told, "shards", 0, "rows", value=True),
        lambda told: _with(told, "shards", 0, "statuses", value=[]),
        lambda told: _with(told, "shards", 0, "more", value=1),
        lambda told: _with(told, "totals", "rows", value=120),
        lambda told: _with(told, "header", value=None),
        lambda told: _with(told, "header", "size_px", value=1 << 40),
        lambda told: _with(told, "header", "size_px", value="32"),
        lambda told: _with(told, "header", "images", value=1),
        lambda told: _with(told, "header", "provenance", "au_names", value=5),
        lambda told: _with(told, "header", "provenance", "au_mode", value=None),
        lambda told: _with(told, "header", "provenance", "more", value=1),
        lambda told: _with(told, "header", "provenance", "measurement", value=[1]),
        lambda told: _with(told, "more", value=1),
    ],
)
def test_crafted_manifests(dataset, change):
    path = dataset / "manifest.json"
    told = json.loads(path.read_text())
    path.write_text(change(told))
    with pytest.raises(BadShard) as caught:
        read_manifest(dataset)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_signing_alone_is_not_what_is_refused(dataset):
    path = dataset / "manifest.json"
    path.write_text(_signed(json.loads(path.read_text())))
    assert read_manifest(dataset).rows == 119


def test_endless_manifest_is_not_read(dataset, monkeypatch):
    monkeypatch.setattr(manifest, "_MANIFEST_BYTES", 100)
    with pytest.raises(BadShard, match="too long for a manifest"):
        read_manifest(dataset)


def _flip_last_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _measured_otherwise(path):
    header = Header(provenance=making.provenance(frames="8"), size_px=32, images=True)
    making.write_raw(path, making.columns(0), [making.failed("e")], header=header)


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (lambda d: [p.unlink() for p in d.glob("*.h5")], BadInput, "no shard is there"),
        (lambda d: (d / "faces-00000.h5").unlink(), BadInput, "shards must be faces-00000.h5"),
        (lambda d: _flip_last_bit(d / "faces-00001.h5"), BadShard, "damaged"),
        (lambda d: _measured_otherwise(d / "faces-00001.h5"), BadInput, "measurement differs"),
    ],
)
def test_write_refuses(dataset, harm, error, message):
    before = (dataset / "manifest.json").read_bytes()
    harm(dataset)
    with pytest.raises(error, match=message):
        write_manifest(dataset)
    assert (dataset / "manifest.json").read_bytes() == before


def test_many_shards_stay_in_order(tmp_path):
    """Beyond five digits names are longer, and text no longer sorts as numbers do."""
    for number in (99_999, 100_000, 3):
        (tmp_path / shard_name(number)).touch()
    (tmp_path / "faces-1.h5").touch()
    (tmp_path / "faces-00000.h5.bak").touch()
    found = [path.name for path in manifest.shard_paths(tmp_path)]
    assert found == ["faces-00003.h5", "faces-99999.h5", "faces-100000.h5"]


def test_empty_manifest_is_one_text():
    empty = Manifest(header=making.HEADER, shards=())
    assert (empty.rows, empty.videos, empty.statuses) == (0, 0, {})
    assert empty.render() == empty.render()
