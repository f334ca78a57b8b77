import numpy as np
import pytest
from PIL import Image
from skimage.transform import SimilarityTransform

from facekit import crops
from facekit.errors import BadInput

NO_MARGIN = 1.0


LEVELS = 5
"""Grey levels a pixel of `ramp`: rounding to whole levels blurs a place by 0.1 px at most."""


def ramp(side=51):
    """Pixel value = coordinate times `LEVELS`: x in red, y in green."""
    y, x = np.mgrid[:side, :side] * LEVELS
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def places(crop_HWC):
    """The (x, y) that the pixels of a crop of `ramp` say they come from."""
    return crop_HWC[..., :2].astype(float) / LEVELS


def places_by(affine, size_px):
    """The (x, y) that an affine says the pixels of its crop come from."""
    x, y = np.meshgrid(np.arange(size_px), np.arange(size_px))
    return crops.to_frame(np.stack([x, y], axis=-1).astype(float), affine)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def box_of(left, top, side):
    """The box whose square without margin is exactly these pixels."""
    return np.array([left - 0.25, top - 0.25, left + side - 0.75, top + side - 0.75], np.float32)


def crop(image, square, size_px):
    assert crops.square_around(box_of(*square), 1.0) == square
    return crops.cut(image, crops.square_affine(box_of(*square), 1.0, size_px), size_px)


@pytest.mark.parametrize(
    ("box_xyxy", "margin", "want"),
    [
        ((0, 0, 0, 0), 1.3, (0, 0, 1)),  # a point: the pixel it is in
        ((10, 20, 20, 30), 1.0, (10, 20, 10)),
        ((10, 20, 20, 30), 1.3, (9, 19, 13)),
        ((10, 20, 20, 60), 1.0, (-5, 20, 40)),  # tall: the longer side
        ((0, 20, 60, 30), 1.0, (0, -5, 60)),
        ((30, 30, 10, 10), 1.3, (20, 20, 1)),  # inside out
        ((-1e9, -1e9, 1e9, 1e9), 4.0, (-4_000_000_000, -4_000_000_000, 8_000_000_000)),
    ],
)
def test_square_around(box_xyxy, margin, want):
    square = crops.square_around(box_xyxy, margin)
    assert square == want or abs(np.subtract(square, want)).max() <= 1
    centre = np.array([square.left, square.top]) + (square.side - 1) / 2
    middle = np.add(box_xyxy[:2], box_xyxy[2:]) / 2
    assert abs(centre - middle).max() <= 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e10])
@pytest.mark.parametrize("at", range(4))
def test_square_around_refuses_what_is_no_box(bad, at):
    box_xyxy = np.array([0.0, 0.0, 50.0, 50.0])
    box_xyxy[at] = bad
    with pytest.raises(BadInput, match="finite frame pixels"):
        crops.square_around(box_xyxy, 1.3)


@pytest.mark.parametrize("shift_xy", [(1, 0), (0, 1), (7, -3), (-2, -11), (1001, 2002)])
def test_square_moves_with_its_box(shift_xy):
    rng = np.random.default_rng(0)
    halves = rng.integers(-200, 200, (500, 4)) / 2.0  # ties of the rounding among them
    for x0, y0, x1, y1 in np.concatenate([halves, rng.uniform(-200, 200, (500, 4))]).round(3):
        dx, dy = shift_xy
        there = crops.square_around([x0 + dx, y0 + dy, x1 + dx, y1 + dy], 1.5)
        left, top, side = crops.square_around([x0, y0, x1, y1], 1.5)
        assert there == (left + dx, top + dy, side)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 7])
def test_cut_shrinks_as_pillow_reduces(factor):
    image = noise(300, 400)
    left, top, size_px = 31, 17, 32
    side = factor * size_px
    region = image[top : top + side, left : left + side]
    want = np.asarray(Image.fromarray(region).reduce(factor), int)
    got = crop(image, (left, top, side), size_px).astype(int)
    assert abs(got - want).max() <= (0 if factor == 1 else 1)  # a mean of .5 goes either way
    exact = region.reshape(size_px, factor, size_px, factor, 3).mean(axis=(1, 3))
    assert abs(got - exact).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(("side", "size_px"), [(33, 32), (100, 32), (291, 224), (299, 150)])
def test_cut_shrinks_by_area_at_any_ratio(side, size_px):
    image = noise(320, 320)
    edges = np.arange(size_px + 1) * side / size_px
    lower = np.maximum(edges[:-1, None], np.arange(side))
    upper = np.minimum(edges[1:, None], np.arange(side) + 1)
    share = np.maximum(upper - lower, 0.0) * size_px / side
    want = np.einsum(
        "ij,jkc,lk->ilc", share, image[10 : 10 + side, 5 : 5 + side], share, optimize=True
    )
    got = crop(image, (5, 10, side), size_px)
    assert abs(got - want).max() <= 0.51


@pytest.mark.parametrize(("side", "size_px"), [(16, 32), (30, 90), (50, 224)])
def test_cut_enlarges_as_pillow_does(side, size_px):
    image = noise(100, 100)
    region = Image.fromarray(image[20 : 20 + side, 30 : 30 + side])
    want = np.asarray(region.resize((size_px, size_px), Image.Resampling.BILINEAR), int)
    assert abs(crop(image, (30, 20, side), size_px).astype(int) - want).max() <= 1


@pytest.mark.parametrize(
    ("square", "size_px"),
    [
        ((1, 2, 32), 32),
        ((3, 4, 32), 16),
        ((0, 1, 50), 10),
        ((5, 2, 45), 16),
        ((20, 11, 15), 64),
        ((11, 20, 8), 224),
    ],
)
def test_the_affine_says_where_each_crop_pixel_was(square, size_px):
    affine = crops.square_affine(box_of(*square), 1.0, size_px)
    off = places(crops.cut(ramp(), affine, size_px)) - places_by(affine, size_px)
    assert abs(off).max() <= 0.5  # enlarging repeats the outermost half pixel of the square
    rim = -(-size_px // (2 * square[2]))
    assert (
        abs(off[rim:-rim, rim:-rim]).max() <= 0.75 / LEVELS
    )  # of it a quarter for fixed-point arithmetic


@pytest.mark.parametrize("roll_deg", [0.0, 5.0, -20.0, 90.0, 180.0])
@pytest.mark.parametrize("enlarged", [0.3, 1.0, 3.7])
def test_the_aligned_affine_says_where_each_crop_pixel_was(roll_deg, enlarged):
    a = np.exp(1j * np.deg2rad(roll_deg)) * 16 / (112 * enlarged)
    points = (np.array(crops.TEMPLATE_XY) - 55.5) @ np.array([1.0, 1.0j]) * a + (25 + 24j)
    affine = crops.aligned_affine(np.stack([points.real, points.imag], axis=-1), 1.0, 16)
    there = places_by(affine, 16)
    inside = ((there > 1) & (there < 49)).all(axis=-1)
    assert inside.mean() > 0.5
    off = (places(crops.cut(ramp(), affine, 16)) - there)[inside]
    assert abs(off).max() <= 2 * 0.5 / LEVELS + 0.01  # rounded when drawn and when averaged


def test_cut_moves_with_the_picture():
    image = noise(300, 300)
    moved = np.roll(image, (13, -9), axis=(0, 1))
    for box in np.random.default_rng(3).uniform(100, 200, (30, 4)).astype(np.float32).round(2):
        here = crops.square_affine(box, 1.3, 48)
        there = crops.square_affine(box + np.array([-9.0, 13.0, -9.0, 13.0]), 1.3, 48)
        np.testing.assert_array_equal(
            crops.cut(image, here, 48), crops.cut(moved, there, 48), strict=True
        )


@pytest.mark.parametrize(
    "square",
    [(-20, -30, 100), (150, 130, 100), (-30, -30, 300), (500, 20, 64), (-900, -900, 64)],
)
@pytest.mark.parametrize("size_px", [25, 100])
def test_the_border_is_replicated(square, size_px):
    image = noise(160, 200)
    padded = np.pad(image, ((1000, 1000), (1000, 1000), (0, 0)), mode="edge")
    left, top, side = square
    np.testing.assert_array_equal(
        crop(image, square, size_px),
        crop(padded, (left + 1000, top + 1000, side), size_px),
        strict=True,
    )


@pytest.mark.parametrize(
    "box_xyxy",
    [
        (-1e9, -1e9, 1e9, 1e9),
        (0, 0, 1e9, 1e9),
        (1e9, 1e9, 1e9, 1e9),
        (-1e9, 0, -1e9 + 50, 50),
        (0, 0, 40_000, 30_000),
    ],
)
def test_absurd_boxes_cost_no_memory(box_xyxy):
    image = np.full((20, 30, 3), 77, np.uint8)
    got = crops.cut(image, crops.square_affine(box_xyxy, 4.0, 224), 224)
    np.testing.assert_array_equal(got, np.full((224, 224, 3), 77, np.uint8), strict=True)


def test_a_square_too_large_to_read_whole_keeps_its_place(monkeypatch):
    monkeypatch.setattr(crops, "READ_SIDE_PX", 30)
    affine = crops.square_affine(box_of(1, 3, 48), 1.0, 10)
    off = places(crops.cut(ramp(), affine, 10)) - places_by(affine, 10)
    assert abs(off).max() <= 0.5 + 0.5 / LEVELS  # each line read is at most half a line off


def test_one_pixel_frame():
    got = crops.cut(np.full((1, 1, 3), 9, np.uint8), crops.square_affine([0, 0, 1, 1]), 224)
    assert got.shape == (224, 224, 3)
    assert (got == 9).all()


def test_the_stored_affine_alone_cuts_the_same_square():
    rng = np.random.default_rng(4)
    for _ in range(2000):
        xy = rng.uniform(-4000, 8000, 2)
        box = np.array([*xy, *(xy + rng.uniform(1, 4000, 2))], np.float32)
        affine = crops.square_affine(box, 1.3, 224)
        assert affine.dtype == np.float32
        assert crops._square_of(affine, 224) == crops.square_around(box, 1.3)


def test_to_crop_and_back():
    rng = np.random.default_rng(5)
    affine_N23 = np.stack(
        [crops.aligned_affine(rng.uniform(0, 500, (5, 2)), 1.3, 224) for _ in range(7)]
    )
    points_N682 = rng.uniform(0, 500, (7, 68, 2)).astype(np.float32)
    there = crops.to_crop(points_N682, affine_N23)
    assert there.dtype == np.float32
    assert there.shape == (7, 68, 2)
    np.testing.assert_allclose(crops.to_frame(there, affine_N23), points_N682, atol=0.01)
    np.testing.assert_array_equal(there[3], crops.to_crop(points_N682[3], affine_N23[3]))
    A = affine_N23[3].astype(float)
    np.testing.assert_allclose(there[3, 5], A[:, :2] @ points_N682[3, 5] + A[:, 2], rtol=1e-5)


@pytest.mark.parametrize(
    ("points_xy", "want"),
    [
        (np.empty((0, 2)), np.empty((0, 2))),
        ([[np.nan, 1.0]], [[np.nan, np.nan]]),
    ],
)
def test_to_crop_of_missing_points(points_xy, want):
    affine = crops.square_affine([10, 20, 30, 60], 1.5, 30)
    np.testing.assert_array_equal(crops.to_crop(np.array(points_xy), affine), want)


def test_aligned_affine_is_the_least_squares_similarity():
    rng = np.random.default_rng(6)
    template = np.array(crops.TEMPLATE_XY)
    for _ in range(50):
        points = template * rng.uniform(0.3, 9) + rng.uniform(0, 900, 2) + rng.normal(0, 2, (5, 2))
        want = SimilarityTransform.from_estimate(points, template)
        got = crops.aligned_affine(points, 1.0, crops.TEMPLATE_SIDE_PX)
        np.testing.assert_allclose(got, want.params[:2], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size_px", [64, 224, 380])
@pytest.mark.parametrize("margin", [1.0, 1.3, 2.0])
def test_aligned_affine_is_upright_and_centred(size_px, margin):
    template = np.array(crops.TEMPLATE_XY)
    turned = template @ np.array([[0.0, 3.0], [-3.0, 0.0]]) + 700  # a quarter turn
    there = crops.to_crop(turned, crops.aligned_affine(turned, margin, size_px))
    centre = (size_px - 1) / 2
    want = (template - 55.5) * size_px / (112 * margin) + centre
    np.testing.assert_allclose(there, want, atol=1e-3)


@pytest.mark.parametrize(
    ("keypoints_xy", "message"),
    [
        (np.full((5, 2), np.nan), "takes? a --detector|take a --detector"),
        ([*crops.TEMPLATE_XY[:4], (np.inf, 0)], "five points"),
        (np.full((5, 2), 33.0), "are one"),
    ],
)
def test_aligned_affine_refuses(keypoints_xy, message):
    with pytest.raises(BadInput, match=message):
        crops.aligned_affine(np.array(keypoints_xy))


def test_aligned_shrinking_is_area_filtered():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    points = np.array(crops.TEMPLATE_XY) * 5 + 100
    got = crops.cut(stripes, crops.aligned_affine(points, 1.0, 112), 112)
    assert abs(got[5:-5, 5:-5].astype(int) - 127).max() <= 30  # a point sample would be 0 or 255


def test_a_real_face_is_cut_as_pillow_cuts_it(data_dir):
    path = sorted((data_dir / "lfw").glob("*.jpg"))[0]
    image = np.asarray(Image.open(path).convert("RGB"))
    left, top, side = 57, 61, 128
    region = Image.fromarray(image).crop((left, top, left + side, top + side))
    got = crop(image, (left, top, side), 64).astype(int)
    assert abs(got - np.asarray(region.reduce(2), int)).max() <= 1
