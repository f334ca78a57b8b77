import dataclasses
import json
import re

import pytest

from facekit.errors import BadInput
from facekit.options import Measurement, Run, field_docs


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"frames": ""}, "--frames"),
        ({"frames": "0"}, "--frames"),
        ({"frames": "every:0"}, "--frames"),
        ({"frames": "-3"}, "--frames"),
        ({"frames": "all "}, "--frames"),
        ({"preset": "heavy"}, "--preset"),
        ({"detector": "Lite"}, "--detector"),
        ({"detector": "insightface:"}, "--detector"),
        ({"landmarker": "FAN"}, "--landmarker"),
        ({"au": ":x"}, "--au"),
        ({"min_score": 1.5}, "--min-score"),
        ({"face": "smallest"}, "--face"),
        ({"detect_every": 0}, "--detect-every"),
        ({"detect_every": 1001}, "--detect-every"),
        ({"margin": 0.99}, "--margin"),
        ({"margin": float("nan")}, "--margin"),
        ({"size": 31}, "--size"),
        ({"size": 2049}, "--size"),
        ({"mask_profile": "eac"}, "--mask-profile"),
    ],
)
def test_a_measurement_out_of_range_names_the_flag_and_the_value(options, named):
    with pytest.raises(BadInput) as caught:
        Measurement(**options)
    assert named in str(caught.value)
    assert str(next(iter(options.values()))) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"jobs": -1}, "--jobs"),
        ({"device": "tpu"}, "--device"),
        ({"timeout": 0.0}, "--timeout"),
        ({"max_rss": 100}, "--max-rss"),
        ({"retry": "all"}, "--retry"),
        ({"part": "3/2"}, "--part"),
        ({"part": "0/2"}, "--part"),
        ({"part": "half"}, "--part"),
        ({"engine": "dask"}, "--engine"),
    ],
)
def test_a_run_out_of_range_names_the_flag_and_the_value(options, named):
    with pytest.raises(BadInput) as caught:
        Run(**options)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (Measurement, {"frames": 8}, "--frames must be text, not 8"),
        (Measurement, {"detector": None}, "--detector must be text, not None"),
        (Measurement, {"face": 1}, "--face must be text, not 1"),
        (Measurement, {"align": 1}, "--align must be true or false, not 1"),
        (Measurement, {"margin": "wide"}, "--margin must be a number, not 'wide'"),
        (Measurement, {"margin": True}, "--margin must be a number, not True"),
        (Measurement, {"min_score": "0.5"}, "--min-score must be a number or unset, not '0.5'"),
        (Measurement, {"size": 224.0}, "--size must be a whole number, not 224.0"),
        (Run, {"jobs": "2"}, "--jobs must be a whole number, not '2'"),
        (Run, {"jobs": True}, "--jobs must be a whole number, not True"),
        (Run, {"part": 1}, "--part must be text, not 1"),
    ],
)
def test_a_value_of_another_type_is_refused(kind, options, said):
    with pytest.raises(BadInput, match=f"^{re.escape(said)}$"):
        kind(**options)


def test_a_whole_number_is_stored_as_the_float_it_means():
    whole, exact = Measurement(margin=2, min_score=1), Measurement(margin=2.0, min_score=1.0)
    assert json.dumps(whole.as_json()) == json.dumps(exact.as_json())


@pytest.mark.parametrize("frames", ["1", "32", "every:1", "every:10", "all"])
def test_every_plan_of_frames_is_taken(frames):
    assert Measurement(frames=frames).frames == frames


@pytest.mark.parametrize(
    ("spec", "stored"),
    [
        ("insightface", "insightface"),
        ("insightface:scrfd_2.5g_kps", "insightface:scrfd_2.5g_kps"),
        ("insightface:/home/me/models/a.onnx", "insightface:a.onnx"),
        ("insightface:C:\\models\\a.onnx", "insightface:a.onnx"),
        ("insightface:models/", "insightface:models"),
    ],
)
def test_no_path_of_a_machine_is_stored(spec, stored):
    assert Measurement(detector=spec).as_json()["detector"] == stored


@pytest.mark.parametrize(
    ("options", "backends"),
    [
        ({}, ("lite", "lite", "lite")),
        ({"preset": "lite"}, ("lite", "lite", "lite")),
        ({"preset": "paper"}, ("insightface", "fan", "openface")),
        ({"landmarker": "pfld"}, ("lite", "pfld", "lite")),
        ({"preset": "paper", "detector": "lite:a"}, ("lite:a", "fan", "openface")),
    ],
)
def test_a_preset_gives_the_backends_that_are_not_named(options, backends):
    measurement = Measurement(**options)
    assert (measurement.detector, measurement.landmarker, measurement.au) == backends


def test_what_is_stored_names_the_backends_and_not_the_preset():
    named = Measurement(preset="paper", detector="lite", landmarker="lite", au="lite")
    assert named.as_json() == Measurement().as_json()
    assert "preset" not in named.as_json()


@pytest.mark.parametrize(
    ("frames", "consecutive"), [("all", True), ("every:1", True), ("every:2", False), ("1", False)]
)
def test_which_plans_look_at_every_frame(frames, consecutive):
    assert Measurement(frames=frames).consecutive is consecutive


@pytest.mark.parametrize(
    ("options", "roles"),
    [
        ({"preset": "paper"}, ()),
        ({"preset": "paper", "au": "lite"}, ("au",)),
        ({"detector": "lite:mine.safetensors", "au": "none"}, ("detector", "landmarker")),
        ({"detector": "lite-like"}, ("landmarker", "au")),
    ],
)
def test_the_roles_of_the_embedded_models(options, roles):
    assert Measurement(**options).embedded_roles() == roles


def test_a_measurement_survives_json():
    options = Measurement(frames="8", face="all", min_score=0.7)
    assert json.loads(json.dumps(options.as_json())) == options.as_json()


@pytest.mark.parametrize("kind", [Measurement, Run])
def test_every_option_is_documented_in_a_sentence(kind):
    docs = field_docs(kind)
    assert docs.keys() == {field.name for field in dataclasses.fields(kind)}
    assert all(doc.endswith(".") and not doc[0].islower() for doc in docs.values())
