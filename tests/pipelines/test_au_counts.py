import gzip

import forgeries
import numpy as np
import pandas as pd
import pytest

from facekit.errors import BadInput, BadShard
from facekit.video import Video
from pipelines.au_counts import count
from pipelines.au_csv import CsvLabels
from pipelines.au_labels import ShardLabels


class Listed:
    """Labels given as they are."""

    def __init__(self, blocks, keys="ab", au_names=("AU01", "AU02")):
        self.au_names = au_names
        self.videos = [Video(key=key, path=None, relative_path=key) for key in keys]
        self.labels_sha256 = [f"of {key}" for key in keys]
        self.provenance = {}
        self._blocks = blocks

    def blocks(self):
        for video, labels in self._blocks:
            yield np.array(video, np.int64), np.array(labels, np.int8).reshape(-1, 2)


FOUR_FACES = ([0, 0, 0, 1], [[1, 1], [1, 0], [1, -1], [-1, -1]])


def test_faces_are_counted_alone_and_together():
    counts = count([Listed([FOUR_FACES])])
    assert counts.faces_V.tolist() == [3, 0]
    assert counts.known_VA.tolist() == [[3, 2], [0, 0]]
    assert counts.both_VAA[0].tolist() == [[3, 1], [1, 1]]
    assert counts.given_VAA[0].tolist() == [[3, 2], [1, 1]]
    assert not counts.both_VAA[1].any()
    assert counts.labelled() == [True, True]


def test_a_video_may_reach_over_many_blocks():
    video, labels = FOUR_FACES
    split = [(video[i : i + 1], labels[i]) for i in range(4)]
    whole, parts = count([Listed([FOUR_FACES])]), count([Listed([([], []), *split])])
    for name in ("faces_V", "known_VA", "both_VAA", "given_VAA"):
        assert (getattr(whole, name) == getattr(parts, name)).all(), name


def test_the_order_of_sources_and_of_their_columns_makes_no_difference():
    one = Listed([FOUR_FACES], keys="cd")
    other = Listed([([0], [[0, 1]])], keys="b", au_names=("AU02", "AU01"))
    first, second = count([one, other]), count([other, one])
    assert [video.key for video in first.videos] == ["b", "c", "d"]
    assert [video.key for video in second.videos] == ["b", "c", "d"]
    assert first.labels_sha256 == second.labels_sha256 == ("of b", "of c", "of d")
    of_au01 = [counts.au_names.index("AU01") for counts in (first, second)]
    for counts, i in zip((first, second), of_au01, strict=True):
        assert counts.both_VAA[:, i, i].tolist() == [1, 3, 0]
        assert counts.known_VA[:, i].tolist() == [1, 3, 0]


@pytest.mark.parametrize(
    ("sources", "error", "said"),
    [
        ([Listed([([0], [[-1, -1]])])], BadInput, "no face has an AU label"),
        ([Listed([])], BadInput, "no face has an AU label"),
        ([Listed([FOUR_FACES]), Listed([], keys="a")], BadInput, "called a"),
        (
            [Listed([FOUR_FACES]), Listed([], keys="c", au_names=("AU01", "AU04"))],
            BadInput,
            "AU02, AU04 is not in all",
        ),
        ([Listed([([1, 0], [[0, 0], [0, 0]])])], BadShard, "in order of video"),
        ([Listed([([2], [[0, 0]])])], BadShard, "in order of video"),
    ],
)
def test_what_cannot_be_counted_is_refused(sources, error, said):
    with pytest.raises(error, match=said):
        count(sources)


def test_counts_of_shards_are_those_of_their_table(tmp_path):
    videos = forgeries.videos(pairs=3)
    folder = forgeries.shards(
        tmp_path / "shards",
        videos,
        labels=lambda key: forgeries.occurrence(key, 0 if key.endswith("000") else 9, unknown=0.3),
    )
    counts = count([ShardLabels(folder)])
    assert counts.faces_V[[v.key == "ffpp/youtube/c23/000" for v in counts.videos]].tolist() == [0]
    for row, video in enumerate(counts.videos):
        faces = 0 if video.key.endswith("000") else 9
        labels = forgeries.occurrence(video.key, faces, unknown=0.3)
        on, known = labels == 1, labels != -1
        assert counts.faces_V[row] == known.any(axis=1).sum()
        assert (counts.known_VA[row] == known.sum(axis=0)).all()
        for i in range(len(forgeries.AUS)):
            assert (counts.both_VAA[row, i] == on[on[:, i]].sum(axis=0)).all()
            assert (counts.given_VAA[row, i] == known[on[:, i]].sum(axis=0)).all()


def test_shards_without_labels_are_refused(tmp_path):
    folder = forgeries.shards(
        tmp_path / "none", forgeries.videos(2), aus=(), labels=lambda key: np.zeros((3, 0), np.int8)
    )
    with pytest.raises(BadInput, match="holds no AU labels"):
        ShardLabels(folder)


def test_counts_of_real_csvs_are_those_of_pandas(data_dir):
    """Every CSV of OpenFace at hand, read by pandas alone."""
    folder = data_dir / "openface_reference" / "ffpp"
    counts = count([CsvLabels(folder)])
    assert len(counts.videos) == len(list(folder.glob("*.csv.gz"))) >= 94
    for row, video in enumerate(counts.videos):
        with gzip.open(video.path, "rt") as file:
            table = pd.read_csv(file, skipinitialspace=True)
        table = table[(table["success"] == 1) & (table["confidence"] >= 0.8)]
        on = table[[f"{name}_c" for name in counts.au_names]].astype(int)
        assert counts.faces_V[row] == len(on)
        assert (counts.known_VA[row] == len(on)).all()
        together = on.T.dot(on).to_numpy()
        assert (counts.both_VAA[row] == together).all(), video.key
        assert (counts.given_VAA[row] == np.diag(together)[:, None]).all(), video.key
