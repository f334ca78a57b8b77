import shutil

import pytest
from synthetic_faces import make_shards

from facekit.errors import BadShard
from training import fingerprint


def test_folders_are_told_apart_by_what_they_hold(tmp_path):
    one = make_shards(tmp_path / "one", videos=1)
    other = make_shards(tmp_path / "other", videos=1, seed=1)
    moved = shutil.copytree(one, tmp_path / "moved")
    assert fingerprint.of([]) == ()
    assert fingerprint.of([one, other]) == fingerprint.of([moved, other])
    assert len(set(fingerprint.of([one, other, one / "faces-00000.h5"]))) == 3


def test_what_is_not_there(tmp_path):
    with pytest.raises(BadShard, match="cannot be read"):
        fingerprint.of([tmp_path / "none"])
