import cv2
import pytest
from trials import PLUGINS, make_faces

from facekit.errors import BadInput
from pipelines.extract import extract
from pipelines.preview import preview


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(PLUGINS))
    videos = tmp_path_factory.mktemp("videos")
    for seed in range(3):
        make_faces(videos / f"{seed}.mp4", seed=seed)
    out = tmp_path_factory.mktemp("out")
    extract(
        videos, out, detector="brightest", landmarker="oval", au="none", frames="4", jobs=1,
        images=False,
    )  # fmt: skip
    patch.undo()
    return out


@pytest.mark.parametrize("options", [{}, {"faces": 1}, {"key": "1.mp4"}, {"masks": True}])
def test_a_picture_is_written_whole(folder, tmp_path, options):
    path = preview(folder, tmp_path / "a.png", **options)
    assert cv2.imread(str(path)).shape[1] == 1600
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_fewer_faces_make_a_smaller_sheet(folder, tmp_path):
    one, many = (preview(folder, tmp_path / f"{n}.png", faces=n) for n in (1, 12))
    assert cv2.imread(str(one)).shape[0] < cv2.imread(str(many)).shape[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"faces": 0}, "--faces"), ({"faces": 101}, "--faces"), ({"key": "none"}, "no such face")],
)
def test_what_cannot_be_drawn_is_said(folder, tmp_path, options, said):
    with pytest.raises(BadInput, match=said):
        preview(folder, tmp_path / "a.png", **options)
    assert not list(tmp_path.iterdir())
