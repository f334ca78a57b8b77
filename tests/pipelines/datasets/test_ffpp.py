import json
import logging
from collections import Counter

import pytest

from facekit.errors import BadInput
from pipelines.datasets import LAYOUTS, videos_of_layout
from pipelines.datasets.ffpp import METHODS
from pipelines.manifest import videos_of as manifest_of

FAKES = METHODS["manipulated_sequences"][:5]
REAL = "original_sequences/youtube/c23/videos"
FAKE = "manipulated_sequences/Deepfakes/c23/videos"
DFD = "manipulated_sequences/DeepFakeDetection/c23/videos"


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def split_files(root, **pairs):
    root.mkdir(parents=True, exist_ok=True)
    for split, listed in pairs.items():
        (root / f"{split}.json").write_text(json.dumps(listed))


def by_key(root):
    return {video.key: video for video in manifest_of([root], dataset="ffpp")}


def test_registry_names_a_function_each():
    assert set(LAYOUTS) == {"ffpp"}


def test_real_clips(data_dir):
    videos = manifest_of([data_dir / "ffpp"], dataset="ffpp")
    methods = {"youtube": 35, "Deepfakes": 35, "Face2Face": 12, "FaceSwap": 12}
    assert Counter(video.method for video in videos) == methods
    assert Counter(video.label for video in videos) == {0: 35, 1: 59}
    assert len({video.key for video in videos}) == 94
    assert all(video.path.is_file() and video.compression == "c23" for video in videos)
    groups = {video.group for video in videos}
    assert len(groups) == 18
    assert {"ffpp/035_036", "ffpp/263_284"} <= groups
    reals = {video.key for video in videos if video.label == 0}
    assert {video.original for video in videos if video.label} <= reals


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """1000 reals and 1000 fakes of each of five methods, as empty files; 360, 70 and 70 pairs."""
    root = tmp_path_factory.mktemp("ffpp")
    numbers = [f"{i:03d}" for i in range(1000)]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    fakes = [f"{a}_{b}" for pair in pairs for a, b in (pair, pair[::-1])]
    make(root, *(f"{REAL}/{number}.mp4" for number in numbers))
    for method in FAKES:
        make(root, *(f"manipulated_sequences/{method}/c23/videos/{fake}.mp4" for fake in fakes))
    make(root, *(f"manipulated_sequences/Deepfakes/masks/videos/{fake}.mp4" for fake in fakes))
    split_files(root / "splits", train=pairs[:360], val=pairs[360:430], test=pairs[430:])
    return root


def test_official_layout(official):
    videos = by_key(official)
    assert len(videos) == 6000
    counts = Counter((video.method, video.split) for video in videos.values())
    for method in ("youtube", *FAKES):
        assert [counts[method, split] for split in ("train", "val", "test")] == [720, 140, 140]
    assert len({video.group for video in videos.values()}) == 500
    straddling = Counter(group for group, _ in {(v.group, v.split) for v in videos.values()})
    assert set(straddling.values()) == {1}


def test_one_fake_in_full(official):
    video = by_key(official)["ffpp/Deepfakes/c23/037_036"]
    assert video.relative_path == f"{FAKE}/037_036.mp4"
    assert (video.dataset, video.method, video.compression) == ("ffpp", "Deepfakes", "c23")
    assert (video.label, video.split) == (1, "train")
    assert video.original == "ffpp/youtube/c23/037"
    assert video.group == "ffpp/036_037"
    assert video.mask_path == "manipulated_sequences/Deepfakes/masks/videos/037_036.mp4"


def test_one_real_and_a_method_without_masks(official):
    videos = by_key(official)
    real = videos["ffpp/youtube/c23/999"]
    assert (real.label, real.split, real.original) == (0, "test", "")
    assert (real.group, real.mask_path) == ("ffpp/998_999", "")
    assert videos["ffpp/FaceShifter/c23/000_001"].mask_path == ""


def test_actors(tmp_path):
    make(
        tmp_path,
        "original_sequences/actors/c23/videos/01__exit_phone_room.mp4",
        "original_sequences/actors/c23/videos/02__walking__outside.mp4",
        f"{DFD}/01_02__exit_phone_room__YVGY8LOK.mp4",
        f"{DFD}/02_01__walking__outside__0AB1CDEF.mp4",
        "manipulated_sequences/DeepFakeDetection/masks/videos/01_02__exit_phone_room__YVGY8LOK.mp4",
    )
    split_files(tmp_path, train=[["001", "002"]], val=[], test=[])
    videos = by_key(tmp_path)
    fake = videos["ffpp/DeepFakeDetection/c23/01_02__exit_phone_room__YVGY8LOK"]
    assert fake.original == "ffpp/actors/c23/01__exit_phone_room"
    assert (fake.label, fake.split, fake.group) == (1, "", "ffpp/actors/01")
    assert fake.mask_path.endswith("masks/videos/01_02__exit_phone_room__YVGY8LOK.mp4")
    other = videos["ffpp/DeepFakeDetection/c23/02_01__walking__outside__0AB1CDEF"]
    assert other.original == "ffpp/actors/c23/02__walking__outside"
    assert {fake.original, other.original} <= videos.keys()
    assert videos[fake.original].group == fake.group != videos[other.original].group


@pytest.mark.parametrize(
    ("folder", "compression"), [("raw", "raw"), ("c0", "raw"), ("C23", "c23"), ("c40", "c40")]
)
def test_compressions_and_case_of_folders(tmp_path, folder, compression):
    make(
        tmp_path,
        f"Original_Sequences/YouTube/{folder}/Videos/035.mp4",
        f"manipulated_sequences/deepfakes/{folder}/videos/035_036.MP4",
    )
    assert {key: video.original for key, video in by_key(tmp_path).items()} == {
        f"ffpp/youtube/{compression}/035": "",
        f"ffpp/Deepfakes/{compression}/035_036": f"ffpp/youtube/{compression}/035",
    }


def test_raw_and_c0_side_by_side_claim_one_key(tmp_path):
    make(tmp_path, *(f"original_sequences/youtube/{c}/videos/035.mp4" for c in ("raw", "c0")))
    with pytest.raises(BadInput, match="are both called ffpp/youtube/raw/035"):
        by_key(tmp_path)


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([f"{REAL}/035.mp4"], {"ffpp/035"}),
        ([f"{REAL}/035.mp4", f"{REAL}/036.mp4"], {"ffpp/035", "ffpp/036"}),
        ([f"{REAL}/036.mp4", f"{FAKE}/036_035.mp4"], {"ffpp/035_036"}),
        ([f"{FAKE}/036_035.mp4", f"{FAKE}/035_036.mp4"], {"ffpp/035_036"}),
        ([f"{FAKE}/003_001.mp4", f"{FAKE}/002_003.mp4", f"{REAL}/001.mp4"], {"ffpp/001_002"}),
    ],
)
def test_groups_without_split_files(tmp_path, names, groups):
    assert {video.group for video in by_key(make(tmp_path, *names)).values()} == groups


def test_split_files_complete_the_groups(tmp_path):
    make(tmp_path, f"{REAL}/035.mp4")
    split_files(tmp_path, train=[["035", "036"]])
    (video,) = by_key(tmp_path).values()
    assert (video.split, video.group) == ("train", "ffpp/035_036")


@pytest.mark.parametrize("place", [".", "splits", "dataset/splits"])
def test_places_of_split_files(tmp_path, place, caplog):
    make(
        tmp_path, f"{REAL}/035.mp4", f"{REAL}/099.mp4", f"{FAKE}/036_035.mp4", f"{FAKE}/035_040.mp4"
    )
    split_files(tmp_path / place, train=[["040", "041"]], test=[["035", "036"]])
    assert {key: video.split for key, video in by_key(tmp_path).items()} == {
        "ffpp/youtube/c23/035": "test",
        "ffpp/youtube/c23/099": "",
        "ffpp/Deepfakes/c23/036_035": "test",
        "ffpp/Deepfakes/c23/035_040": "",
    }
    assert "val.json: not there, its videos get no split" in caplog.text


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "train.json is no split file"),
        ("{}]", "is no split file"),
        ("5", "is no split file"),
        ('["035", "036"]', "is no split file"),
        ('[["035"]]', "is no split file"),
        ("[[35, 36]]", "35 is no id"),
        ('[["035", "036.mp4"]]', "'036.mp4' is no id"),
        ("[" * 100_000, "is no split file"),
        ('[["035", "036"]]', "video 03[56] is in train.json and in test.json"),
    ],
)
def test_split_files_that_make_no_sense(tmp_path, text, error):
    make(tmp_path, f"{REAL}/035.mp4")
    split_files(tmp_path, test=[["035", "036"]])
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(BadInput, match=error):
        by_key(tmp_path)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("up", r"FaceForensics\+\+ lies one folder deeper; give .*up/ffpp$"),
        ("up/ffpp/manipulated_sequences", r"lies inside FaceForensics\+\+; give .*up/ffpp$"),
        (f"up/ffpp/{FAKE}", r"lies inside FaceForensics\+\+; give .*up/ffpp$"),
        ("up/other", r"no FaceForensics\+\+ in .*other; the layout is original_sequences/"),
        ("bare", r"no videos below .*bare; ignored 1 .*: .mp4 1; the layout is"),
    ],
)
def test_wrong_roots(tmp_path, given, error):
    make(tmp_path, f"up/ffpp/{REAL}/035.mp4", f"up/ffpp/{FAKE}/035_036.mp4", "up/other/x.mp4")
    make(tmp_path, "bare/original_sequences/youtube/c23/035.mp4")
    with pytest.raises(BadInput, match=error):
        videos_of_layout("ffpp", tmp_path / given)


def test_nothing_is_left_out_in_silence(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    make(
        tmp_path,
        *(f"{REAL}/035.mp4", f"{REAL}/._035.mp4", f"{REAL}/035.json", f"{REAL}/frames/0.png"),
        *("manipulated_sequences/NewMethod/c23/videos/035_036.mp4", "downloads/x.zip"),
    )
    assert len(by_key(tmp_path)) == 1
    assert "1 videos, ignored 2 files that are no videos: .json 1, hidden 1" in caplog.text
    assert "3 folders are left out, the layout does not know them" in caplog.text
    for name in ("NewMethod", "downloads", "videos/frames"):
        assert name in caplog.text
    assert "so no video gets a split" in caplog.text


@pytest.mark.parametrize(
    "name", [f"{REAL}/035 (1).mp4", f"{FAKE}/copy.mp4", f"{DFD}/01__scene.mp4"]
)
def test_odd_names_are_taken_but_say_nothing(tmp_path, name, caplog):
    make(tmp_path, name)
    (video,) = by_key(tmp_path).values()
    assert video.label == ("manipulated" in name)
    assert (video.original, video.group, video.split) == ("", "", "")
    assert "names are not the official ones" in caplog.text


def test_the_real_clips_by_links_with_made_up_split_files(data_dir, tmp_path):
    for kind in METHODS:
        (tmp_path / kind).symlink_to(data_dir / "ffpp" / kind)
    split_files(tmp_path / "splits", train=[["035", "036"]], val=[["044", "945"]], test=[])
    counts = Counter(video.split for video in by_key(tmp_path).values())
    assert counts == {"train": 4, "val": 8, "": 82}
