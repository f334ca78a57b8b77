import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import copy_packets
from jsonschema import Draft202012Validator
from trained_runs import config, write_run

import training
from facekit import cli, crops, detectors, video
from facekit.errors import BadInput, BadWeights, RunIncomplete
from training import checkpoint
from training.predict import predict

SCHEMA = json.loads((Path(training.__file__).parent / "prediction.schema.json").read_text())
FRAMES = "4"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    path = tmp_path_factory.mktemp("broken") / "broken.mp4"
    path.write_bytes(b"no video at all" * 99)
    return path


@pytest.fixture(scope="module")
def inputs(pyfeat_clips, broken):
    clips = [pyfeat_clips / "single_face.mp4", pyfeat_clips / "no_face.mp4"]
    return [*clips, broken, Path("nowhere/gone.mp4")]


@pytest.fixture(scope="module")
def predicted(run, inputs, tmp_path_factory):
    return predict(run, inputs, out=tmp_path_factory.mktemp("out"), frames=FRAMES)


def _told(prediction, key=None):
    name = "predictions.json" if key is None else f"videos/{key}.json"
    return json.loads((prediction.out / name).read_text())


@pytest.mark.parametrize(
    ("videos", "options", "message"),
    [
        ([], {}, "no videos to score"),
        ([""], {}, "'' has no name that its results could be filed under"),
        (["a/x.mp4", "b/x.mp4"], {}, "would both be 'x.mp4' in the results"),
        (["x.mp4"], {"frames": "some"}, "--frames must be a number, every:N or all, not 'some'"),
        (["x.mp4"], {"face": "first"}, "--face must be one of"),
        (["x.mp4"], {"batch": 0}, "--batch must be at least 1, not 0"),
        (["x.mp4"], {"detector": "nobody"}, "no detector is called 'nobody'"),
        (["x.mp4"], {"device": "abacus"}, "--device must be one of"),
        (["x.mp4"], {"which": "first"}, "--which must be best or last, not 'first'"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(run, tmp_path, videos, options, message):
    with pytest.raises(BadInput, match=message.replace("'", ".")) as refused:
        predict(run, videos, out=tmp_path / "out", **options)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_key_stays_within_the_folder(run, tmp_path):
    outside = video.Video(key="../escaped", path=Path("x.mp4"), relative_path="x.mp4")
    with pytest.raises(BadInput, match="no name that its results could be filed under"):
        predict(run, outside, out=tmp_path / "out")


def test_a_file_is_no_folder_for_results(run, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(BadInput, match="is a file, or lies below one; give a folder"):
        predict(run, "x.mp4", out=tmp_path / "out")


def _without_snapshot(run):
    shutil.rmtree(run / "snapshots")


def _truncated(run):
    path = next(run.rglob("model.safetensors"))
    path.write_bytes(path.read_bytes()[:-9])


def _flipped(run):
    path = next(run.rglob("model.safetensors"))
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def _of_another_model(run):
    """The weights of another network, with a state that vouches for them."""
    other = write_run(run.parent / "other", config(token_width=16))
    theirs, ours = (checkpoint.find(one) for one in (other, run))
    tensors = {name: theirs.tensors(name) for name in (checkpoint.MODEL, checkpoint.OPTIMISER)}
    shutil.rmtree(run)
    checkpoint.write(
        run, ours.state, model=tensors[checkpoint.MODEL], optimiser=tensors[checkpoint.OPTIMISER]
    )


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (shutil.rmtree, BadInput, "holds no snapshot; give the folder of a run that has one"),
        (_without_snapshot, BadInput, "holds no snapshot"),
        (_truncated, BadWeights, "model.safetensors is damaged"),
        (_flipped, BadWeights, "model.safetensors is damaged"),
        (_of_another_model, BadWeights, "does not hold the weights of the aunet"),
    ],
)
def test_a_run_that_cannot_be_used_is_one_clear_line(run, tmp_path, spoil, kind, message):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    spoil(copy)
    with pytest.raises(kind, match=message) as refused:
        predict(copy, "x.mp4", out=tmp_path / "out")
    assert "\n" not in str(refused.value)


def test_every_input_is_one_row_in_order(predicted, inputs):
    assert [(row.key, row.status) for row in predicted.videos] == [
        ("single_face.mp4", "ok"),
        ("no_face.mp4", "no_face"),
        ("broken.mp4", "decode_error"),
        ("gone.mp4", "decode_error"),
    ]
    assert [row.reason for row in predicted.videos] == [
        "",
        "",
        f"{inputs[2]}: not a video, or its header is damaged",
        "nowhere/gone.mp4: not found",
    ]
    assert [row.key for row in predicted.failures] == ["broken.mp4", "gone.mp4"]
    assert predicted.lines()[-2] == "4 videos: 2 decode_error, 1 ok, 1 no_face"


def test_files_follow_the_schema(predicted):
    Draft202012Validator.check_schema(SCHEMA)
    validator = Draft202012Validator(SCHEMA)
    for told in [_told(predicted), *(_told(predicted, row.key) for row in predicted.videos)]:
        validator.validate(told)
    assert _told(predicted) == predicted.as_json()
    assert not [path for path in predicted.out.rglob("*") if ".tmp-" in path.name]


def test_scores_add_up(predicted):
    (row,) = _told(predicted, "single_face.mp4")["videos"]
    assert [frame["frame_index"] for frame in row["frames"]] == [0, 24, 47, 71]
    assert row["frames"][1]["pts_s"] == pytest.approx(0.8)
    faces = [face for frame in row["frames"] for face in frame["faces"]]
    assert len(faces) == 4
    for face in faces:
        sum_of_both = (face["class_score"] + face["token_score"] / 2) / 1.5
        assert face["score"] == pytest.approx(sum_of_both, abs=2e-6)
    assert len({face["score"] for face in faces}) == 4
    mean = np.mean([frame["score"] for frame in row["frames"]])
    assert row["score"] == pytest.approx(mean, abs=1e-6)
    (person,) = row["people"]
    assert person["score"] == pytest.approx(row["score"])
    assert (person["frames"], person["first_s"]) == (4, 0.0)


def test_a_face_scores_as_the_network_says_of_its_crop(run, predicted, pyfeat_clips):
    loaded = checkpoint.load_model(run)
    clip = pyfeat_clips / "single_face.mp4"
    first = next(iter(video.sample(clip, FRAMES)))
    (found,) = detectors.load("lite")([first.image_HWC])
    affine = crops.square_affine(found.box_xyxy[0], loaded.config.data.margin, 112)
    image_HWC = crops.cut(first.image_HWC, affine, 112)
    with torch.inference_mode():
        output = loaded.model(torch.from_numpy(image_HWC).permute(2, 0, 1)[None] / 255)
    p_class = output.class_logits_N2.softmax(-1)[0, 1]
    p_token = output.token_logits_NT2.softmax(-1)[0, :, 1].max()
    (row,) = _told(predicted, "single_face.mp4")["videos"]
    (face,) = row["frames"][0]["faces"]
    assert face["class_score"] == pytest.approx(float(p_class), abs=2e-6)
    assert face["token_score"] == pytest.approx(float(p_token), abs=2e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_no_score_depends_on_the_batch(run, predicted, inputs, tmp_path, batch):
    again = predict(run, inputs[:1], out=tmp_path, frames=FRAMES, batch=batch)
    before, after = (_told(one, "single_face.mp4")["videos"][0] for one in (predicted, again))
    for frame, other in itertools.zip_longest(before.pop("frames"), after.pop("frames")):
        assert frame["score"] == pytest.approx(other["score"], abs=1.1e-6)
    assert before["score"] == pytest.approx(after["score"], abs=1.1e-6)


@pytest.fixture(scope="module")
def crowd(pyfeat_clips, tmp_path_factory):
    """A folder of two equal pictures of several people."""
    folder = tmp_path_factory.mktemp("pictures") / "crowd"
    folder.mkdir()
    for number in range(2):
        shutil.copy(pyfeat_clips / "multi_face.jpg", folder / f"{number}.jpg")
    return folder


def test_people_are_told_apart(run, crowd, tmp_path):
    everyone = predict(run, crowd, out=tmp_path / "all")
    (row,) = _told(everyone, "crowd")["videos"]
    Draft202012Validator(SCHEMA).validate(_told(everyone, "crowd"))
    assert len(row["people"]) == 5
    assert [person["frames"] for person in row["people"]] == [2] * 5
    assert [frame["pts_s"] for frame in row["frames"]] == [None, None]
    assert row["score"] == max(person["score"] for person in row["people"])

    one = predict(run, crowd, out=tmp_path / "one", face="largest").videos[0]
    areas = {
        face["track_id"]: np.prod(np.diff(np.reshape(face["box_xyxy"], (2, 2)), axis=0))
        for face in row["frames"][0]["faces"]
    }
    assert [person.track_id for person in one.people] == [max(areas, key=areas.get)]


def test_a_model_without_tokens_scores_by_class(pyfeat_clips, tmp_path):
    bare = write_run(tmp_path / "run", config(data={"task": "labelled"}))
    clip = pyfeat_clips / "single_face.mp4"
    prediction = predict(bare, clip, out=tmp_path / "out", frames="1", overlay=True)
    told = _told(prediction, "single_face.mp4")
    Draft202012Validator(SCHEMA).validate(told)
    (face,) = told["videos"][0]["frames"][0]["faces"]
    assert face["token_score"] is None
    assert face["score"] == face["class_score"] == told["videos"][0]["score"]
    assert told["videos"][0]["overlay"] == "single_face.mp4.overlay.mp4"


def test_what_breaks_over_one_video_costs_that_video(run, inputs, tmp_path, monkeypatch):
    real = detectors.load("lite")

    def fragile(images_HWC):
        if images_HWC[0].shape[1] == 960:
            raise ValueError("these pixels\nare cursed")
        return real(images_HWC)

    fragile.device, fragile.min_score, fragile.models = "cpu", real.min_score, real.models
    monkeypatch.setattr(detectors, "load", lambda spec, **options: fragile)
    prediction = predict(run, [inputs[1], inputs[0]], out=tmp_path, frames="1")
    assert [row.status for row in prediction.videos] == ["error", "ok"]
    assert prediction.videos[0].reason == "ValueError: these pixels are cursed"


def test_a_cut_video_is_scored_as_far_as_it_goes(run, pyfeat_clips, tmp_path):
    cut = tmp_path / "cut.mp4"
    copy_packets(pyfeat_clips / "single_face.mp4", cut, container_options={"movflags": "faststart"})
    with cut.open("r+b") as file:
        file.truncate(cut.stat().st_size * 3 // 4)
    prediction = predict(run, cut, out=tmp_path / "out", frames=FRAMES)
    (row,) = prediction.failures
    assert row.status == "short_read"
    assert row.reason == f"{row.frames_decoded} of 72 frames came out"
    assert row.score is not None
    assert 0 < row.frames_with_face < 4


def test_a_run_that_is_cut_short_leaves_no_old_summary(run, pyfeat_clips, tmp_path):
    def cut_short(scored):
        raise KeyboardInterrupt

    clip = pyfeat_clips / "single_face.mp4"
    predict(run, clip, out=tmp_path, frames="1", device="cpu")
    assert (tmp_path / "predictions.json").exists()
    with pytest.raises(KeyboardInterrupt):
        predict(run, clip, out=tmp_path, frames="1", device="cpu", on_video=cut_short)
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


def test_the_command_fails_for_failures_alone(run, inputs, tmp_path, capsys):
    asked = ["predict", str(run), "--frames", "1", "--quiet", "-o"]
    cli.cli([*asked, str(tmp_path / "a"), *map(str, inputs[:2])], standalone_mode=False)
    with pytest.raises(RunIncomplete, match="2 of 4 videos failed"):
        cli.cli([*asked, str(tmp_path / "b"), *map(str, inputs)], standalone_mode=False)
    assert capsys.readouterr().out == ""
