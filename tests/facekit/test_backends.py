import pytest

from facekit import action_units, backends, detectors, landmarkers
from facekit.errors import BadInput


@pytest.mark.parametrize(
    ("load", "spec", "said"),
    [
        (detectors.load, "nobody", "insightface, lite, retinaface, yunet"),
        (landmarkers.load, "nobody", "fan, lite, mobilefacenet, openface-csv, pfld"),
        (action_units.load, "nobody", "lite, none, openface, openface-csv, pyfeat"),
    ],
)
def test_an_unknown_backend_names_those_there_are(load, spec, said):
    with pytest.raises(BadInput, match="'nobody'") as caught:
        load(spec)
    assert said in str(caught.value)


def test_a_third_party_brings_backends_by_entry_points_alone(plugins):
    detector = detectors.load(plugins["detector"], min_score=0.25)
    assert detector.min_score == 0.25
    assert type(detector).__module__ == "facekit_test_backends"


def test_a_plug_in_cannot_take_the_name_of_a_built_in_one(plugins):
    known = backends.known("detector", {"brightest": "facekit.detectors.yunet:YuNetDetector"})
    assert known["brightest"] == "facekit.detectors.yunet:YuNetDetector"
