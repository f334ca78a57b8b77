from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from facekit import landmarkers
from facekit.errors import BadInput
from facekit.landmarkers import ibug68
from facekit.landmarkers.lite_network import MapNetwork
from training import lite_crops, lite_expressions, lite_landmarker
from training.lite_crops import Framing, Portrait
from training.lite_faces import AnnotatedFace

SIDE_PX = 160


def _oval():
    """68 points that stand about where those of an upright face do, in a square of `SIDE_PX`."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([80 + 52 * np.cos(turn), 70 + 72 * np.sin(turn)], 1)
    brow = np.stack([np.linspace(38, 68, 5), 48 - 6 * np.sin(np.linspace(0.4, 2.9, 5))], 1)
    nose = [[80, 62], [80, 72], [80, 82], [80, 92], *[[x, 98] for x in (70, 75, 80, 85, 90)]]
    eye = np.array([[42, 64], [48, 59], [56, 59], [63, 64], [56, 68], [48, 68]], float)
    outer = [[60, 116], [66, 111], [74, 108], [80, 110], [86, 108], [94, 111], [100, 116]]
    outer += [[94, 124], [87, 128], [80, 129], [73, 128], [66, 124]]
    inner = [[64, 116], [74, 114], [80, 115], [86, 114], [96, 116], [86, 119], [80, 120], [74, 119]]
    right = lambda points: [[160 - x, y] for x, y in points]  # noqa: E731
    other_brow = right(brow)[::-1]
    other_eye = right(eye)
    other_eye = [other_eye[i] for i in (3, 2, 1, 0, 5, 4)]
    return np.array([*jaw, *brow, *other_brow, *nose, *eye, *other_eye, *outer, *inner], np.float32)


OVAL = _oval()


def test_the_oval_is_its_own_mirror_image():
    """So that the tests below stand on points that are those of a face."""
    np.testing.assert_allclose(ibug68.mirrored(OVAL, SIDE_PX + 1), OVAL, atol=1e-4)


@pytest.mark.parametrize("seed", range(40))
def test_points_go_where_their_pixels_go(seed):
    """At a new point, or at most a pixel and a half above or below, is what was at the old one.

    Lids and lips that meet squeeze what was between them into less than a pixel.
    """
    expression = lite_expressions.draw(OVAL, np.random.default_rng(seed))
    source_xy = expression.source(SIDE_PX)
    off_px = []
    for up_px in np.linspace(-1.5, 1.5, 13, dtype=np.float32):
        x, y = expression.points_xy.T + np.array([[0.0], [up_px]], np.float32)
        shown_xy = cv2.remap(source_xy, x[:, None], y[:, None], cv2.INTER_LINEAR)[:, 0]
        off_px.append(np.linalg.norm(shown_xy - OVAL, axis=1))
    assert np.min(off_px, axis=0).max() < 1.0


def _height(points, upper, lower):
    return float((points[lower, 1] - points[upper, 1]).mean())


def test_eyes_close_and_mouths_open_and_close_in_a_good_share():
    drawn = [
        lite_expressions.draw(OVAL, np.random.default_rng(seed)).points_xy for seed in range(400)
    ]
    lids = np.array([_height(points, [37, 38], [41, 40]) for points in drawn])
    lips = np.array([_height(points, [61, 62, 63], [67, 66, 65]) for points in drawn])
    before_lids, before_lips = _height(OVAL, [37, 38], [41, 40]), _height(OVAL, [62], [66])
    assert 0.1 < (lids < 0.2 * before_lids).mean() < 0.5
    assert (lids > 1.1 * before_lids).mean() > 0.03
    assert 0.05 < (lips > 2 * before_lips).mean() < 0.5
    assert 0.1 < (lips < 0.2 * before_lips).mean() < 0.5
    assert min(lids.min(), lips.min()) > -1.5  # nothing turns inside out


def test_a_face_that_stays_as_it_is_gives_its_own_pixels():
    still = lite_expressions.Expression(OVAL, (), (), False)
    x, y = np.meshgrid(np.arange(SIDE_PX), np.arange(SIDE_PX))
    np.testing.assert_array_equal(still.source(SIDE_PX), np.stack([x, y], -1))


@pytest.fixture(scope="module")
def portrait():
    """A bright spot at each of three far points, on grey."""
    image = np.full((SIDE_PX, SIDE_PX, 3), 40, np.uint8)
    for point in OVAL[[0, 8, 16]]:
        cv2.circle(image, tuple(np.rint(point).astype(int).tolist()), 3, (255, 255, 255), -1)
    return Portrait(image, OVAL)


EXACT = Framing(crop_px=112, shift=0.0, scale=0.0, roll_rad=0.0)


def test_crops_are_of_the_size_asked_for_and_hold_their_points(portrait):
    framing = Framing(crop_px=112, shift=0.03, scale=0.06, roll_rad=0.1)
    rng = np.random.default_rng(0)
    for _ in range(60):
        affine = lite_crops.strayed(*lite_landmarker.points_square(OVAL), framing, rng)
        image, points_xy = lite_crops.sample(portrait, affine, 112, [portrait], rng)
        assert image.shape == (112, 112, 3)
        assert image.dtype == np.uint8
        assert ((points_xy > -12) & (points_xy < 124)).mean() > 0.97
        assert points_xy[45, 0] > points_xy[36, 0]  # in a mirror image too


def test_the_same_chance_gives_the_same_crop(portrait):
    def drawn():
        rng = np.random.default_rng(7)
        affine = lite_crops.strayed(*lite_landmarker.points_square(OVAL), EXACT, rng)
        return [lite_crops.sample(portrait, affine, 112, [portrait], rng) for _ in range(5)]

    for (image, points_xy), (again, points_again) in zip(drawn(), drawn(), strict=True):
        np.testing.assert_array_equal(image, again)
        np.testing.assert_array_equal(points_xy, points_again)


def _data(folder, names, unreadable=()):
    """A data folder with a face of noise under each name, and two photographs without points."""
    rng = np.random.default_rng(0)
    for source in ("helen_train", "afw"):
        (folder / "faces68" / source).mkdir(parents=True)
    rows = [",".join([name, *(f"{v:.2f}" for v in OVAL.ravel())]) for name in names]
    table = "\n".join(["file", *rows]) + "\n"
    (folder / "faces68" / "helen_train" / "landmarks.csv").write_text(table)
    (folder / "faces68" / "afw" / "landmarks.csv").write_text("file\n")
    (folder / "lfw").mkdir()
    paths = [folder / "faces68" / "helen_train" / name for name in names if name not in unreadable]
    for path in [*paths, folder / "lfw" / "a.jpg", folder / "lfw" / "b.jpg"]:
        cv2.imwrite(str(path), rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8))
    return folder


def _split(count):
    """Names of faces to learn from, and of faces held back."""
    names = [f"{i}_1.jpg" for i in range(count)]
    back = [
        AnnotatedFace(image=Path(name), source="helen_train", points_xy=OVAL).held_back
        for name in names
    ]
    assert 0 < sum(back) < count
    return (
        [n for n, b in zip(names, back, strict=True) if not b],
        [n for n, b in zip(names, back, strict=True) if b],
    )


def _trained(data, out, seed=0):
    out.mkdir()
    scores = lite_landmarker.train(data, out, seed=seed, device="cpu", coarse_steps=2, fine_steps=2)
    return scores, out / "lite_landmarker.safetensors"


def test_the_same_seed_gives_the_same_file_and_another_one_another(tmp_path):
    learns, judges = _split(30)
    data = _data(tmp_path / "data", learns + judges)
    scores, path = _trained(data, tmp_path / "a")
    assert scores["faces_learnt_from"] == len(learns)
    assert scores["faces_held_back"] == len(judges)
    assert scores["nme_held_back"] > 0
    assert landmarkers.load(f"lite:{path}", device="cpu").models[0].path == path
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    again, same = _trained(data, tmp_path / "b")
    assert (again, same.read_bytes()) == (scores, path.read_bytes())
    _, other = _trained(data, tmp_path / "c", seed=1)
    assert other.read_bytes() != path.read_bytes()


def test_a_photograph_that_cannot_be_read_is_named(tmp_path):
    learns, judges = _split(30)
    data = _data(tmp_path / "data", learns + judges, unreadable=learns[3:4])
    with pytest.raises(BadInput, match=f"{learns[3]} is no photograph"):
        _trained(data, tmp_path / "out")


class Finder(torch.nn.Module):
    """Sees the centre of brightness, and an upright face around it."""

    def __init__(self):
        super().__init__()
        self.anywhere = torch.nn.Parameter(torch.zeros(()))

    def forward(self, img_NCHW):
        side_px = img_NCHW.shape[-1]
        red_NHW = (img_NCHW[:, 0] - 0.2).clamp_min(0.0)
        pixel = torch.arange(side_px, dtype=torch.float)
        total_N = red_NHW.sum((1, 2))
        spot_N2 = (
            torch.stack([red_NHW.sum(1) @ pixel, red_NHW.sum(2) @ pixel], 1) / total_N[:, None]
        )
        around = torch.from_numpy((OVAL - OVAL.mean(0)) / SIDE_PX) * 0.9
        return spot_N2[:, None] + around * side_px


@pytest.mark.parametrize(("most_apart", "found"), [(0.0, 0), (1.0, 1)])
def test_only_points_on_which_the_looks_agree_are_learnt_from(
    tmp_path, monkeypatch, most_apart, found
):
    image = np.zeros((250, 250, 3), np.uint8)
    cv2.circle(image, (131, 118), 9, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "one.png"), image)
    monkeypatch.setattr(lite_landmarker, "MOST_APART", most_apart)
    portraits = lite_landmarker._guesses([tmp_path / "one.png"], Finder(), Finder(), seed=0)
    assert len(portraits) == found
    for portrait in portraits:
        np.testing.assert_allclose(portrait.points_xy.mean(0), (131, 118), atol=1.5)
        assert portrait.image_HWC.shape == (250, 250, 3)


def test_the_mean_place_under_a_sharp_map_costs_next_to_nothing():
    cell_xy = ((torch.from_numpy(OVAL) * (112 / SIDE_PX) + 0.5) / 4).round()
    points_BKxy = (cell_xy * 4 + 1.5)[None]
    map_BKHW = torch.full((1, 68, 28, 28), -20.0)
    for point, (x, y) in enumerate(cell_xy.long().tolist()):
        map_BKHW[0, point, y, x] = 20.0

    class Sharp:
        maps = staticmethod(lambda img_NCHW: map_BKHW)
        places = staticmethod(MapNetwork.places)

    img_BCHW = torch.zeros(1, 3, 112, 112)
    exact = lite_landmarker._loss(Sharp(), img_BCHW, points_BKxy)
    off = lite_landmarker._loss(Sharp(), img_BCHW, points_BKxy + 2.0)
    assert off > exact + 0.03
