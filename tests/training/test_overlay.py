import av
import numpy as np
import pytest
from clips import gradient, make_clip

from facekit import video
from facekit.errors import BadVideo
from training.overlay import OPACITY, Seen, drawn, write_overlay
from training.prediction import ScoredFace, ScoredFrame

SIDE_PX = 200
NAN = float("nan")


def _seen(box_xyxy, token_map_HW, score=0.5):
    box, tokens = np.array(box_xyxy, float), np.array(token_map_HW, np.float32)
    return Seen(track_id=3, box_xyxy=box, score=score, token_map_HW=tokens)


def _grey():
    return np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8)


def _change(faces, margin=1.0):
    """How much each pixel inside differs from grey, box and text not counted."""
    return np.abs(drawn(_grey(), faces, margin).astype(int) - 128).sum(axis=-1)


def test_a_frame_without_faces_stays():
    np.testing.assert_array_equal(drawn(_grey(), [], 1.2), _grey())


def test_an_authentic_face_stays_clear():
    assert (_change([_seen([40, 60, 159, 179], np.zeros((4, 4)))])[70:170, 50:150] == 0).all()


def test_the_frame_given_is_left_alone():
    frame = _grey()
    drawn(frame, [_seen([40, 60, 159, 179], np.ones((4, 4)))], 1.2)
    np.testing.assert_array_equal(frame, _grey())


@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("column", range(4))
def test_a_token_lies_where_the_network_saw_it(row, column):
    tokens = np.zeros((4, 4))
    tokens[row, column] = 1.0
    # A square of 160 pixels around (100, 100): 40 a token, their middles clear of box and text.
    changed = _change([_seen([65, 70, 135, 130], tokens)], margin=160 / 70)
    middle = 20 + 40 * np.arange(4) + 19
    at_middles = changed[np.ix_(middle, middle)]
    most = OPACITY * np.abs(np.array([213, 94, 0]) - 128).sum()
    np.testing.assert_allclose(at_middles, most * tokens, atol=0.1 * most)
    assert (changed[:18] == 0).all()
    assert (changed[:, 182:] == 0).all()


def test_colours_of_a_token_that_is_surely_tampered():
    image = drawn(_grey(), [_seen([40, 60, 159, 179], np.ones((2, 2)))], 1.0)
    expected = np.rint(128 + OPACITY * (np.array([213.0, 94, 0]) - 128))
    np.testing.assert_array_equal(image[120, 100], expected)


@pytest.mark.parametrize(
    "box_xyxy",
    [
        [-500, -500, -400, -400],
        [180, 180, 400, 400],
        [-1e6, -1e6, 1e6, 1e6],
        [-50, 20, 30, 90],
        [10, 10, 10, 10],
        [1e8, 0, 1.1e8, 50],
    ],
)
def test_boxes_beyond_the_frame(box_xyxy):
    image = drawn(_grey(), [_seen(box_xyxy, np.ones((14, 14)))], 1.25)
    assert image.shape == (SIDE_PX, SIDE_PX, 3)


def _frames(*indices, tokens=None):
    return [
        ScoredFrame(
            frame_index=index,
            pts_s=index / 25,
            faces=(
                ScoredFace(
                    track_id=0,
                    box_xyxy=np.array([30, 20, 70, 50], np.float32),
                    det_score=1.0,
                    score=0.9,
                    class_score=0.9,
                    token_score=None,
                    token_map_HW=tokens,
                ),
            ),
        )
        for index in indices
    ]


@pytest.mark.parametrize("tokens", [None, np.full((7, 7), 255, np.uint8)])
def test_every_frame_keeps_its_time(tmp_path, tokens):
    ticks = [0, 1, 2, 5, 6, 9, 10]
    clip = make_clip(tmp_path / "a.mp4", frames=7, pts=ticks, size_wh=(97 - 1, 64))
    target = tmp_path / "b.mp4"
    write_overlay(clip, _frames(0, 6, tokens=tokens), target, margin=1.2, fps=25.0)
    with av.open(str(target)) as made:
        times = [frame.time for frame in made.decode(video=0)]
    assert times == pytest.approx([tick / 25 for tick in ticks], abs=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_what_is_not_drawn_on_stays_as_it_was(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", frames=3, size_wh=(320, 240), picture=gradient)
    target = tmp_path / "b.mp4"
    write_overlay(clip, _frames(0, 2), target, margin=1.2, fps=25.0)
    before = [frame.image_HWC for frame in video.sample(clip, "all")]
    after = [frame.image_HWC for frame in video.sample(target, "all")]
    assert len(before) == len(after) == 3
    for one, other in zip(before, after, strict=True):
        # Encoded again, so not the same bytes; colours stay within a few levels.
        assert np.abs(one[100:].astype(int) - other[100:]).mean() < 6


def test_a_video_that_has_gone(tmp_path):
    with pytest.raises(BadVideo, match=r"gone\.mp4: not found"):
        write_overlay(tmp_path / "gone.mp4", _frames(0), tmp_path / "b.mp4", margin=1.2, fps=NAN)
    assert not list(tmp_path.iterdir())
