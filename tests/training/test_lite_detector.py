import numpy as np
import pytest
import torch

from facekit.detectors.lite import LiteDetector
from facekit.detectors.lite_network import LiteDetectorNetwork
from training import lite_detector
from training.lite_detector import fitted, train, views
from training.lite_faces import annotated_faces, photographs
from training.lite_scenes import Photograph, Scene
from training.lite_teacher import Labels


class Bright:
    """Scenes of one white square on black, where the network should find it."""

    def __call__(self, size_wh, rng):
        side = int(rng.integers(20, 80))
        x, y = (int(rng.integers(0, length - side)) for length in size_wh)
        image_HWC = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        image_HWC[y : y + side, x : x + side] = 255
        box = np.array([x, y, x + side, y + side], np.float32)
        middle = (box[:2] + box[2:]) / 2
        return Scene(
            image_HWC=image_HWC,
            box_xyxy=box[None],
            points_xy=np.tile(middle, (1, 5, 1)).astype(np.float32),
            ignored_xyxy=np.empty((0, 4), np.float32),
        )


def fresh():
    torch.manual_seed(0)
    return LiteDetectorNetwork(norm=True).to(memory_format=torch.channels_last)


@pytest.fixture
def few(monkeypatch):
    """Small batches of small scenes."""
    monkeypatch.setattr(lite_detector, "BATCH", 4)
    monkeypatch.setattr(lite_detector, "SIZES_WH", ((128, 96), (96, 96)))
    monkeypatch.setattr(lite_detector, "_REMEMBERED", 0.9)


def weights_of(network):
    return torch.cat([value.float().flatten() for value in network.state_dict().values()])


def test_it_learns(few):
    """A white square on black is found after a hundred small batches."""
    network = fitted(fresh(), Bright(), seed=0, steps=100)
    scenes = [Bright()((128, 96), np.random.default_rng(seed)) for seed in range(20, 40)]
    right = 0
    for scene in scenes:
        with torch.inference_mode():
            img_NHWC = torch.from_numpy(scene.image_HWC)[None].float()
            found = network(img_NHWC.permute(0, 3, 1, 2))
        best = found.box_NP4[0, int(found.logit_NP[0].argmax())].numpy()
        low, high = (
            np.maximum(best[:2], scene.box_xyxy[0, :2]),
            np.minimum(best[2:], scene.box_xyxy[0, 2:]),
        )
        shared = np.clip(high - low, 0, None).prod()
        areas = (best[2:] - best[:2]).prod() + (
            scene.box_xyxy[0, 2:] - scene.box_xyxy[0, :2]
        ).prod()
        right += shared / (areas - shared) > 0.5
    assert right >= 15


def test_the_same_seed_gives_the_same_network(few):
    first, second, other = (fitted(fresh(), Bright(), seed=s, steps=4) for s in (0, 0, 1))
    assert torch.equal(weights_of(first), weights_of(second))
    assert not torch.equal(weights_of(first), weights_of(other))


def test_views_are_large_pictures():
    assert all(view.ndim == 3 and min(view.shape[:2]) > 200 for view in views())


def test_the_whole_way(few, monkeypatch, data_dir, weights_dir, tmp_path):
    """Teachers, scenes, a few steps, the file, its scores: twice the same, for the same seed."""
    faces, pictures = annotated_faces(data_dir), photographs(data_dir)
    some = [f for f in faces if f.held_back][:3] + [f for f in faces if not f.held_back][:5]
    monkeypatch.setattr(lite_detector, "annotated_faces", lambda _: some)
    monkeypatch.setattr(lite_detector, "photographs", lambda _: pictures[:12])
    monkeypatch.setattr(lite_detector, "_JUDGED", 6)
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made = train(data_dir, tmp_path / name, seed=3, device="cpu", steps=2)
        files.append((tmp_path / name / "lite_detector.safetensors").read_bytes())
    assert files[0] == files[1]
    assert made["scenes"] == 6
    assert 0 <= made["recall"] <= 1
    path = tmp_path / "first" / "lite_detector.safetensors"
    assert len(LiteDetector(str(path), device="cpu")([np.zeros((50, 60, 3), np.uint8)])) == 1


def test_the_two_sides_share_no_photograph(monkeypatch, data_dir):
    """With teachers that see nothing: only who is held back matters here."""

    class Blind:
        def __init__(self, device):
            pass

        def __call__(self, image_HWC, marked_xy=None):
            none = np.empty((0, 4), np.float32)
            return Labels(box_xyxy=none, points_xy=none.reshape(0, 5, 2), ignored_xyxy=none)

    monkeypatch.setattr(lite_detector, "Teacher", Blind)
    taught, held_back = lite_detector.labelled(data_dir, "cpu")
    assert all(isinstance(one, Photograph) for one in (*taught, *held_back))
    assert len(taught) + len(held_back) == len(annotated_faces(data_dir)) + len(
        photographs(data_dir)
    )
    assert 0.05 < len(held_back) / len(taught) < 0.2
    held = {one.levels[0].tobytes() for one in held_back}
    assert not held & {one.levels[0].tobytes() for one in taught}
