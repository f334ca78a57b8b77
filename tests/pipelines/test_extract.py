"""The whole way from clips to shards, with real worker processes and cheap backends."""

import csv
import hashlib
import json
import random
import shutil

import pytest
from trials import PLUGINS, make_faces

import facekit
from facekit import shards
from facekit.errors import BadInput, BadShard, DiskFull, FacekitError, FolderLocked
from pipelines import lock, packing
from pipelines.extract import extract, split_options

LIMITS = {"timeout": 30.0, "max_rss": 700}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Six clips: four with a face, one without, and one that is no video."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate(["a/one.mp4", "a/two.mp4", "b/one.mp4", "b/three.mp4"]):
        make_faces(folder / name, frames=20 + seed, seed=seed)
    make_faces(folder / "b/black.mp4", frames=9, black=range(9))
    (folder / "b/text.mp4").write_text("this is no video")
    return folder


@pytest.fixture
def options(plugins):
    return {**plugins, **LIMITS, "frames": "8", "size": 64, "jobs": 1, "device": "cpu"}


def _files(folder):
    """Every file of a dataset but the logs that tell of the run itself, with its hash."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name not in ("ledger.jsonl", "ledger.csv")
    }


def _ledger(folder):
    with (folder / "ledger.csv").open(newline="") as file:
        return {row["key"].rpartition("/")[2]: row["status"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory):
    """The dataset of one run with one worker: what all others must be, byte for byte."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(PLUGINS))
    out = tmp_path_factory.mktemp("undisturbed") / "shards"
    found = extract(
        clips, out, detector="brightest", landmarker="oval", au="none", frames="8", size=64,
        jobs=1, device="cpu", **LIMITS,
    )  # fmt: skip
    patch.undo()
    return out, found


def test_every_input_ends_as_one_row_and_the_rows_add_up(undisturbed):
    out, found = undisturbed
    assert dict(found.statuses) == {"ok": 4, "no_face": 1, "decode_error": 1}
    assert sum(found.statuses.values()) == found.inputs == 6
    assert found.faces == found.frames_with_face == 32
    assert found.frames_sampled == 40
    assert _ledger(out) == {
        "one.mp4": "ok", "two.mp4": "ok", "three.mp4": "ok", "black.mp4": "no_face",
        "text.mp4": "decode_error",
    }  # fmt: skip
    assert [row.status for row in found.failures] == ["decode_error"]
    assert "text.mp4" in found.failures[0].reason


def test_the_shards_are_sound_and_nothing_else_is_left(undisturbed):
    out, _ = undisturbed
    report = shards.verify(out, deep=True)
    assert report.ok, report.problems
    assert sorted(path.name for path in out.iterdir()) == [
        "faces-00000.h5", "ledger.csv", "ledger.jsonl", "manifest.json",
    ]  # fmt: skip


def test_faces_stand_where_the_detector_saw_them(undisturbed, clips):
    out, _ = undisturbed
    with facekit.open_shards(out) as opened:
        faces = opened.to_pandas()
        face = opened[0]
        keys = opened.videos["key"].tolist()
    assert keys == sorted(keys)
    assert faces.groupby("key")["frame_index"].apply(list).iloc[0] == [0, 3, 5, 8, 11, 14, 16, 19]
    box = face["box_xyxy"]
    centre_xy = (box[:2] + box[2:]) / 2
    affine = face["crop_affine"]
    crop_xy = affine[:, :2] @ centre_xy + affine[:, 2]
    assert abs(crop_xy - 31.5).max() < 1.0
    assert face["image"].shape == (64, 64, 3)
    assert abs(face["landmarks_xy"].mean(axis=0) - crop_xy).max() < 0.01


@pytest.mark.parametrize("jobs", [2, 4])
def test_the_bytes_are_the_same_for_any_number_of_workers(
    undisturbed, clips, tmp_path, options, jobs
):
    extract(clips, tmp_path / "out", **{**options, "jobs": jobs})
    assert _files(tmp_path / "out") == _files(undisturbed[0])


def test_the_bytes_do_not_depend_on_the_order_of_inputs(clips, tmp_path, options):
    files = [*clips.glob("a/*.mp4"), clips / "b/three.mp4", clips / "b/black.mp4"]
    random.Random(0).shuffle(files)
    extract(files, tmp_path / "one", **options)
    extract(sorted(files), tmp_path / "two", **options)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_a_second_run_does_nothing_and_changes_nothing(undisturbed, clips, options):
    out, before = undisturbed
    files = {path: path.stat().st_mtime_ns for path in out.glob("*.h5")}
    found = extract(clips, out, **options)
    assert dict(found.statuses) == dict(before.statuses)
    assert found.devices == {}
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.h5")} == files


def test_parts_of_a_job_array_merge_into_the_bytes_of_one_run(
    undisturbed, clips, tmp_path, options
):
    for part in ("1/3", "2/3", "3/3"):
        extract(clips, tmp_path / "array", **options, part=part)
    merged = facekit.merge(sorted((tmp_path / "array").iterdir()), tmp_path / "merged")
    assert merged.inputs == 6
    assert _files(tmp_path / "merged") == _files(undisturbed[0])
    assert _ledger(tmp_path / "merged") == _ledger(undisturbed[0])


def test_more_inputs_join_a_complete_folder_as_if_they_had_been_there(
    undisturbed, clips, tmp_path, options
):
    files = sorted(path for path in clips.rglob("*.mp4") if path.parent.name == "b")
    extract(files[:2], tmp_path / "grown", **options)
    extract(files, tmp_path / "grown", **options)
    extract(files, tmp_path / "fresh", **options)
    assert _files(tmp_path / "grown") == _files(tmp_path / "fresh")


def test_what_failed_is_kept_until_it_is_retried(clips, tmp_path, options):
    videos = tmp_path / "videos"
    make_faces(videos / "good.mp4", seed=1)
    (videos / "torn.mp4").write_bytes(b"")
    assert extract(videos, tmp_path / "out", **options).statuses == {"ok": 1, "decode_error": 1}
    make_faces(videos / "torn.mp4", seed=2)
    assert extract(videos, tmp_path / "out", **options).statuses == {"ok": 1, "decode_error": 1}
    found = extract(videos, tmp_path / "out", **options, retry="failed")
    assert found.statuses == {"ok": 2}
    extract(videos, tmp_path / "fresh", **options)
    assert _files(tmp_path / "out") == _files(tmp_path / "fresh")


def test_each_fault_costs_its_own_video(tmp_path, options):
    kinds = {
        "segv": "crashed", "kill": "crashed", "exit": "crashed", "stop": "timeout",
        "hang": "timeout", "raise": "error", "leak": "out_of_memory", "print": "ok",
    }  # fmt: skip
    for seed, kind in enumerate(kinds):
        make_faces(tmp_path / f"videos/fault-{kind}.mp4", seed=seed)
        make_faces(tmp_path / f"videos/good-{kind}.mp4", seed=seed)
    found = extract(
        tmp_path / "videos",
        tmp_path / "out",
        **{**options, "jobs": 2, "timeout": 8.0, "max_rss": 450},
    )
    want = {f"fault-{kind}.mp4": status for kind, status in kinds.items()}
    want |= {f"good-{kind}.mp4": "ok" for kind in kinds}
    assert _ledger(tmp_path / "out") == want
    assert sum(found.statuses.values()) == 16
    assert shards.verify(tmp_path / "out", deep=True).ok


@pytest.mark.parametrize(
    ("option", "value"), [("frames", "4"), ("size", 96), ("margin", 1.5), ("images", False)]
)
def test_other_options_are_not_mixed_into_a_folder(undisturbed, clips, options, option, value):
    with pytest.raises(BadInput, match=f"other options \\({option}"):
        extract(clips, undisturbed[0], **{**options, option: value})


def test_a_folder_of_other_videos_is_left_alone(undisturbed, clips, options):
    with pytest.raises(BadInput, match="not among the inputs"):
        extract(clips / "a/one.mp4", undisturbed[0], **options)


def test_a_second_run_beside_the_first_is_refused(clips, tmp_path, options):
    (tmp_path / "out").mkdir()
    with lock.locked(tmp_path / "out"), pytest.raises(FolderLocked):
        extract(clips, tmp_path / "out", **options)


def test_a_dry_run_estimates_and_leaves_nothing(clips, tmp_path, options):
    found = extract(clips, tmp_path / "out", **options, dry_run=True)
    assert not (tmp_path / "out").exists()
    assert found.pending == found.inputs == 6
    assert found.estimate.videos == 6
    assert found.estimate.measured == 3
    assert found.estimate.faces > 0
    assert found.estimate.shard_bytes > found.estimate.faces * 64 * 64 * 3
    assert "dry run: 6 videos" in found.lines()[0]


def test_a_video_without_a_face_fails_only_a_strict_run(clips, tmp_path, options):
    black = clips / "b/black.mp4"
    assert extract(black, tmp_path / "easy", **options).failures == ()
    assert len(extract(black, tmp_path / "strict", **options, strict=True).failures) == 1


def test_without_images_the_shards_are_small_and_sound(clips, tmp_path, options):
    extract(clips, tmp_path / "out", **options, images=False)
    with facekit.open_shards(tmp_path / "out") as opened:
        assert len(opened) == 32
        assert "image" not in opened.columns
    assert shards.verify(tmp_path / "out", deep=True).ok


def test_long_videos_are_measured_in_blocks_with_the_same_result(clips, tmp_path, options):
    """More frames than one block holds; the pixels are those of the frames themselves."""
    make_faces(tmp_path / "long.mp4", frames=150, seed=3)
    every_frame = {**options, "frames": "all", "detect_every": 1}
    extract(tmp_path / "long.mp4", tmp_path / "all", **every_frame)
    extract(tmp_path / "long.mp4", tmp_path / "some", **{**options, "frames": "every:50"})
    with (
        facekit.open_shards(tmp_path / "all") as whole,
        facekit.open_shards(tmp_path / "some") as few,
    ):
        assert len(whole) == 150
        for row, face in enumerate(few):
            same = whole[row * 50]
            for name in ("image", "landmarks_xy", "au_mask", "pts_s", "box_xyxy"):
                assert (face[name] == same[name]).all(), name


def test_a_disk_without_room_is_refused_at_the_door(clips, tmp_path, options, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    with pytest.raises(DiskFull):
        extract(clips, tmp_path / "out", **options)


def test_more_frames_than_any_video_has_need_no_room(clips, tmp_path, options):
    many = {**options, "frames": "1000000000000"}
    assert extract(clips / "a/one.mp4", tmp_path / "out", **many).faces == 20


@pytest.mark.parametrize(
    ("out", "changed", "said"),
    [
        ("", {}, "--out is empty"),
        ("file", {}, "file is a file"),
        ("file/below", {}, "file is a file"),
        ("file", {"dry_run": True}, "file is a file"),
        ("n" * 256, {}, "cannot be used for output"),
        ("out", {"part": "7/7"}, "there are 6 videos"),
        ("out", {"part": "1/7"}, "there are 6 videos"),
    ],
)
def test_what_cannot_be_written_is_refused_at_the_door(
    clips, tmp_path, monkeypatch, options, out, changed, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=said):
        extract(clips, out, **options, **changed)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_refused_run_leaves_nothing_in_a_complete_folder(undisturbed, clips, options):
    names = sorted(path.name for path in undisturbed[0].iterdir())
    with pytest.raises(BadInput):
        extract(clips, undisturbed[0], **{**options, "size": 96})
    assert sorted(path.name for path in undisturbed[0].iterdir()) == names


def test_a_dry_run_tells_of_what_failed(clips, tmp_path, options):
    found = extract(clips / "b/text.mp4", tmp_path / "out", **options, dry_run=True)
    assert found.estimate.failed == 1
    assert "of which 1 failed" in found.lines()[0]


def test_a_damaged_manifest_is_written_anew(undisturbed, clips, tmp_path, options):
    out = shutil.copytree(undisturbed[0], tmp_path / "out")
    (out / shards.MANIFEST_NAME).write_text("{")
    extract(clips, out, **options)
    assert _files(out) == _files(undisturbed[0])


def test_a_damaged_shard_is_never_called_complete(undisturbed, clips, tmp_path, options):
    out = shutil.copytree(undisturbed[0], tmp_path / "out")
    shard = out / "faces-00000.h5"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    (out / shards.MANIFEST_NAME).unlink()
    with pytest.raises(BadShard, match=shard.name):
        extract(clips, out, **options)
    shard.unlink()
    extract(clips, out, **options)
    assert _files(out) == _files(undisturbed[0])


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_part_costs_its_own_video(
    undisturbed, clips, tmp_path, options, monkeypatch, damage
):
    """The parts of a run that could not pack; then one of them is damaged."""
    with monkeypatch.context() as patch:
        patch.setattr(packing, "pack_task", lambda shard, sources, remove: (shard.name, {"do": ""}))
        with pytest.raises(FacekitError, match="faces-00000"):
            extract(clips, tmp_path / "out", **options)
    part = sorted((tmp_path / "out/parts").glob("*.h5"))[0]
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 255
    part.write_bytes({"cut": content[:4000], "flipped": content, "emptied": b""}[damage])
    if damage == "flipped":
        with pytest.raises(BadShard, match="run the same command again"):
            extract(clips, tmp_path / "out", **options)
    assert extract(clips, tmp_path / "out", **options).statuses == undisturbed[1].statuses
    assert _files(tmp_path / "out") == _files(undisturbed[0])


def test_what_a_worker_warns_of_while_it_loads_reaches_the_log(
    clips, tmp_path, options, monkeypatch, caplog
):
    """Such as --device cuda where there is none."""
    monkeypatch.setenv("FACEKIT_TEST_WARNING", "RUNS ON THE CPU")
    extract(clips / "a/one.mp4", tmp_path / "out", **options)
    assert [r.getMessage() for r in caplog.records] == ["RUNS ON THE CPU"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nothing": 1}, "'nothing' is no option"),
        ({"frames": "none"}, "--frames"),
        ({"jobs": -1}, "--jobs"),
    ],
)
def test_a_bad_option_is_refused_by_name(options, said):
    with pytest.raises(BadInput, match=said):
        split_options(options)


def test_the_summary_speaks_json(undisturbed):
    found = undisturbed[1]
    told = json.loads(json.dumps(found.as_json()))
    assert told["statuses"] == {"ok": 4, "no_face": 1, "decode_error": 1}
    assert told["failures"][0]["status"] == "decode_error"


def test_the_closing_table_tells_all(undisturbed):
    text = "\n".join(undisturbed[1].lines())
    for part in (
        "inputs",
        "6",
        "decode_error",
        "frames with a face  32 of 40 (80.0%)",
        "cpu",
        "--retry failed",
    ):
        assert part in text
