"""Tests of facekit.image_folder: folders of numbered images as videos."""

import hashlib
import math

import numpy as np
import pytest
from clips import gradient, quadrants
from PIL import Image

from facekit import image_folder, video
from facekit.errors import BadVideo


def save(folder, name, array=None, **options):
    picture = quadrants(0, 48, 32) if array is None else array
    Image.fromarray(picture).save(folder / name, **options)
    return folder / name


def read(folder, plan="all"):
    reading = video.sample(folder, plan)
    return reading, list(reading)


@pytest.mark.parametrize("names", [(), ("notes.txt",), (".hidden.png",)])
def test_a_folder_without_images(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"words")
    (tmp_path / "deeper.png").mkdir()
    with pytest.raises(BadVideo, match="without images"):
        video.sample(tmp_path, "8")


def test_natural_order(tmp_path):
    for number in (10, 2, 1, 100, 9):
        save(tmp_path, f"{number}.png", gradient(number, 48, 32))
    (tmp_path / "labels.csv").write_text("not a frame")
    reading, frames = read(tmp_path)
    assert [path.stem for path in image_folder.images(tmp_path)] == ["1", "2", "9", "10", "100"]
    assert [frame.frame_index for frame in frames] == [0, 1, 2, 3, 4]
    for frame, number in zip(frames, (1, 2, 9, 10, 100), strict=True):
        assert np.array_equal(frame.image_HWC, gradient(number, 48, 32))
    assert all(math.isnan(frame.pts_s) for frame in frames)
    assert (reading.status, reading.info.size_wh) == ("ok", (48, 32))
    assert math.isnan(reading.info.fps)


@pytest.mark.parametrize(
    ("names", "want"),
    [
        (["b.png", "a.png"], ["a.png", "b.png"]),
        (["a10.png", "a9.png"], ["a9.png", "a10.png"]),
        (["1_10.png", "1_9.png", "0_99.png"], ["0_99.png", "1_9.png", "1_10.png"]),
        (["01.png", "1.png", "001.png"], ["001.png", "01.png", "1.png"]),
        (["x.png", "3.png"], ["x.png", "3.png"]),
    ],
)
def test_order_of_names(tmp_path, names, want):
    for name in names:
        save(tmp_path, name)
    assert [path.name for path in image_folder.images(tmp_path)] == want


def test_plans(tmp_path):
    for number in range(9):
        save(tmp_path, f"{number}.png", gradient(number, 48, 32))
    assert [f.frame_index for f in read(tmp_path, "3")[1]] == [0, 4, 8]
    assert [f.frame_index for f in read(tmp_path, "every:4")[1]] == [0, 4, 8]


DEEP = (gradient(0, 48, 32)[..., 0].astype(np.uint16) << 8) + 7


@pytest.mark.parametrize(
    ("name", "array", "want"),
    [
        ("rgb.png", quadrants(0, 48, 32), quadrants(0, 48, 32)),
        ("gray.png", DEEP.astype(np.uint8), np.full((32, 48, 3), 7)),
        ("deep.png", DEEP, np.repeat((DEEP >> 8)[..., None], 3, axis=2)),
        ("odd.bmp", quadrants(0, 47, 31), quadrants(0, 47, 31)),
        ("one.tif", quadrants(0, 1, 1), quadrants(0, 1, 1)),
        (
            "alpha.png",
            np.dstack([quadrants(0, 48, 32), DEEP.astype(np.uint8)]),
            quadrants(0, 48, 32),
        ),
    ],
)
def test_pixels(tmp_path, name, array, want):
    save(tmp_path, name, array)
    reading, frames = read(tmp_path)
    assert reading.status == "ok"
    assert frames[0].image_HWC.dtype == np.uint8
    assert np.array_equal(frames[0].image_HWC, want)


def test_palette(tmp_path):
    Image.fromarray(quadrants(0, 48, 32)).quantize(8).save(tmp_path / "p.png")
    image = read(tmp_path)[1][0].image_HWC
    assert np.abs(image.astype(int) - quadrants(0, 48, 32)).max() <= 2


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda picture: picture),
        (2, lambda picture: picture[:, ::-1]),
        (3, lambda picture: np.rot90(picture, 2)),
        (6, lambda picture: np.rot90(picture, -1)),
        (8, lambda picture: np.rot90(picture, 1)),
    ],
)
def test_exif_orientation(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path, "1.png", quadrants(0, 48, 32), exif=exif)
    reading, frames = read(tmp_path)
    want = turn(quadrants(0, 48, 32))
    assert np.array_equal(frames[0].image_HWC, want)
    assert reading.info.size_wh == (want.shape[1], want.shape[0])


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def words(path):
    path.write_bytes(b"words" * 9)


def nothing(path):
    path.write_bytes(b"")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".png", cut),
        (".png", flip),
        (".png", words),
        (".png", nothing),
        (".jpg", cut),
        (".jpg", words),
        (".webp", cut),
        (".bmp", cut),
    ],
)
def test_a_damaged_image_is_a_corrupt_frame(tmp_path, suffix, damage):
    for number in range(3):
        save(tmp_path, f"{number}{suffix}", gradient(number, 48, 32))
    damage(tmp_path / f"1{suffix}")
    reading, frames = read(tmp_path)
    assert [frame.frame_index for frame in frames] == [0, 2]
    assert (reading.info.frames_expected, reading.frames_decoded) == (3, 3)
    assert reading.frames_corrupt == 1
    assert reading.status == "corrupt_frames"


def test_damage_is_counted_where_no_frame_is_wanted(tmp_path):
    for number in range(5):
        save(tmp_path, f"{number}.png")
    nothing(tmp_path / "3.png")
    reading, frames = read(tmp_path, "1")
    assert (len(frames), reading.frames_corrupt, reading.status) == (1, 1, "corrupt_frames")


def test_nothing_readable(tmp_path):
    words(tmp_path / "1.png")
    with pytest.raises(BadVideo, match="none of its 1 images"):
        video.probe(tmp_path)


def test_a_first_image_that_is_damaged(tmp_path):
    nothing(tmp_path / "0.png")
    save(tmp_path, "1.png")
    assert video.probe(tmp_path).size_wh == (48, 32)


def test_an_image_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "SIDE_LIMIT_PX", 40)
    save(tmp_path, "0.png", quadrants(0, 41, 8))
    save(tmp_path, "1.png", quadrants(0, 40, 8))
    reading, frames = read(tmp_path)
    assert [frame.frame_index for frame in frames] == [1]
    assert reading.frames_corrupt == 1


def test_a_supervisor_sees_life(tmp_path):
    for number in range(4):
        save(tmp_path, f"{number}.png")
    calls = []
    list(video.sample(tmp_path, "1", progress=lambda: calls.append(0)))
    assert len(calls) >= 4


def test_sha256_is_of_names_and_contents(tmp_path):
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for folder in (one, two, three):
        folder.mkdir()
        save(folder, "1.png", gradient(1, 48, 32))
    save(one, "2.png")
    save(two, "2.png")
    save(three, "3.png")
    assert video.sha256(one) == video.sha256(two) != video.sha256(three)
    (two / "notes.txt").write_text("no frame")
    assert video.sha256(one) == video.sha256(two)
    pieces = b""
    for path in (one / "1.png", one / "2.png"):
        name, data = path.name.encode(), path.read_bytes()
        pieces += len(name).to_bytes(8, "little") + name
        pieces += len(data).to_bytes(8, "little") + data
    assert video.sha256(one) == hashlib.sha256(pieces).hexdigest()
