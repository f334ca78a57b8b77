"""What the child process reads and how it tells."""

import json
import subprocess

import pytest
import shard_making as making

from facekit.shards import audit, verifying


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_shard(whole_dataset, deep):
    ticks = []
    finding = audit.audit(
        whole_dataset / "faces-00000.h5", deep=deep, alive=lambda: ticks.append(1)
    )
    assert finding == audit.Finding(
        rows=110,
        videos=4,
        statuses={"no_face": 1, "ok": 2, "timeout": 1},
        keys=("a", "d"),
        header=audit.told(making.HEADER),
    )
    assert len(ticks) == (2 if deep else 0)


def test_what_cannot_be_opened_is_a_problem(tmp_path):
    finding = audit.audit(tmp_path / "none.h5", deep=True)
    assert finding == audit.Finding(problems=["cannot be read: No such file or directory"])


def test_no_video_is_a_problem(tmp_path):
    path = making.write_raw(tmp_path / "a.h5", making.columns(0), [])
    assert audit.audit(path, deep=True).problems == ["holds no video"]


def test_told_is_text_and_complete():
    told = audit.told(making.HEADER)
    assert all(isinstance(value, str) for value in told.values())
    assert told["images"] == "True"
    assert json.loads(told["measurement"]) == dict(making.HEADER.provenance.measurement)
    assert told != audit.told(making.BARE)


@pytest.mark.parametrize(("deep", "blocks"), [(False, 0), (True, 3)])
def test_the_child_answers_line_by_line(whole_dataset, deep, blocks):
    paths = [str(whole_dataset / name) for name in ("faces-00000.h5", "none.h5", "faces-00001.h5")]
    answered = subprocess.run(
        verifying.CHILD,
        input=json.dumps({"deep": deep, "paths": paths}),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = answered.stdout.splitlines()
    findings = [audit.Finding(**json.loads(line)) for line in lines if line]
    assert [finding.rows for finding in findings] == [110, 0, 9]
    assert [len(finding.problems) for finding in findings] == [0, 1, 0]
    assert lines.count("") == blocks
    assert answered.stderr == ""


def test_the_working_folder_is_not_imported_from(whole_dataset, tmp_path, monkeypatch):
    """A file that somebody left beside the shards must not run."""
    (tmp_path / "h5py.py").write_text("raise SystemExit('imported from the working folder')")
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.chdir(tmp_path)
    assert verifying.verify(whole_dataset).ok
