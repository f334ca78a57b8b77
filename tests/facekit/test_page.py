import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from facekit.errors import BadInput, DiskFull
from facekit.page import Page, resized, rgb, tinted, write_png

WHITE = [255, 255, 255]


@pytest.mark.parametrize(
    ("colour", "want"),
    [("#000000", (0, 0, 0)), ("#FF8001", (255, 128, 1)), ("#ffffff", (255, 255, 255))],
)
def test_rgb(colour, want):
    assert rgb(colour) == want


def test_an_empty_page_is_white():
    assert (Page(31, 17).finished() == 255).all()
    assert Page(31, 17).finished().shape == (17, 31, 3)


def test_pictures_lie_on_exact_pixels():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    page = Page(100, 80)
    page.paste(image, 11, 7)
    drawn = page.finished()
    np.testing.assert_array_equal(drawn[7:27, 11:41], image)
    drawn[7:27, 11:41] = 255
    assert (drawn == 255).all()


@pytest.mark.parametrize(("x", "y"), [(10, 10), (33, 21), (50, 5)])
def test_dots_lie_on_exact_pixels(x, y):
    page = Page(60, 60)
    page.dots(np.array([[x, y]], float), within=(0, 0, 60), colour="#000000", diameter_px=5)
    darkness = 255.0 - page.finished()[..., 0]
    rows, columns = np.mgrid[:60, :60]
    assert np.average(columns, weights=darkness) == pytest.approx(x, abs=0.1)
    assert np.average(rows, weights=darkness) == pytest.approx(y, abs=0.1)


def test_lines_lie_on_exact_pixels_and_stay_within():
    page = Page(60, 60)
    line = np.array([[-100.0, 30.0], [100.0, 30.0]])
    page.lines([line], within=(10, 20, 25), colour="#FF0000")
    drawn = page.finished()
    assert drawn[30, 10:35, 0].min() > 200
    assert drawn[30, 10:35, 1].max() < 100
    rows, columns = np.nonzero((drawn != 255).any(axis=-1))
    assert (columns.min(), columns.max()) == (10, 34)
    assert rows.min() >= 28
    assert rows.max() <= 32


@pytest.mark.parametrize("align", ["left", "right", "center"])
def test_text_stands_where_it_is_put(align):
    page = Page(200, 50)
    width_px = page.text(100, 30, "AU12 HELIX", size_px=14, align=align)
    rows, columns = np.nonzero((page.finished() != 255).any(axis=-1))
    assert columns.max() - columns.min() == pytest.approx(width_px, abs=3)
    at = {"left": columns.min(), "right": columns.max(), "center": columns.mean()}[align]
    assert at == pytest.approx(100, abs=3)
    assert rows.max() in (29, 30)
    assert page.text(0, 0, "", size_px=14) == 0


def test_text_is_no_formula():
    one, other = Page(200, 50), Page(200, 50)
    one.text(10, 30, "$x_1$", size_px=14)
    other.text(10, 30, "x_1", size_px=14)
    assert (one.finished() != 255).sum() > (other.finished() != 255).sum()


@pytest.mark.parametrize(("side", "to"), [(8, 4), (4, 4), (4, 8)])
def test_resized_keeps_what_is_flat(side, to):
    image = np.full((side, side, 3), 77, np.uint8)
    np.testing.assert_array_equal(resized(image, to), np.full((to, to, 3), 77, np.uint8))


def test_resized_averages():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_allclose(resized(image, 2), [[2.5, 4.5], [10.5, 12.5]])


@pytest.mark.parametrize(
    ("mask", "fill", "outline", "want"),
    [
        (0.0, 1.0, 1.0, 100),  # no mask
        (1.0, 0.0, 0.0, 100),
        (1.0, 1.0, 0.0, 200),
        (1.0, 0.5, 1.0, 150),  # the inside has no outline
        (0.5, 0.5, 0.0, 125),
        (3.0, 1.0, 0.0, 200),  # what resizing overshoots
        (-2.0, 1.0, 0.0, 100),
    ],
)
def test_tinted(mask, fill, outline, want):
    image = np.full((8, 8, 3), 100, np.uint8)
    got = tinted(image, np.full((8, 8), mask), "#C8C8C8", fill=fill, outline=outline)
    np.testing.assert_array_equal(got, np.full((8, 8, 3), want, np.uint8), strict=True)


def test_the_outline_stands_where_the_mask_is_one_half():
    mask_HW = np.tile(np.clip((np.arange(40) - 10.0) / 20.0, 0.0, 1.0), (40, 1))
    image = np.zeros((40, 40, 3), np.uint8)
    got = tinted(image, mask_HW, "#FFFFFF", fill=0.0, outline=1.0)[20, :, 0]
    assert got[20] == 255
    assert np.nonzero(got)[0].tolist() == [19, 20, 21]


def test_write_png(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    path = tmp_path / "a.PNG"
    write_png(image, path)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], image)


def test_a_full_disk_leaves_the_old_picture(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFull, match=r"a\.png"):
        write_png(np.zeros((2, 2, 3), np.uint8), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", ".png"])
def test_only_png(tmp_path, name):
    with pytest.raises(BadInput, match=r"end its name in \.png"):
        write_png(np.zeros((2, 2, 3), np.uint8), tmp_path / name)


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(BadInput, match="cannot be written"):
        write_png(np.zeros((2, 2, 3), np.uint8), tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
