"""What `verify` finds, what it survives, and what a rebuilt manifest never says."""

import os
import shutil
import sys

import numpy as np
import pytest
import shard_making as making

from facekit.errors import BadInput, BadShard
from facekit.shards import MANIFEST_NAME, audit, rebuild_manifest, verify, verifying
from facekit.shards.seal import SEAL_BYTES, seal


def _told(report):
    return {(problem.where, problem.what) for problem in report.problems}


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_dataset(whole_dataset, deep):
    seen = []
    report = verify(whole_dataset, deep=deep, progress=lambda path: seen.append(path.name))
    assert report.problems == ()
    assert report.ok
    assert (report.shards, report.rows, report.videos, report.deep) == (2, 119, 6, deep)
    assert seen == ["faces-00000.h5", "faces-00001.h5"]
    assert report.as_json()["ok"] is True
    assert report.lines()[0].startswith("2 shards, 0 problems; 119 faces of 6 videos")


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("header", [making.HEADER, making.BARE])
def test_one_part(tmp_path, deep, header):
    made = making.columns(70, header=header, people=2)
    path = making.write_part(tmp_path / "a.h5", "a", made, header=header)
    assert verify(str(path), deep=deep).ok


def test_no_such_path(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        verify(tmp_path / "none")


def test_empty_folder(tmp_path):
    report = verify(tmp_path, deep=True)
    assert [problem.where for problem in report.problems] == [MANIFEST_NAME]
    with pytest.raises(BadInput, match="no shard is there"):
        rebuild_manifest(tmp_path)


def _swap(folder):
    one, two = folder / "faces-00000.h5", folder / "faces-00001.h5"
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)


def _cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def _flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "where", "what"),
    [
        (lambda d: (d / "faces-00001.h5").unlink(), "faces-00001.h5", "is missing"),
        (
            lambda d: shutil.copy(d / "faces-00001.h5", d / "faces-00002.h5"),
            "faces-00002.h5",
            "is not in the manifest",
        ),
        (lambda d: _swap(d), "faces-00000.h5", "another length than in the manifest"),
        (lambda d: _cut(d / "faces-00000.h5", 9000), "faces-00000.h5", "cut or damaged"),
        (lambda d: _cut(d / "faces-00000.h5", 0), "faces-00000.h5", "no facekit shard"),
        (lambda d: (d / "manifest.json").unlink(), MANIFEST_NAME, "is missing"),
        (lambda d: _flip(d / "manifest.json", 999), MANIFEST_NAME, "cannot be read"),
    ],
)
def test_damage_to_files(dataset, harm, where, what):
    harm(dataset)
    report = verify(dataset)
    assert not report.ok
    assert any(problem.where == where and what in problem.what for problem in report.problems)
    assert any(where in line for line in report.lines())


def _sealed(name, *rows, value):
    """A change to some rows of a column, sealed as if it were right."""

    def change(folder):
        def put(file):
            data = file[name][:]
            data[tuple(rows)] = value
            file[name][:] = data

        making.tamper(folder / "faces-00000.h5", put)

    return change


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (_sealed("au_mask", 50, 3, 20, value=128), "faces 0 to 63: au_mask is not what"),
        (_sealed("au_ellipses", 100, 0, 0, value=np.nan), "faces 64 to 109: au_ellipses is not"),
        (_sealed("au_ellipses", 100, 0, slice(2, 4), value=30), "au_mask is not what au_ellipses"),
        (_sealed("box_xyxy", 0, 0, value=np.inf), "box_xyxy is not finite"),
        (_sealed("au_occurrence", 5, 0, value=2), "au_occurrence is none of"),
        (_sealed("video_id", 0, value=4), "video_id points outside"),
        (_sealed("video_id", 0, value=-1), "video_id points outside"),
        (_sealed("video_id", 0, value=3), "not in order of video, frame and track"),
        (_sealed("frame_index", 7, value=0), "not in order of video, frame and track"),
        (_sealed("track_id", 0, value=-2), "below 0"),
        (_sealed("videos/status", 1, value=b"fine"), "unknown status 'fine'"),
        (_sealed("videos/status", 2, value=b"ok"), "video c: status ok, 0 frames"),
        (_sealed("videos/status", 0, value=b"no_face"), "video a: status no_face, 40 frames"),
        (_sealed("videos/label", 0, value=7), "label 7"),
        (_sealed("videos/key", 0, value=b"z"), "keys of videos are not in order"),
        (_sealed("videos/key", 1, value=b"a"), "keys of videos are not in order"),
        (_sealed("videos/key", 1, value=b"\xff\xfe"), "keys of videos are not in order"),
        (_sealed("videos/frames_with_face", 3, value=34), "35 frames with a face, 34 are claimed"),
        (_sealed("videos/frames_sampled", 3, value=34), "more frames with a face than frames"),
    ],
)
def test_damage_within_a_valid_seal(dataset, harm, what):
    """Neither digests nor checksums can find these: only what the data itself must be."""
    harm(dataset)
    path = dataset / "faces-00000.h5"
    assert audit.audit(path, deep=False).rows == 110
    assert any(what in problem for problem in audit.audit(path, deep=True).problems)


def test_damage_within_a_valid_seal_is_not_blessed(dataset):
    _sealed("au_mask", 50, 3, 20, value=128)(dataset)
    (dataset / MANIFEST_NAME).unlink()
    with pytest.raises(BadShard, match=r"faces-00000\.h5: faces 0 to 63: .*no manifest written"):
        rebuild_manifest(dataset)
    assert not (dataset / MANIFEST_NAME).exists()


def test_a_mask_may_differ_by_one_level(dataset):
    """Processors round the last bit apart; the digest still tells whether it is the same file."""

    def one_level(file):
        masks = file["au_mask"][:]
        masks[masks > 0] -= 1
        file["au_mask"][:] = masks

    making.tamper(dataset / "faces-00000.h5", one_level)
    assert audit.audit(dataset / "faces-00000.h5", deep=True).problems == []
    assert not verify(dataset, deep=True).ok


def test_many_problems_are_cut_short(tmp_path):
    records = [making.failed(f"{i:03}", "broken") for i in range(200)]
    path = making.write_raw(tmp_path / "a.h5", making.columns(70), records)
    problems = audit.audit(path, deep=True).problems
    assert len(problems) == 21
    assert problems[-1] == "and more"


def test_keys_rise_from_shard_to_shard(dataset):
    made = making.columns(4)
    records = [making.record("c", 4)]
    making.write_raw(dataset / "faces-00001.h5", made, records)
    (dataset / MANIFEST_NAME).unlink()
    told = _told(verify(dataset))
    assert ("faces-00001.h5", "its keys do not follow those of the shard before") in told
    with pytest.raises(BadShard, match="do not follow"):
        rebuild_manifest(dataset)


def test_shards_measured_otherwise(dataset):
    header = making.Header(provenance=making.provenance(margin=2), size_px=32, images=True)
    records = [making.record("e", 4)]
    path = dataset / "faces-00001.h5"
    making.write_raw(path, making.columns(4), records, header=header)
    (dataset / MANIFEST_NAME).unlink()
    assert (path.name, "measured otherwise: measurement differs") in _told(verify(dataset))


@pytest.mark.parametrize("manifest", ["there", "deleted"])
def test_one_flipped_bit(dataset, manifest):
    """The large run is `tests/benchmarks/bit_flips.py`."""
    path = dataset / "faces-00001.h5"
    (dataset / "faces-00000.h5").rename(dataset / "kept")
    path.rename(dataset / "faces-00000.h5")
    path = dataset / "faces-00000.h5"
    (dataset / MANIFEST_NAME).unlink()
    rebuild_manifest(dataset)
    if manifest == "deleted":
        (dataset / MANIFEST_NAME).unlink()
    whole = path.read_bytes()
    bits = np.random.default_rng(0).integers(0, 8 * len(whole), 60)
    special = [0, 8 * SEAL_BYTES - 1, 8 * SEAL_BYTES, 8 * len(whole) - 1]
    for bit in [*special, *bits.tolist()]:
        path.write_bytes(whole)
        _flip(path, bit)
        found = [p for p in verify(dataset, deep=True).problems if p.where == path.name]
        assert found, bit
        if manifest == "deleted":
            with pytest.raises(BadShard, match="no manifest written"):
                rebuild_manifest(dataset)
            assert not (dataset / MANIFEST_NAME).exists()


class TestRebuild:
    @pytest.mark.parametrize("harm", ["lost", "damaged", "none"])
    def test_same_bytes_as_before(self, dataset, harm):
        path = dataset / MANIFEST_NAME
        before = path.read_bytes()
        if harm == "lost":
            path.unlink()
        elif harm == "damaged":
            path.write_bytes(before[:-9])
        assert rebuild_manifest(dataset).rows == 119
        assert path.read_bytes() == before

    def test_first_shard_missing(self, dataset):
        (dataset / MANIFEST_NAME).unlink()
        (dataset / "faces-00000.h5").unlink()
        with pytest.raises(BadShard, match="one is missing; no manifest written"):
            rebuild_manifest(dataset)

    def test_an_intact_manifest_is_believed(self, dataset):
        """A shard exchanged for another whole one is no shard of this dataset."""
        making.write_raw(dataset / "faces-00001.h5", making.columns(9), [making.record("f", 9)])
        before = (dataset / MANIFEST_NAME).read_bytes()
        with pytest.raises(BadShard, match=r"faces-00001\.h5: another"):
            rebuild_manifest(dataset)
        assert (dataset / MANIFEST_NAME).read_bytes() == before

    def test_a_shard_that_the_manifest_lists_and_nobody_has(self, dataset):
        (dataset / "faces-00001.h5").unlink()
        with pytest.raises(BadShard, match=r"faces-00001\.h5: is missing"):
            rebuild_manifest(dataset)


READER = """
import json, os, signal, sys
from pathlib import Path
from facekit.shards import audit

whole = audit.audit

def harmed(path, **options):
    if path.name == "faces-00000.h5":
        {what}
    return whole(path, **options)

audit.audit = harmed
audit.main()
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed the process that did (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGABRT)", "crashed the process that did (SIGABRT)"),
        ("os._exit(3)", "ended with exit code 3"),
        ("os._exit(0)", "ended with exit code 0"),
        ("raise SystemError('of its own')", "exit code 1: SystemError: of its own"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", "took over 5 s"),
    ],
)
def test_a_file_that_kills_its_reader_costs_one_problem(whole_dataset, monkeypatch, what, reason):
    child = (sys.executable, "-P", "-c", READER.format(what=what))
    monkeypatch.setattr(verifying, "CHILD", child)
    monkeypatch.setattr(verifying, "IDLE_S", 5.0 if "SIGSTOP" in what else 60.0)
    report = verify(whole_dataset)
    assert [problem.where for problem in report.problems] == ["faces-00000.h5"]
    assert reason in report.problems[0].what
    assert (report.shards, report.rows, report.videos) == (2, 9, 2)


def test_a_reader_that_cannot_start(whole_dataset, monkeypatch):
    monkeypatch.setattr(verifying, "CHILD", (sys.executable, "-c", "raise SystemExit(9)"))
    report = verify(whole_dataset)
    assert {problem.where for problem in report.problems} == {"faces-00000.h5", "faces-00001.h5"}


def test_rubbish_within_a_valid_seal(tmp_path):
    """Damage that HDF5 itself must cope with, as from an enemy who seals it: all are survived."""
    part = making.write_part(tmp_path / "part.h5", "a", making.columns(20)).read_bytes()
    rng = np.random.default_rng(0)
    for number in range(40):
        harmed = bytearray(part)
        for at in rng.integers(SEAL_BYTES, SEAL_BYTES + 12_000, 1 + number // 4):
            harmed[at] = rng.integers(0, 256)
        path = tmp_path / f"faces-{number:05}.h5"
        path.write_bytes(harmed)
        seal(path)
    (tmp_path / "part.h5").unlink()
    report = verify(tmp_path, deep=True)
    assert report.shards == 40
    assert len({problem.where for problem in report.problems} - {MANIFEST_NAME}) >= 20


@pytest.mark.parametrize("check", [verify, rebuild_manifest])
def test_a_pipe_is_no_file_and_nobody_waits_for_it(tmp_path, check):
    os.mkfifo(tmp_path / "faces-00000.h5")
    with pytest.raises(BadInput, match=r"faces-00000\.h5"):
        check(tmp_path / "faces-00000.h5")


def test_no_manifest_is_rebuilt_for_a_lone_file(tmp_path):
    (tmp_path / "text.h5").write_text("no shard")
    with pytest.raises(BadInput, match="no folder"):
        rebuild_manifest(tmp_path / "text.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["text.h5"]
