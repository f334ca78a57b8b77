import numpy as np
import pytest

from training.lite_backgrounds import bars, colours, free_piece, jigsaw, limb, speckles
from training.lite_scenes import LARGEST, SMALLEST, Photograph, SceneMaker
from training.lite_teacher import Labels

BOX = np.array([[60, 50, 140, 150]], np.float32)
POINTS = np.array([[[80, 80], [120, 80], [100, 105], [85, 125], [115, 125]]], np.float32)
MARKS = np.array([[255, 0, 0]] * 2 + [[0, 0, 255]] + [[255, 255, 0]] * 2, np.uint8)
"""The colours of eyes, nose and mouth in the made-up photograph."""


def photograph(ignored=()):
    """A grey picture of one face: a spot of its own colour at each point."""
    image = np.full((200, 200, 3), 128, np.uint8)
    for (x, y), mark in zip(POINTS[0].astype(int), MARKS, strict=True):
        image[y - 5 : y + 6, x - 5 : x + 6] = mark
    labels = Labels(
        box_xyxy=BOX,
        points_xy=POINTS,
        ignored_xyxy=np.asarray(ignored, np.float32).reshape(-1, 4),
    )
    return Photograph(image, labels)


def scenes(count, size_wh=(320, 240), seed=0, **options):
    maker, rng = SceneMaker([photograph(**options)], []), np.random.default_rng(seed)
    return [maker(size_wh, rng) for _ in range(count)]


def test_levels_halve():
    assert [level.shape for level in photograph().levels] == [
        (side, side, 3) for side in (200, 100, 50, 25)
    ]


@pytest.mark.parametrize("size_wh", [(320, 240), (180, 320), (224, 224)])
def test_scenes_have_the_size_asked_for_and_sound_labels(size_wh):
    for scene in scenes(40, size_wh):
        assert scene.image_HWC.shape == (size_wh[1], size_wh[0], 3)
        assert scene.image_HWC.dtype == np.uint8
        assert len(scene.box_xyxy) == len(scene.points_xy)
        sides = scene.box_xyxy[:, 2:] - scene.box_xyxy[:, :2]
        longest = sides.max(1) / max(size_wh)
        assert (longest > 0.75 * SMALLEST).all()
        assert (longest < 1.4 * LARGEST).all()
        within = scene.points_xy[:, :, None] - scene.box_xyxy.reshape(-1, 1, 2, 2)
        assert (within[:, :, 0] > 0).all()
        assert (within[:, :, 1] < 0).all()


def test_points_keep_their_order_and_lie_on_what_they_mark():
    """In most scenes: colours change, and some faces are partly hidden."""
    right = total = 0
    for scene in scenes(150):
        assert (scene.points_xy[:, [0, 3], 0] < scene.points_xy[:, [1, 4], 0]).all()
        height, width = scene.image_HWC.shape[:2]
        for box, points in zip(scene.box_xyxy, scene.points_xy, strict=True):
            if (box[2:] - box[:2]).max() < 80:
                continue
            for (x, y), mark in zip(points.round().astype(int), MARKS.astype(int), strict=True):
                if 0 <= x < width and 0 <= y < height:
                    seen = scene.image_HWC[y, x].astype(int)
                    total += 1
                    right += seen[mark > 0].min() > seen[mark == 0].max()
    assert total > 200
    assert right / total > 0.75


def test_sizes_cover_the_whole_range():
    longest = [
        float((box[2:] - box[:2]).max()) / 320 for scene in scenes(300) for box in scene.box_xyxy
    ]
    assert np.histogram(longest, [0, 0.08, 0.16, 0.32, 0.64])[0].min() > 30
    assert max(longest) > 0.7


def test_some_scenes_are_empty():
    counts = [len(scene.box_xyxy) for scene in scenes(200)]
    assert 10 < counts.count(0) < 100
    assert max(counts) >= 2


def test_what_is_unsure_stays_so():
    """The photographs' ignored boxes are found in the scenes of whole photographs."""
    ignored = [[150, 10, 190, 60]]
    assert sum(len(scene.ignored_xyxy) for scene in scenes(40, ignored=ignored)) >= 20


def test_the_seed_decides():
    first, second, other = scenes(3, seed=1), scenes(3, seed=1), scenes(3, seed=2)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.image_HWC, b.image_HWC)
        assert np.array_equal(a.box_xyxy, b.box_xyxy)
    assert not np.array_equal(first[0].image_HWC, other[0].image_HWC)


def test_free_pieces_keep_clear_of_faces():
    image = photograph().levels[0].copy()
    x0, y0, x1, y1 = BOX[0].astype(int)
    image[y0:y1, x0:x1] = 255
    rng = np.random.default_rng(0)
    found = [free_piece(image, BOX, rng) for _ in range(50)]
    pieces = [piece for piece in found if piece is not None]
    assert len(pieces) >= 10
    assert all((piece == 128).all() for piece in pieces)


def test_no_free_piece_where_faces_are_everywhere():
    everywhere = np.array([[0, 0, 200, 200]], np.float32)
    assert free_piece(photograph().levels[0], everywhere, np.random.default_rng(0)) is None


@pytest.mark.parametrize("make", [colours, speckles, bars])
def test_patterns_fill_what_they_are_asked_for_and_differ(make):
    rng = np.random.default_rng(0)
    made = [make((60, 40), rng) for _ in range(10)]
    assert {(one.shape, one.dtype) for one in made} == {((40, 60, 3), np.dtype(np.uint8))}
    assert len({one.tobytes() for one in made}) == 10


def test_limbs_are_of_skin_and_jigsaws_of_the_face():
    rng = np.random.default_rng(0)
    image, mask = limb([200.0, 150.0, 120.0], rng)
    assert image.shape == (96, 96, 3)
    assert set(np.unique(mask)) == {0, 255}
    assert abs(image[mask > 0].mean(0) - [200, 150, 120]).max() < 60
    face = np.arange(96 * 96 * 3, dtype=np.int64).reshape(96, 96, 3).astype(np.uint8)
    tiles = jigsaw(face, rng)
    assert sorted(tiles.reshape(-1).tolist()) == sorted(face.reshape(-1).tolist())
    assert not np.array_equal(tiles, face)
