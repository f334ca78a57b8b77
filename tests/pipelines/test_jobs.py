import dataclasses
import json
from pathlib import Path

import cv2
import pytest

from facekit import shards
from facekit.errors import BadInput
from facekit.options import Measurement
from facekit.schema import Provenance
from facekit.video import Video
from pipelines import jobs

PROVENANCE = Provenance(
    measurement=Measurement().as_json(),
    au_names=("AU01", "AU02"),
    au_mode="none",
    backends={"detector": {"name": "yunet", "models": {"yunet": "00ff"}}},
    versions={"numpy": "2.0"},
)
HEADER = shards.Header(provenance=PROVENANCE, size_px=64, images=False)


def _nothing():
    return None


@pytest.mark.parametrize(
    "video",
    [
        Video(key="a", path=Path("a.mp4"), relative_path="a.mp4"),
        Video(key="ü/b", path=Path("/x/b.mp4"), relative_path="b.mp4", label=1, group="g"),
    ],
)
def test_a_video_survives_the_way_to_a_worker(video):
    assert jobs.video_from(json.loads(json.dumps(jobs.video_to(video)))) == video


def test_a_header_survives_the_way_to_a_worker():
    assert jobs.header_from(json.loads(json.dumps(jobs.header_to(HEADER)))) == HEADER


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"versions": {"numpy": "2.1"}}, "numpy 2.1, and this is 2.0"),
        ({"versions": {}}, "numpy None"),
        ({"versions": {"numpy": "2.0", "av": "18"}}, "av 18"),
        ({"backends": {"detector": {"name": "retinaface", "models": {}}}}, "retinaface"),
    ],
)
def test_a_folder_is_not_continued_with_other_models_or_versions(changed, said):
    before = dataclasses.replace(PROVENANCE, **changed)
    if said is None:
        assert jobs._refuse_other(before, PROVENANCE) is None
    else:
        with pytest.raises(BadInput, match=said):
            jobs._refuse_other(before, PROVENANCE)


def test_failed_videos_alone_make_a_sound_shard(tmp_path):
    job = jobs.packing({"header": jobs.header_to(HEADER)})
    failed = Video(key="a", path=Path("a.mp4"), relative_path="a.mp4")
    source = {"video": jobs.video_to(failed), "status": "timeout"}
    shard = tmp_path / "faces-00000.h5"
    job({"do": "pack", "shard": str(shard), "sources": [source], "remove": []}, _nothing)
    assert shards.verify(shard, deep=True).ok
    with shards.open_shards(shard) as opened:
        assert opened.videos["status"].tolist() == ["timeout"]
        assert opened.header == HEADER


def test_a_shard_taken_apart_and_packed_again_is_the_same(tmp_path):
    job = jobs.packing({"header": jobs.header_to(HEADER)})
    videos = [Video(key=key, path=Path(key), relative_path=key) for key in "ab"]
    sources = [{"video": jobs.video_to(video), "status": "no_face"} for video in videos]
    shard = tmp_path / "faces-00000.h5"
    job({"do": "pack", "shard": str(shard), "sources": sources, "remove": []}, _nothing)
    whole = shard.read_bytes()
    parts = {video.key: str(tmp_path / f"{video.key}.h5") for video in videos}
    job({"do": "unpack", "shard": str(shard), "parts": parts}, _nothing)
    assert not shard.exists()
    stored = [{"file": part, "key": key} for key, part in parts.items()]
    remove = list(parts.values())
    job({"do": "pack", "shard": str(shard), "sources": stored, "remove": remove}, _nothing)
    assert shard.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == [shard.name]


def test_a_measuring_worker_keeps_to_one_thread(plugins):
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    options = dataclasses.asdict(Measurement(**plugins))
    job = jobs.measuring({"measurement": options, "device": "cpu", "header": None})
    assert cv2.getNumThreads() == 1
    assert job.info["devices"]["detector"] == "cpu"
    cv2.setNumThreads(before)
