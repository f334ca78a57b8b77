from pathlib import Path

import numpy as np
import pytest

from facekit.errors import BadInput
from training.lite_faces import AnnotatedFace, annotated_faces, photographs


def _table(data, source, rows):
    folder = data / "faces68" / source
    folder.mkdir(parents=True)
    header = ",".join(["file", *(f"{axis}{i}" for i in range(68) for axis in "xy")])
    (folder / "landmarks.csv").write_text("\n".join([header, *rows]) + "\n")


def _row(name, first=0.0):
    return ",".join([name, *(f"{first + i:.2f}" for i in range(136))])


def test_no_data_is_one_line(tmp_path):
    with pytest.raises(BadInput, match=r"helen_train/landmarks\.csv is no table of 68 points"):
        annotated_faces(tmp_path)
    with pytest.raises(BadInput, match=r"lfw holds no \.jpg photographs"):
        photographs(tmp_path)


@pytest.mark.parametrize(
    "row",
    ["a.jpg", "a.jpg,1,2", _row("a.jpg") + ",3", _row("a.jpg").replace("5.00", "five", 1)],
    ids=["nothing", "few", "many", "words"],
)
def test_another_table_is_refused(tmp_path, row):
    _table(tmp_path, "helen_train", [_row("b.jpg"), row])
    _table(tmp_path, "afw", [])
    with pytest.raises(BadInput, match="is no table of 68 points"):
        annotated_faces(tmp_path)


def test_faces_come_sorted_with_their_points(tmp_path):
    _table(tmp_path, "helen_train", [_row("9_1.jpg", 5.0), _row("10_1.jpg")])
    _table(tmp_path, "afw", [_row("1_1.jpg", 1.0)])
    faces = annotated_faces(tmp_path)
    assert [face.image.name for face in faces] == ["10_1.jpg", "9_1.jpg", "1_1.jpg"]
    assert [face.source for face in faces] == ["helen_train", "helen_train", "afw"]
    np.testing.assert_array_equal(faces[1].points_xy, 5.0 + np.arange(136).reshape(68, 2))
    assert faces[1].points_xy.dtype == np.float32


def test_who_is_held_back_follows_from_the_photograph_alone():
    def held_back(name, source="helen_train"):
        points_xy = np.zeros((68, 2), np.float32)
        return AnnotatedFace(
            image=Path(f"any/{name}.jpg"), source=source, points_xy=points_xy
        ).held_back

    share = np.mean([held_back(f"{i}_1") for i in range(4000)])
    assert 0.11 < share < 0.14
    assert all(held_back(f"{i}_1") == held_back(f"{i}_2") for i in range(100))
    assert not any(held_back(f"{i}_1", "afw") for i in range(100))


def test_the_real_sets(data_dir):
    faces = annotated_faces(data_dir)
    assert [sum(face.source == source for face in faces) for source in ("helen_train", "afw")] == [
        870,
        321,
    ]
    assert 80 < sum(face.held_back for face in faces) < 140
    assert len(photographs(data_dir)) == 800
