"""An AU engine that says nothing says so for every face."""

import numpy as np
import openface_tables as tables
import pytest

from facekit import action_units
from facekit.errors import BadInput


@pytest.mark.parametrize("faces", [0, 1, 3])
def test_every_label_is_unknown(faces):
    engine = action_units.load("none")
    labels = engine([tables.face()] * faces)
    assert labels.occurrence.tolist() == [[-1] * 15] * faces
    assert labels.intensity.shape == labels.score.shape == (faces, 15)
    assert np.isnan(labels.intensity).all()
    assert np.isnan(labels.score).all()
    assert engine.finish() is None


def test_what_it_says_of_itself():
    engine = action_units.load("none", device="cuda")
    assert (engine.models, engine.device, engine.mode) == ((), "cpu", "none")
    numbers = (1, 2, 4, 6, 7, 9, 10, 12, 14, 15, 17, 23, 24, 25, 26)
    assert engine.au_names == tuple(f"AU{number:02d}" for number in numbers)


def test_it_takes_no_model():
    with pytest.raises(BadInput, match="takes no model"):
        action_units.load("none:some.onnx")
