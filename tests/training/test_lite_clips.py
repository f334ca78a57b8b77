import numpy as np
import pytest

from facekit import measure, weights
from facekit.action_units import lite_units
from facekit.detectors import Detections
from facekit.errors import BadInput
from facekit.landmarkers.openface_csv import OpenFaceCsvLandmarker
from facekit.options import Measurement
from facekit.weights import ModelFile
from training import lite_clips
from training.lite_clips import Clip, people_of


@pytest.mark.parametrize(
    ("stems", "want"),
    [
        (["183"], ["183"]),
        (["183", "183"], ["183", "183"]),
        (["253", "183_253", "044"], ["183", "183", "044"]),
        (["3", "1_2", "2_3", "4"], ["1", "1", "1", "4"]),  # a chain of swaps
    ],
)
def test_people_who_must_not_straddle_a_fold(stems, want):
    assert people_of(stems) == want


def test_a_folder_without_clips(tmp_path):
    with pytest.raises(BadInput, match="holds no clips"):
        lite_clips.read(tmp_path, Measurement())


def test_hopeless_faces_have_no_measures():
    model, _ = lite_units.read(weights.find("lite_action_units").path)
    points = np.stack([100 * model.mean[:, :2], np.full((68, 2), np.nan)]).astype(np.float32)
    clip = Clip(name="a", people="a", points_xy=points, occurrence=np.zeros((2, 18), np.int8))
    (found,) = lite_clips.measured(model, [clip])
    assert np.isfinite(found.measures).all(axis=1).tolist() == [True, False]


class _Rows:
    """A detector that finds what OpenFace found, and someone small in the corner."""

    models: tuple[ModelFile, ...] = ()
    device = "cpu"
    min_score = 0.5

    def __init__(self, boxes_xyxy):
        self._boxes = iter(boxes_xyxy)

    def __call__(self, images):
        boxes = np.stack([next(self._boxes), np.array([0, 0, 20, 20], np.float32)])
        nan = np.full((2, 5, 2), np.nan, np.float32)
        one = Detections(box_xyxy=boxes, keypoints_xy=nan, score=np.ones(2, np.float32))
        assert len(images) == 1
        return [one]


def test_points_and_labels_of_a_real_clip(data_dir, tmp_path, monkeypatch):
    """The largest person's points in frame pixels, and that frame's labels."""
    from facekit import openface_files

    clip = "ffpp/manipulated_sequences/Face2Face/c23/videos/134_192.mp4"
    (tmp_path / clip).parent.mkdir(parents=True)
    (tmp_path / clip).symlink_to(data_dir / clip)
    labels = "openface_reference/ffpp"
    (tmp_path / labels).mkdir(parents=True)
    source = data_dir / labels / "Face2Face__134_192.csv.gz"
    (tmp_path / labels / source.name).symlink_to(source)
    rows = openface_files.read(source)
    frames = range(0, len(rows.frame_index), 10)
    boxes = [np.r_[p.min(axis=0), p.max(axis=0)] for p in rows.points_xy[frames]]
    models = measure.Backends(
        detector=_Rows(boxes),
        landmarker=OpenFaceCsvLandmarker(str(tmp_path / labels)),
        action_units=measure.action_units.load(f"openface-csv:{tmp_path / labels}"),
    )
    monkeypatch.setattr(measure.Backends, "load", lambda *_, **__: models)
    (found,) = lite_clips.read(tmp_path, Measurement(frames="every:10"))
    assert (found.name, found.people) == ("Face2Face/134_192", "134")
    np.testing.assert_allclose(found.points_xy, rows.points_xy[frames], atol=0.01)
    np.testing.assert_array_equal(found.occurrence, rows.occurrence[frames])
