"""Which CSV belongs to which video, and which faces are the same."""

import numpy as np
import pytest

from facekit.errors import BadInput
from pipelines.label_joining import Unjoined, csvs_of, overlap, same_faces, same_videos
from pipelines.label_sources import CSVS, SHARDS, FaceLabels, VideoName

REAL = "original_sequences/youtube/c23/videos/035.mp4"
FAKE = "manipulated_sequences/Deepfakes/c23/videos/035_036.mp4"
SWAP = "manipulated_sequences/FaceSwap/c23/videos/035_036.mp4"


def named(path, key=None, tags=()):
    *folders, name = path.split("/")
    key = key or path
    return VideoName(
        key=key, stem=name.rpartition(".")[0], folders=(folders, key.split("/")[:-1], tags)
    )


@pytest.mark.parametrize(
    ("path", "csvs", "want"),
    [
        (FAKE, [], None),
        (FAKE, ["Deepfakes__035_036"], "Deepfakes__035_036"),
        (FAKE, ["FaceSwap__035_036", "Deepfakes__036_035"], None),
        (REAL, ["original__035", "035_036"], "original__035"),
        (REAL, ["orig__035"], None),  # cut at an underscore only
        (REAL, ["youtube__035", "actors__035"], "youtube__035"),
        (FAKE, ["035_036", "Deepfakes__035_036"], "Deepfakes__035_036"),  # more words win
        (FAKE, ["035_036", "FaceSwap__035_036"], "035_036"),
        (FAKE, ["Deepfakes__035_036", "Deepfakes__c23__035_036"], "Deepfakes__c23__035_036"),
        (FAKE, ["c23__Deepfakes__035_036"], None),  # in the wrong order
        (FAKE, ["Deepfakes/c23/videos/035_036"], "Deepfakes/c23/videos/035_036"),
        (FAKE, ["Deepfakes/c23__035_036", "FaceSwap/c23__035_036"], "Deepfakes/c23__035_036"),
        (FAKE, ["elsewhere/035_036"], None),
        ("id0__walk.mp4", ["id0__walk"], "id0__walk"),  # a stem with two underscores
        ("DFD/actors/01__walk.mp4", ["actors__01__walk", "walk"], "actors__01__walk"),
        ("a.b.mp4", ["a", "a.b"], "a.b"),
    ],
)
def test_the_csv_of_a_video(path, csvs, want):
    assert csvs_of([named(path)], csvs) == ([(path, want)] if want else [])


def test_what_the_key_and_the_tags_tell_counts_too():
    by_key = named("035_036.mp4", "Deepfakes/035_036.mp4")
    by_method = named("035_036.mp4", "files/035_036.mp4", ("ffpp", "Deepfakes", "c23"))
    csvs = ["Deepfakes__035_036", "FaceSwap__035_036"]
    for video in (by_key, by_method):
        assert csvs_of([video], csvs) == [(video.key, "Deepfakes__035_036")]
    assert csvs_of([named("035_036.mp4")], csvs) == []


def test_methods_that_share_names_do_not_share_csvs():
    videos = [named(path) for path in (REAL, FAKE, SWAP)]
    csvs = ["original__035", "Deepfakes__035_036", "FaceSwap__035_036", "Face2Face__035_036"]
    assert csvs_of(videos, csvs) == list(zip((REAL, FAKE, SWAP), csvs[:3], strict=True))


@pytest.mark.parametrize(
    ("paths", "csvs", "said"),
    [
        ([REAL], ["original__035", "youtube__035"], "original__035 and youtube__035 both fit"),
        ([FAKE, SWAP], ["035_036"], "the CSV 035_036 fits both"),
    ],
)
def test_names_that_do_not_tell_are_refused(paths, csvs, said):
    with pytest.raises(BadInput, match=said):
        csvs_of([named(path) for path in paths], csvs)


class Source:
    def __init__(self, kind, *videos, is_one_file=False):
        self.kind, self.is_one_file = kind, is_one_file
        self.videos = [v if isinstance(v, VideoName) else VideoName(key=v) for v in videos]


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        (Source(SHARDS, "x", "y"), Source(SHARDS, "z", "y"), [("y", "y")]),
        (Source(SHARDS, "x"), Source(SHARDS, "y"), []),
        (Source(CSVS, "x", "d/y"), Source(CSVS, "d/y"), [("d/y", "d/y")]),
        (Source(SHARDS, named("d/v.mp4")), Source(CSVS, "w", "v"), [("d/v.mp4", "v")]),
        (Source(CSVS, "w", "v"), Source(SHARDS, named("d/v.mp4")), [("v", "d/v.mp4")]),
        # A folder that happens to hold one CSV says nothing; a file that was named does.
        (Source(SHARDS, named("v.mp4")), Source(CSVS, "w"), []),
        (Source(SHARDS, named("v.mp4")), Source(CSVS, "w", is_one_file=True), [("v.mp4", "w")]),
        (Source(CSVS, "w", is_one_file=True), Source(SHARDS, named("v.mp4")), [("w", "v.mp4")]),
        (Source(CSVS, "w", is_one_file=True), Source(CSVS, "v", is_one_file=True), [("w", "v")]),
        (
            Source(SHARDS, named("v.mp4"), named("w.mp4")),
            Source(CSVS, "w", is_one_file=True),
            [("w.mp4", "w")],
        ),
    ],
)
def test_videos_of_two_sources(a, b, want):
    assert same_videos(a, b) == want


def labels(*faces):
    """Faces as (frame, left edge of a box of 100 x 100)."""
    frames = np.array([frame for frame, _ in faces], np.int64)
    boxes = np.array([(x, 0, x + 100, 100) for _, x in faces], np.float32).reshape(-1, 4)
    nothing = np.zeros((len(faces), 0))
    return FaceLabels(
        frame_index=frames,
        box_xyxy=boxes,
        occurrence=nothing.astype(np.int8),
        intensity=nothing.astype(np.float32),
    )


NOWHERE = float("nan")


@pytest.mark.parametrize(
    ("a", "b", "pairs", "unjoined"),
    [
        ([], [], [], (0, 0, 0, 0)),
        ([(0, 0), (7, 0)], [], [], (2, 0, 0, 0)),
        ([(0, 0), (1, 0)], [(0, 0), (1, 9)], [(0, 0), (1, 1)], (0, 0, 0, 0)),
        ([(0, 0), (4, 0), (8, 0)], [(4, 0), (5, 0)], [(1, 0)], (2, 1, 0, 0)),
        # One on either side, but not the same person.
        ([(0, 0), (1, 0)], [(0, 60), (1, 0)], [(1, 1)], (0, 0, 1, 1)),
        ([(0, NOWHERE), (1, 0)], [(0, 0), (1, 0)], [(1, 1)], (0, 0, 1, 1)),
        # Several people.
        ([(0, 0), (0, 300)], [(0, 310), (0, 5)], [(0, 1), (1, 0)], (0, 0, 0, 0)),
        ([(0, 300)], [(0, 0), (0, 300), (1, 0)], [(0, 1)], (0, 1, 0, 1)),
        ([(0, 0), (0, 300)], [(0, 900)], [], (0, 0, 2, 1)),
        # The best for one would leave the other without.
        ([(0, 0), (0, 40)], [(0, 20), (0, 50)], [(0, 0), (1, 1)], (0, 0, 0, 0)),
        ([(0, NOWHERE), (0, 0)], [(0, 0)], [(1, 0)], (0, 0, 1, 0)),
        # Two rows of one place on one frame: one of them is left over.
        ([(0, 0)], [(0, 0), (0, 0)], [(0, 0)], (0, 0, 0, 1)),
        # The order is that of A, whether a frame is crowded or not.
        (
            [(0, 0), (0, 300), (1, 0), (2, 0), (2, 300)],
            [(0, 300), (1, 0), (2, 0)],
            [(1, 0), (2, 1), (3, 2)],
            (0, 0, 2, 0),
        ),
    ],
)
def test_the_same_faces(a, b, pairs, unjoined):
    joined = same_faces(labels(*a), labels(*b))
    got = list(zip(joined.rows_a.tolist(), joined.rows_b.tolist(), strict=True))
    assert got == pairs
    names = ("frames_only_in_a", "frames_only_in_b", "faces_apart_in_a", "faces_apart_in_b")
    assert joined.unjoined == Unjoined(**dict(zip(names, unjoined, strict=True)))


@pytest.mark.parametrize("seed", range(10))
def test_no_face_is_lost_or_joined_twice(seed):
    rng = np.random.default_rng(seed)
    sides = [
        labels(*sorted(zip(rng.integers(0, 30, 60), rng.integers(0, 400, 60), strict=True)))
        for _ in range(2)
    ]
    joined = same_faces(*sides)
    a, b = sides
    rows_a, rows_b = joined.rows_a, joined.rows_b
    assert len(set(rows_a)) == len(set(rows_b)) == len(rows_a) > 0
    assert (a.frame_index[rows_a] == b.frame_index[rows_b]).all()
    assert (overlap(a.box_xyxy[rows_a], b.box_xyxy[rows_b]) >= 0.3).all()
    only = len(a) - np.isin(a.frame_index, b.frame_index).sum()
    assert len(rows_a) + joined.unjoined.faces_apart_in_a + only == len(a)
    swapped = same_faces(b, a)
    assert sorted(zip(swapped.rows_b, swapped.rows_a, strict=True)) == list(
        zip(rows_a, rows_b, strict=True)
    )
