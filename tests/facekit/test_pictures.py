import csv
import gzip
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest

from facekit import au_masks, crops, pictures
from facekit.errors import BadInput
from facekit.page import rgb

NAMES = ("AU01", "AU06", "AU12", "AU45")


def points_of_a_face():
    """68 points that fill the crop as a face does."""
    t = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = np.stack([112 + 70 * np.cos(t), 112 + 80 * np.sin(t)], axis=-1)
    for start, x in ((36, 84), (42, 140)):
        eye = np.linspace(0, 2 * np.pi, 6, endpoint=False)
        points[start : start + 6] = np.stack([x - 12 * np.cos(eye), 90 + 6 * np.sin(eye)], -1)
    return points.astype(np.float32)


def face(**changed):
    ellipses_E5 = au_masks.ellipses(points_of_a_face()[None])[0]
    row = {
        "key": "ffpp/Deepfakes/c23/000_003",
        "status": "ok",
        "image": np.full((224, 224, 3), 120, np.uint8),
        "frame_index": 12,
        "pts_s": 0.48,
        "track_id": 0,
        "box_xyxy": np.array([60, 50, 160, 180], np.float32),
        "keypoints_xy": np.array([[84, 90], [140, 90], [112, 120], [90, 160], [134, 160]], "f4"),
        "det_score": 0.87,
        "crop_affine": np.eye(2, 3, dtype=np.float32),
        "landmarks_xy": points_of_a_face(),
        "au_occurrence": np.array([0, 1, 1, 1], np.int8),
        "au_ellipses": ellipses_E5,
        "au_mask": au_masks.quantise(au_masks.render(ellipses_E5[None]))[0],
    }
    return {name: value for name, value in {**row, **changed}.items() if value is not None}


def panels(image, size_px=249, x=30, y=106):
    """The three pictures of the first card of a sheet of up to 12 faces."""
    step = size_px + 4
    return [image[y : y + size_px, x + i * step : x + i * step + size_px] for i in range(3)]


def differs(one, other):
    return (one.astype(int) != other.astype(int)).any(axis=-1)


@pytest.mark.parametrize(
    ("keys", "limit", "want"),
    [
        ([], 24, []),
        (["a"], 24, [0]),
        (["a"], 0, []),
        (["a"] * 3, 24, [0, 1, 2]),
        (["a"] * 9, 1, [4]),
        (["a"] * 9, 3, [1, 4, 7]),
        (["a"] * 100 + ["b"] * 2, 4, [25, 75, 100, 101]),  # the short one is not left behind
        (["a"] * 100 + ["b"], 4, [16, 50, 83, 100]),
        (list("abcdefgh"), 4, [1, 3, 5, 7]),
        (["a", "a", "a", "b", "b", "b", "c", "c", "c"], 3, [1, 4, 7]),
        ([3, 3, 1, 1], 2, [1, 3]),  # any key, in its order
    ],
)
def test_spread(keys, limit, want):
    assert pictures.spread(keys, limit) == want


@pytest.mark.parametrize("limit", [1, 5, 24, 200])
def test_spread_is_even(limit):
    sizes = np.random.default_rng(0).integers(1, 40, 30)
    keys = np.repeat(np.arange(30), sizes).tolist()
    chosen = pictures.spread(keys, limit)
    assert len(set(chosen)) == len(chosen) == min(limit, len(keys))
    counts = np.bincount([keys[i] for i in chosen], minlength=30)
    short = counts < counts.max() - 1
    assert limit < 30 or (counts[short] == sizes[short]).all()
    assert limit >= 30 or counts.max() == 1


@pytest.mark.parametrize(
    ("count", "rows", "panel_px"), [(1, 1, 249), (2, 1, 249), (3, 2, 249), (13, 5, 161)]
)
def test_a_sheet_holds_every_face(count, rows, panel_px):
    image = pictures.contact_sheet([face()] * count, au_names=NAMES)
    assert image.dtype == np.uint8
    assert image.shape == (96 + rows * (panel_px + 104) + 20, 1600, 3)
    grey = (image == 120).all(axis=-1).sum()  # the crop, and what lines and masks leave of it
    assert count * 1.5 * panel_px**2 < grey < count * 3 * panel_px**2


def test_a_sheet_shows_crop_points_and_masks():
    crop, points, masks = panels(pictures.contact_sheet([face()], au_names=NAMES))
    assert (crop == 120).all()
    for x, y in points_of_a_face():
        column, row = round((x + 0.5) * 249 / 224 - 0.5), round((y + 0.5) * 249 / 224 - 0.5)
        assert points[row, column].min() > 160, (x, y)
    nose = round(112.5 * 249 / 224 - 0.5), round(120.5 * 249 / 224 - 0.5)
    np.testing.assert_array_equal(points[nose[1], nose[0]], rgb("#E69F00"))
    assert differs(masks, crop).any()


@pytest.mark.parametrize(
    ("occurrence", "opacity"),
    [(1, 0.55), (0, 0.0), (-1, 0.20)],
)
def test_masks_are_filled_by_label(occurrence, opacity):
    row = face(au_occurrence=np.array([occurrence] * 4, np.int8))
    row["au_mask"] = np.zeros_like(row["au_mask"])
    row["au_mask"][au_masks.MASK_AUS.index(12), 20:40, 20:40] = 255
    masks = panels(pictures.contact_sheet([row], au_names=NAMES))[2]
    want = (1 - opacity) * 120 + opacity * np.array(rgb("#E69F00"))
    np.testing.assert_allclose(masks[133, 133], want, atol=1)
    assert (masks[20, 20] == 120).all()


@pytest.mark.parametrize(
    ("row", "without"),
    [
        ({}, "all"),
        (face(image=None), ""),
        (face(landmarks_xy=None), ""),
        (face(landmarks_xy=np.full((68, 2), np.nan)), ""),
        (face(keypoints_xy=np.full((5, 2), np.nan)), ""),
        (face(box_xyxy=None), ""),
        (face(crop_affine=None), ""),
        (face(au_mask=None), ""),
        (face(au_mask=None, au_ellipses=None), "masks"),
        (face(au_mask=np.zeros((15, 56, 56), np.uint8)), "masks"),
        (face(au_occurrence=None), ""),
        (face(au_occurrence=np.full(4, -1)), ""),
        (face(au_occurrence=np.zeros(4, int)), ""),
        (face(key=None, status=None, pts_s=None), ""),
        (face(key="x" * 500), ""),
        (face(key="$bad_{tex\n\tand 中文"), ""),
        (face(au_names=[f"AU{i:02d}" for i in range(46)], au_occurrence=np.ones(46, int)), ""),
        (face(landmarks_xy=np.full((68, 2), 1e6, "f4")), ""),
        (face(pts_s=float("nan"), det_score=float("nan")), ""),
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_what_is_missing_is_left_out(row, without):
    image = pictures.contact_sheet([row], au_names=NAMES)
    crop, points, masks = panels(image)
    assert len(np.unique(crop.reshape(-1, 3), axis=0)) == 1
    assert differs(points, crop).any() == (without != "all")
    assert differs(masks, crop).any() == (without == "")


def test_points_outside_of_the_crop_do_not_spill():
    row = face(landmarks_xy=points_of_a_face() * 3 - 200, box_xyxy=np.array([-90, -90, 400, 400.0]))
    spilt = pictures.contact_sheet([row], au_names=NAMES)
    kept = pictures.contact_sheet([face(landmarks_xy=None, box_xyxy=None)], au_names=NAMES)
    changed = differs(spilt, kept)
    changed[106 + 249 :] = False  # the caption says "no points"
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max()) >= (106, 106)
    assert rows.max() < 106 + 249
    assert columns.min() >= 30 + 253
    assert columns.max() < 30 + 253 + 249


def test_masks_are_drawn_from_ellipses_where_none_are_stored():
    stored = pictures.contact_sheet([face()], au_names=NAMES)
    drawn = pictures.contact_sheet([face(au_mask=None)], au_names=NAMES)
    assert abs(stored.astype(int) - drawn.astype(int)).max() <= 3


def test_a_rows_own_names_come_first():
    own = face(au_names=("AU01", "AU02", "AU04", "AU05"))
    np.testing.assert_array_equal(
        pictures.contact_sheet([own], au_names=NAMES),
        pictures.contact_sheet([face()], au_names=own["au_names"]),
    )
    assert differs(pictures.contact_sheet([own]), pictures.contact_sheet([face()])).any()


def test_the_picture_on_disk_is_the_one_returned(tmp_path):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"an older picture")
    image = pictures.contact_sheet([face()], path, au_names=NAMES)
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], image)
    first = path.read_bytes()
    pictures.contact_sheet([face()], path, au_names=NAMES)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_the_users_fonts_do_not_count():
    import matplotlib

    plain = pictures.contact_sheet([face()], au_names=NAMES)
    with matplotlib.rc_context({"font.family": "monospace", "font.size": 40, "figure.dpi": 300}):
        np.testing.assert_array_equal(pictures.contact_sheet([face()], au_names=NAMES), plain)


def test_no_global_state_of_matplotlib_is_touched():
    code = (
        "import sys; from facekit import pictures; pictures.contact_sheet([{}]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda folder: pictures.contact_sheet([], folder / "a.png"), "no face"),
        (
            lambda folder: pictures.contact_sheet([face()], folder / "a.jpg"),
            r"end its name in \.png",
        ),
        (lambda folder: pictures.contact_sheet([face()], folder / "no" / "a.png"), "No such file"),
        (lambda folder: pictures.mask_grid(face(), folder / "a"), r"end its name in \.png"),
        (lambda _: pictures.mask_grid({"key": "a"}), "no masks to draw"),
    ],
)
def test_refusals(tmp_path, draw, message):
    with pytest.raises(BadInput, match=message):
        draw(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mask_grid_shows_each_mask_in_its_place(tmp_path):
    row = face(au_mask=np.zeros((15, 56, 56), np.uint8))
    empty = pictures.mask_grid(row, au_names=NAMES)
    for nth in (0, 4, 7, 14):
        row["au_mask"] = np.zeros((15, 56, 56), np.uint8)
        row["au_mask"][nth, 10:46, 10:46] = 255
        rows, columns = np.nonzero(differs(pictures.mask_grid(row, au_names=NAMES), empty))
        panel_px, top_px = 304, 96
        assert columns.min() > 20 + nth % 5 * (panel_px + 10)
        assert columns.max() < 20 + nth % 5 * (panel_px + 10) + panel_px
        assert rows.min() > top_px + nth // 5 * (panel_px + 52)
        assert rows.max() < top_px + nth // 5 * (panel_px + 52) + panel_px


def test_every_mask_has_a_colour_of_its_group():
    aus = [au for _, _, group in pictures.GROUPS for au in group]
    assert sorted(aus) == list(au_masks.MASK_AUS)
    assert len({colour for _, colour, _ in pictures.GROUPS}) == len(pictures.GROUPS)


def test_a_real_face(data_dir, tmp_path):
    """A frame of FaceForensics++ with OpenFace's own points and labels."""
    name = "original__035"
    table = data_dir / "openface_reference" / "ffpp" / f"{name}.csv.gz"
    with gzip.open(table, "rt", newline="") as lines:
        row = next(csv.DictReader(lines, skipinitialspace=True))
    video = next((data_dir / "ffpp" / "original_sequences").rglob("035.mp4"))
    with av.open(str(video)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    points = np.array([[float(row[f"{c}_{i}"]) for c in "xy"] for i in range(68)])
    affine = crops.square_affine([*points.min(axis=0), *points.max(axis=0)], 1.3, 224)
    landmarks = crops.to_crop(points, affine)
    names = [column[:4] for column in row if column.endswith("_c")]
    seen = {
        "key": name,
        "image": crops.cut(frame, affine, 224),
        "landmarks_xy": landmarks,
        "au_ellipses": au_masks.ellipses(landmarks[None])[0],
        "au_occurrence": [int(float(row[f"{n}_c"])) for n in names],
        "au_names": names,
    }
    image = pictures.contact_sheet([seen], tmp_path / "sheet.png")
    crop, with_points, with_masks = panels(image)
    assert 0.02 < differs(crop, with_points).mean() < 0.25
    assert 0.05 < differs(crop, with_masks).mean() < 0.6
    assert pictures.mask_grid(seen, tmp_path / "grid.png").shape[1] == 1600
