import csv
import gzip

import cv2
import numpy as np
import pytest
import torch

from facekit import au_masks
from facekit.errors import BadInput

MIRRORED = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30),
    *(35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48),
    *(59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60),
    *(67, 66, 65),
]
"""Which point of iBUG-68 stands where one stood, in a mirror."""


def on_ellipse(cx, cy, a, b, degrees):
    t = np.deg2rad(degrees)
    return np.stack([cx + a * np.cos(t), cy + b * np.sin(t)], axis=-1)


def drawn_face():
    """An upright face by ruler and compass: d is 32 px, the eyes stand level at y = 100."""
    eye = [180, 240, 300, 0, 60, 120]
    return np.concatenate(
        [
            on_ellipse(112, 100, 70, 100, np.linspace(180, 0, 17)),  # jaw
            [(60, 80), (70, 74), (80, 73), (88, 75), (96, 79)],
            [(128, 79), (136, 75), (144, 73), (154, 74), (164, 80)],
            [(112, 100), (112, 110), (112, 120), (112, 130)],  # nose
            [(100, 134), (106, 136), (112, 138), (118, 136), (124, 134)],
            on_ellipse(84, 100, 12, 6, eye),
            on_ellipse(140, 100, 12, 6, eye),
            on_ellipse(112, 160, 24, 10, np.arange(180, 540, 30)),  # outer lips
            on_ellipse(112, 160, 16, 4, np.arange(180, 540, 45)),  # inner lips
        ]
    )


def noisy_faces(count, sigma_px=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return (drawn_face() + rng.normal(0, sigma_px, (count, 68, 2))).astype(np.float32)


def moved(points, scale, degrees, shift_xy):
    t = np.deg2rad(degrees)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    return scale * points @ turn + shift_xy


@pytest.fixture(scope="module")
def real_faces(data_dir):
    """68 points by OpenFace, in crops of 224 px that are seven times d wide: 1.3 boxes."""
    faces = []
    for path in sorted((data_dir / "openface_reference" / "ffpp").glob("*.csv.gz"))[::8]:
        with gzip.open(path, "rt", newline="") as lines:
            row = next(csv.DictReader(lines, skipinitialspace=True))
        points = np.array([[float(row[f"{c}_{i}"]) for c in "xy"] for i in range(68)])
        side = 7.0 * np.linalg.norm(points[39] - points[42])
        middle = (points.min(axis=0) + points.max(axis=0)) / 2.0
        faces.append((points - middle) * 224.0 / side + 111.5)
    assert faces
    return np.array(faces, np.float32)


def raster_and_blur(ellipse, finer=4):
    """The mask of one ellipse by OpenCV: filled at `finer` times 224, blurred, averaged to 56."""
    cx, cy, a, b, theta = ellipse.astype(float)
    image = np.zeros((224 * finer, 224 * finer), np.float32)
    centre = [round(((v + 0.5) * finer - 0.5) * 256) for v in (cx, cy)]
    axes = [round(v * finer * 256) for v in (a, b)]
    cv2.ellipse(image, centre, axes, np.rad2deg(theta), 0, 360, 1.0, -1, cv2.LINE_8, 8)
    sigma = au_masks.BLUR_PX_AT_224 * finer
    blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return cv2.resize(blurred, (56, 56), interpolation=cv2.INTER_AREA)


def pooled(masks, by=4):
    *lead, height, width = masks.shape
    return masks.reshape(*lead, height // by, by, width // by, by).mean(axis=(-3, -1))


FIXED = [  # by hand: d = 32 along x, down is +y
    (1, [(96, 79 - 16, 14.4, 11.2), (128, 79 - 16, 14.4, 11.2)]),
    (2, [(70, 74 - 10.56, 16, 11.2), (154, 74 - 10.56, 16, 11.2)]),
    (4, [(80, 73 + 10.56, 17.6, 9.6), (144, 73 + 10.56, 17.6, 9.6)]),
    (6, [(78, 100 + 27**0.5 + 32, 16, 12.8), (146, 100 + 27**0.5 + 32, 16, 12.8)]),
    (7, [(84, 100, 17.6, 8.96), (140, 100, 17.6, 8.96)]),  # floors: the eyes are small
    (9, [(106, 136 - 16, 9.6, 12.8), (118, 136 - 16, 9.6, 12.8)]),
    (12, [(88 - 3.2, 160 - 3.2, 12.8, 12.8), (136 + 3.2, 160 - 3.2, 12.8, 12.8)]),
    (14, [(88 - 6.4, 160, 12.8, 11.2), (136 + 6.4, 160, 12.8, 11.2)]),
    (15, [(88 - 1.6, 160 + 7.04, 12.8, 11.2), (136 + 1.6, 160 + 7.04, 12.8, 11.2)]),
    (17, [(112, 160 + (10 + 2 * 10 * 0.75**0.5) / 3 + 16, 19.2, 11.2)]),
    (23, [(112, 160, 1.15 * 24, 1.15 * 10)]),  # points on an ellipse give back the ellipse
    (25, [(112, 160, 1.30 * 16, 8.0)]),  # a by its points, b by the floor
    (26, [(112, (170 + 200) / 2 + 1.6, 28.8, 16)]),
]


@pytest.mark.parametrize(("au", "want"), FIXED)
def test_ellipses_by_hand(au, want):
    of_au = np.array(au_masks.ELLIPSE_AU) == au
    got = au_masks.ellipses(drawn_face()[None])[0, of_au]
    np.testing.assert_allclose(got, [(*ellipse, 0.0) for ellipse in want], atol=2e-4)


def test_spread_is_of_the_points_themselves():
    points = drawn_face()
    lips = points[[49, 50, 51, 52, 53, 61, 62, 63]]
    got = au_masks.ellipses(points[None])[0, au_masks.ELLIPSE_AU.index(10)]
    np.testing.assert_allclose(got[:2], lips.mean(axis=0) - np.array([0.0, 0.08 * 32]), atol=1e-4)
    np.testing.assert_allclose(got[2], max(0.6 * 32, 1.25 * 2**0.5 * lips[:, 0].std()), rtol=1e-6)
    np.testing.assert_allclose(got[3], max(0.28 * 32, 1.25 * 2**0.5 * lips[:, 1].std()), rtol=1e-6)


@pytest.mark.parametrize(("inner_px", "d_px"), [(5, 22.4), (30, 30), (50, 36.4)])
def test_d_is_kept_in_its_range(inner_px, d_px):
    """An inner eye corner that is lost behind the nose must not shrink the masks."""
    points = drawn_face()
    points[36:42] += (84, 100) - points[36:42].mean(axis=0)
    points[39] = points[42] - (inner_px, 0)
    points[36] += (84 * 6, 100 * 6) - points[36:42].sum(axis=0)  # the eye centre stays
    got = au_masks.ellipses(points[None])[0]
    np.testing.assert_allclose(got[0, 2:4], [0.45 * d_px, 0.35 * d_px], rtol=1e-6)


@pytest.mark.parametrize("profile", ["default", "jaa"])
@pytest.mark.parametrize(
    ("scale", "degrees", "shift_xy"),
    [
        (1.0, 0.0, (0, 0)),
        (1.0, 0.0, (-300, 5000)),
        (7.0, 0.0, (0, 0)),
        (0.2, 33.0, (50, 10)),
        (1.0, -90.0, (0, 224)),
        (1.3, 170.0, (400, 400)),
    ],
)
def test_ellipses_follow_a_similarity(profile, scale, degrees, shift_xy):
    points = noisy_faces(20).astype(float)
    before = au_masks.ellipses(points, profile=profile)
    after = au_masks.ellipses(moved(points, scale, degrees, shift_xy), profile=profile)
    np.testing.assert_allclose(
        after[..., :2], moved(before[..., :2], scale, degrees, shift_xy), rtol=1e-5, atol=1e-2
    )
    np.testing.assert_allclose(after[..., 2:4], scale * before[..., 2:4], rtol=1e-5)
    turned = after[..., 4] - before[..., 4] - np.deg2rad(degrees)
    np.testing.assert_allclose(np.sin(turned), 0.0, atol=1e-5)


@pytest.mark.parametrize("profile", ["default", "jaa"])
@pytest.mark.parametrize("faces", ["drawn", "real_faces"])
def test_masks_of_a_mirrored_face_are_mirrored(faces, profile, request):
    points = noisy_faces(20) if faces == "drawn" else request.getfixturevalue(faces)
    mirrored = (points * [-1, 1] + [223, 0])[:, MIRRORED]
    here = au_masks.render(au_masks.ellipses(points, profile=profile))
    there = au_masks.render(au_masks.ellipses(mirrored, profile=profile))
    np.testing.assert_allclose(there, here[..., ::-1], atol=1e-5)


@pytest.mark.parametrize("shift_px", [(4, 0), (0, -8), (12, 16)])
def test_masks_move_with_the_face(shift_px):
    points = noisy_faces(5)
    here = au_masks.render(au_masks.ellipses(points))
    there = au_masks.render(au_masks.ellipses(points + np.array(shift_px)))
    columns, rows = (v // 4 for v in shift_px)
    want = np.roll(here, (rows, columns), axis=(2, 3))
    np.testing.assert_allclose(there[..., 4:52, 4:52], want[..., 4:52, 4:52], atol=1e-5)


def test_masks_turn_with_the_face():
    points = noisy_faces(5)
    here = au_masks.render(au_masks.ellipses(points))
    there = au_masks.render(au_masks.ellipses(points[..., ::-1] * [-1, 1] + [223, 0]))
    np.testing.assert_allclose(there, np.rot90(here, -1, axes=(2, 3)), atol=1e-5)


@pytest.mark.parametrize(("size_px", "side_px"), [(112, 56), (448, 56), (1000, 56)])
def test_masks_do_not_depend_on_the_size_of_the_crop(size_px, side_px):
    points = noisy_faces(5).astype(float)
    resized = (points + 0.5) * size_px / 224 - 0.5
    np.testing.assert_allclose(
        au_masks.render(au_masks.ellipses(resized), size_px=size_px, side_px=side_px),
        au_masks.render(au_masks.ellipses(points)),
        atol=2e-5,
    )


def test_masks_agree_with_raster_and_blur(real_faces):
    ellipses_NE5 = au_masks.ellipses(real_faces[:3])
    by_au = np.array(au_masks.ELLIPSE_AU)
    want = np.stack(
        [
            [
                np.max([raster_and_blur(e) for e in face[by_au == au]], axis=0)
                for au in au_masks.MASK_AUS
            ]
            for face in ellipses_NE5
        ]
    )
    got = au_masks.render(ellipses_NE5)
    assert abs(got - want).mean() < 0.0013
    assert abs(got - want).max() < 0.2  # the tips of pressed lips, sharper than the blur is wide
    assert abs(pooled(got) - pooled(want)).mean() < 0.0013
    assert abs(pooled(got) - pooled(want)).max() < 0.072


def test_real_masks_cover_one_to_three_percent_each(real_faces):
    share = au_masks.render(au_masks.ellipses(real_faces)).mean(axis=(2, 3))
    assert share.min() > 0.009
    assert share.max() < 0.033


def test_a_straight_edge_is_the_error_function():
    """A huge circle, whose edge is straight, against the blur of a step by SciPy."""
    from scipy.stats import norm

    ellipses_NE5 = np.zeros((1, 24, 5))
    ellipses_NE5[0, 0] = 111.5 - 1e6, 111.5, 1e6, 1e6, 0.0
    got = au_masks.render(ellipses_NE5, side_px=224)[0, 0, 111]
    np.testing.assert_allclose(got, norm.sf(np.arange(224) - 111.5, scale=3.0), atol=1e-4)


@pytest.mark.parametrize("centre", [(111.5, 111.5), (113.5, 113.5), (113.5000001, 113.5)])
@pytest.mark.parametrize(("a", "b"), [(20.0, 12.0), (12.0, 20.0), (5.0, 5.0)])
def test_the_centre_of_an_ellipse_is_inside(centre, a, b):
    ellipse = np.tile(np.array([*centre, a, b, 0.7]), (1, 24, 1))
    for side_px in (56, 112, 224):
        mask = au_masks.render(ellipse, side_px=side_px, blur_px=0.2)[0, 0]
        assert np.isfinite(mask).all()
        x, y = ((np.array(centre) + 0.5) * side_px / 224 - 0.5).round().astype(int)
        assert mask[y, x] > 0.99
        assert mask.max() == mask[y, x]


def whole_raster(ellipse, side_px, blur_px):
    """The formula of one ellipse at every pixel, with nothing left out."""
    from scipy.special import erfc

    cx, cy, a, b, theta = ellipse
    at = (np.arange(side_px) + 0.5) * 224 / side_px - 0.5
    dx, dy = at - cx, at[:, None] - cy
    x, y = dx * np.cos(theta) + dy * np.sin(theta), dy * np.cos(theta) - dx * np.sin(theta)
    r = np.hypot(x / a, y / b)
    gradient = np.hypot(x / a**2, y / b**2) / r
    return 0.5 * erfc((r - 1.0) / gradient / (np.sqrt(2.0) * blur_px))


def test_nothing_is_lost_outside_the_windows():
    rng = np.random.default_rng(7)
    for _ in range(40):
        a, b = np.exp(rng.uniform(np.log(0.5), np.log(200.0), 2))  # needles among them
        one = np.array([*rng.uniform(-50, 270, 2), a, b, rng.uniform(-np.pi, np.pi)])
        blur_px = rng.uniform(0.5, 10.0)
        ellipses_NE5 = np.zeros((1, 24, 5))
        ellipses_NE5[0, 6] = one
        got = au_masks.render(ellipses_NE5, blur_px=blur_px)[0, 3]
        np.testing.assert_allclose(got, whole_raster(one, 56, blur_px), atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 68, 2), (1, 68, 2), (33, 68, 2)])
@pytest.mark.parametrize(
    ("size_px", "side_px", "blur_px"), [(224, 56, None), (224, 14, 1.0), (380, 61, 9.5)]
)
def test_torch_agrees(shape, size_px, side_px, blur_px):
    ellipses_NE5 = au_masks.ellipses(noisy_faces(shape[0], sigma_px=6.0))
    ellipses_NE5[1::7] = 0.0
    ellipses_NE5[2::7] = 113.5, 113.5, 20, 12, 0.0  # its centre is that of a pixel
    size = {"size_px": size_px, "side_px": side_px, "blur_px": blur_px}
    want = au_masks.render(ellipses_NE5, **size)
    got = au_masks.render_torch(torch.from_numpy(ellipses_NE5), **size)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), want, atol=1e-5, rtol=0, strict=True)


def profile_view():
    """All that is hidden on the far side falls on the outline, as landmarkers draw it."""
    points = drawn_face()
    points[:, 0] = np.minimum(points[:, 0], 112 + 0.1 * (points[:, 0] - 112))
    return points


NAN_POINT, NAN_EYE = drawn_face(), drawn_face()
NAN_POINT[3] = np.nan
NAN_EYE[36:42] = np.nan
EYES_AS_ONE = drawn_face()
EYES_AS_ONE[42:48] = EYES_AS_ONE[36:42]


@pytest.mark.parametrize(
    ("points", "is_drawn"),
    [
        pytest.param(np.zeros((68, 2)), False, id="all in one point"),
        pytest.param(np.full((68, 2), 100.3), False, id="all in another"),
        pytest.param(np.full((68, 2), np.nan), False, id="no answer"),
        pytest.param(NAN_POINT, False, id="one point missing"),
        pytest.param(NAN_EYE, False, id="one eye missing"),
        pytest.param(EYES_AS_ONE, False, id="eyes as one"),
        pytest.param(np.full((68, 2), np.inf), False, id="infinite"),
        pytest.param(drawn_face() * 1e37, False, id="beyond float32"),
        pytest.param(drawn_face() * [1, 0], True, id="on a line"),
        pytest.param(profile_view(), True, id="profile"),
        pytest.param(drawn_face() - 5000, True, id="outside of the crop"),
        pytest.param(drawn_face() * 1e-3, True, id="tiny"),
        pytest.param(drawn_face() * 1e4, True, id="huge"),
    ],
)
@pytest.mark.parametrize("profile", ["default", "jaa"])
def test_degenerate_faces(points, is_drawn, profile):
    faces = np.stack([drawn_face(), points, drawn_face()])
    ellipses_NE5 = au_masks.ellipses(faces, profile=profile)
    assert np.isfinite(ellipses_NE5).all()
    assert bool(ellipses_NE5[1].any()) == is_drawn
    assert (ellipses_NE5[1, :, 2:4] > 0).all() == is_drawn
    np.testing.assert_array_equal(ellipses_NE5[0], ellipses_NE5[2])
    masks = au_masks.render(ellipses_NE5)
    drawn_by_torch = au_masks.render_torch(torch.from_numpy(ellipses_NE5)).numpy()
    for rendered in (masks, drawn_by_torch):
        assert np.isfinite(rendered).all()
        assert rendered.min() >= 0.0
        assert rendered.max() <= 1.0
        assert rendered[0].any()
        assert is_drawn or not rendered[1].any()
    np.testing.assert_allclose(drawn_by_torch[::2], masks[::2], atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", range(5))
def test_render_of_ellipses_that_are_none(bad, column):
    ellipses_NE5 = au_masks.ellipses(drawn_face()[None])
    ellipses_NE5[0, :, column] = bad
    assert not au_masks.render(ellipses_NE5).any()
    assert not au_masks.render_torch(torch.from_numpy(ellipses_NE5)).any()


def test_stored_ellipses_give_the_stored_masks_again():
    points = noisy_faces(64)
    ellipses_NE5 = au_masks.ellipses(points)
    assert ellipses_NE5.dtype == np.float32
    masks = au_masks.quantise(au_masks.render(ellipses_NE5))
    assert masks.dtype == np.uint8
    assert masks.max() == 255
    for face in (0, 1, 31, 63):  # one by one as in a block
        alone = au_masks.ellipses(points[face : face + 1])
        np.testing.assert_array_equal(alone[0], ellipses_NE5[face], strict=True)
        again = au_masks.quantise(au_masks.render(alone.astype(np.float64)))
        np.testing.assert_array_equal(again[0], masks[face], strict=True)


@pytest.mark.parametrize("size_px", [112, 224, 500])
def test_what_a_shard_stores_is_drawn_and_quantised_at_once(size_px):
    ellipses_NE5 = au_masks.ellipses(noisy_faces(8, sigma_px=6.0) * (size_px / 224))
    ellipses_NE5[1] = 0.0
    ellipses_NE5[2, 3] = np.nan
    want = au_masks.quantise(au_masks.render(ellipses_NE5, size_px=size_px))
    got = au_masks.render_stored(ellipses_NE5, size_px=size_px)
    np.testing.assert_array_equal(got, want, strict=True)
    assert got[0].max() == 255


@pytest.mark.parametrize(
    ("values", "want"),
    [([], []), ([0.0, 1.0], [0, 255]), ([0.5 / 255, 0.4999 / 255, 254.5 / 255], [1, 0, 255])],
)
def test_quantise(values, want):
    assert au_masks.quantise(np.array(values)).tolist() == want


@pytest.mark.parametrize("group", [(12, 14, 15), (17, 26), (23, 24, 25)])
def test_jaa_shares_masks(group):
    rows = [au_masks.MASK_AUS.index(au) for au in group]
    jaa = au_masks.render(au_masks.ellipses(noisy_faces(2), profile="jaa"))[:, rows]
    assert (jaa == jaa[:, :1]).all()
    own = au_masks.render(au_masks.ellipses(noisy_faces(2)))[:, rows]
    assert (own[:, 1:] != own[:, :1]).any(axis=(0, 2, 3)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: au_masks.ellipses(np.zeros((68, 2))), r"\(N, 68, 2\), not \(68, 2\)"),
        (lambda: au_masks.ellipses(np.zeros((1, 49, 2))), r"not \(1, 49, 2\)"),
        (lambda: au_masks.ellipses(np.zeros((1, 68, 2)), profile="eac"), "'eac'.*default, jaa"),
        (lambda: au_masks.render(np.zeros((24, 5))), r"\(N, 24, 5\), not \(24, 5\)"),
        (lambda: au_masks.render_stored(np.zeros((24, 5))), r"\(N, 24, 5\), not \(24, 5\)"),
        (lambda: au_masks.render_torch(torch.zeros(1, 15, 5)), r"not \(1, 15, 5\)"),
        (lambda: au_masks.render(np.zeros((1, 24, 5)), size_px=0), "above 0 px"),
        (lambda: au_masks.render(np.zeros((1, 24, 5)), side_px=-1), "above 0 px"),
        (lambda: au_masks.render(np.zeros((1, 24, 5)), blur_px=0.0), "above 0 px"),
        (lambda: au_masks.render(np.zeros((1, 24, 5)), blur_px=float("nan")), "above 0 px"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(BadInput, match=message):
        call()


def test_no_faces():
    ellipses_NE5 = au_masks.ellipses(np.empty((0, 68, 2), np.float32))
    assert ellipses_NE5.shape == (0, 24, 5)
    assert au_masks.render(ellipses_NE5).shape == (0, 15, 56, 56)
