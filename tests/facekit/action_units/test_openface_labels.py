"""Labels from OpenFace's own CSVs: the right row's, or unknown."""

import gzip

import numpy as np
import openface_tables as tables
import pytest

from facekit import action_units
from facekit.errors import BadInput

NAMES = tuple(f"AU{number:02d}" for number in tables.AUS)
LEFT, RIGHT = (10, 10, 50, 60), (80, 10, 120, 60)


def on(labels, face):
    """Names of the action units that occur on a face; None where every label is unknown."""
    if (labels.occurrence[face] == -1).all():
        assert np.isnan(labels.intensity[face]).all()
        return None
    return {name for name, value in zip(NAMES, labels.occurrence[face], strict=True) if value == 1}


@pytest.mark.parametrize(
    ("faces", "want"),
    [
        ([], []),
        ([(0, LEFT)], [{"AU01"}]),
        ([(0, LEFT), (0, RIGHT)], [{"AU01"}, {"AU12", "AU28"}]),  # two people
        ([(1, LEFT), (2, LEFT), (3, LEFT), (4, LEFT)], [None, None, set(), None]),
        ([(3, RIGHT)], [None]),  # someone OpenFace did not see
    ],
)
def test_each_face_gets_its_row(tmp_path, faces, want):
    rows = [
        tables.row(1, LEFT, on=(1,)),
        tables.row(1, RIGHT, on=(12, 28), face_id=1),
        tables.row(2, LEFT, success=0),
        tables.row(3, LEFT, confidence=0.7),
        tables.row(4, LEFT, on=()),
    ]
    tables.write(tmp_path / "clip.csv", rows)
    engine = action_units.load("openface-csv")
    labels = engine([tables.face(tmp_path / "clip.mp4", *face) for face in faces])
    assert [on(labels, i) for i in range(len(faces))] == want
    assert np.isnan(labels.score).all()
    assert engine.finish() is None


def test_intensities_are_openfaces_own(tmp_path):
    tables.write(tmp_path / "labels" / "clip.csv.gz", [tables.row(1, on=(45,), r=4.31)])
    engine = action_units.load(f"openface-csv:{tmp_path / 'labels'}")
    labels = engine([tables.face("elsewhere/clip.mp4")])
    want = [np.nan if name == "AU28" else 0.0 for name in NAMES[:-1]] + [np.float32(4.31)]
    np.testing.assert_array_equal(labels.intensity, [want])


def test_what_it_says_of_itself():
    engine = action_units.load("openface-csv", device="cuda")
    assert (engine.models, engine.device, engine.mode) == ((), "cpu", "imported")
    assert engine.au_names == NAMES


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (["AU"], "lacks AU columns: run OpenFace with -aus"),
        (["AU28_c"], "lacks AU columns"),
        (["AU45_r"], "lacks AU columns"),
        (["y_"], "no column y_0: run OpenFace with -2Dfp"),
    ],
)
def test_columns_that_are_missing(tmp_path, without, message):
    tables.write(tmp_path / "clip.csv", [tables.row()], without=without)
    with pytest.raises(BadInput, match=message):
        action_units.load("openface-csv")([tables.face(tmp_path / "clip.mp4")])


def test_a_video_without_a_file_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"no clip\.csv .* for .*clip\.mp4; run its Feature"):
        action_units.load("openface-csv")([tables.face(tmp_path / "clip.mp4")])
    with pytest.raises(BadInput, match="is no folder"):
        action_units.load(f"openface-csv:{tmp_path / 'clip.csv'}")


@pytest.mark.parametrize("clip", ["Deepfakes/c23/videos/183_253", "Face2Face/c23/videos/044_945"])
def test_labels_of_a_real_clip(data_dir, clip):
    import pandas as pd

    method, _, _, stem = clip.split("/")
    folder = data_dir / "openface_reference" / "ffpp"
    with gzip.open(folder / f"{method}__{stem}.csv.gz") as stream:
        table = pd.read_csv(stream)
    table.columns = [name.strip() for name in table.columns]
    x, y = (table[[f"{axis}_{i}" for i in range(68)]].to_numpy() for axis in "xy")
    boxes = np.stack([x.min(1) - 8, y.min(1) - 40, x.max(1) + 8, y.max(1) + 8], axis=1)
    video = data_dir / "ffpp" / "manipulated_sequences" / f"{clip}.mp4"

    engine = action_units.load(f"openface-csv:{folder}")
    labels = engine([tables.face(video, i, box) for i, box in enumerate(boxes)])
    sure = ((table["success"] == 1) & (table["confidence"] >= 0.8)).to_numpy()
    assert sure.sum() in (151, 152)
    want = table[[f"{name}_c" for name in NAMES]].to_numpy()
    np.testing.assert_array_equal(labels.occurrence, np.where(sure[:, None], want, -1))
    want = table.reindex(columns=[f"{name}_r" for name in NAMES]).to_numpy()
    want = np.where(sure[:, None], want, np.nan).astype(np.float32)
    np.testing.assert_array_equal(labels.intensity, want)
