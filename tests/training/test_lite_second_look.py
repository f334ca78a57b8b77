import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from facekit.detectors.lite import LiteDetector
from facekit.detectors.lite_graph import CROP_PX
from facekit.detectors.lite_network import SecondLookNetwork
from facekit.errors import BadInput
from training import lite_detector, lite_second_look
from training.lite_candidates import KEPT_PX, Candidate
from training.lite_detector_file import first_look, write
from training.lite_faces import annotated_faces, photographs
from training.lite_second_look import fitted, weighed

CPU = torch.device("cpu")


def candidates(count, *, score=0.5):
    """Faces are bright in the middle, the others dark."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        image = rng.integers(80, 120, (KEPT_PX, KEPT_PX, 3)).astype(np.uint8)
        image[20:40, 20:40] = 255 if i % 2 else 0
        points = np.full((5, 2), 29.5, np.float32) if i % 2 else None
        made.append(Candidate(image_HWC=image, points_xy=points, score=score))
    return made


def look(network, some):
    crops = np.stack([one.image_HWC[6:-6, 6:-6] for one in some])
    with torch.inference_mode():
        return network(torch.from_numpy(crops).permute(0, 3, 1, 2).float())[:, 0].numpy()


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(lite_second_look, "BATCH", 16)
    monkeypatch.setattr(lite_second_look, "_REMEMBERED", 0.8)


def test_it_learns(small):
    network = fitted(candidates(40), seed=0, steps=60, device=CPU)
    logits = look(network, candidates(20))
    assert logits[1::2].min() > logits[::2].max()
    assert network.points is None


@pytest.mark.parametrize(
    ("some", "told"), [(candidates(0), "0 faces and 0"), (candidates(1), "and 1")]
)
def test_one_kind_alone_teaches_nothing(some, told):
    with pytest.raises(BadInput, match=f"{told} others to learn from"):
        fitted(some, seed=0, steps=1, device=CPU)


def test_the_same_seed_gives_the_same_network(small):
    made = [fitted(candidates(20), seed=s, steps=3, device=CPU) for s in (0, 0, 1)]
    first, second, other = ([p.flatten() for p in network.parameters()] for network in made)
    assert torch.equal(torch.cat(first), torch.cat(second))
    assert not torch.equal(torch.cat(first), torch.cat(other))


def test_looks_are_weighed_by_what_they_know():
    """The first look guesses here, so that all the trust goes to the second."""
    torch.manual_seed(0)
    network = SecondLookNetwork().eval()
    torch.nn.init.zeros_(network.face.weight)
    with torch.no_grad():  # brightness, as far as one layer sees it
        for unit in [m for m in network.stages.modules() if isinstance(m, torch.nn.Conv2d)]:
            torch.nn.init.constant_(unit.weight, 0.02)
        torch.nn.init.constant_(network.face.weight, 0.02)
    rng = np.random.default_rng(0)
    some = [
        Candidate(image_HWC=c.image_HWC, points_xy=c.points_xy, score=float(score))
        for c, score in zip(candidates(60), rng.uniform(0.3, 0.7, 60), strict=True)
    ]
    second, trust = weighed(network, some)
    logits = look(second, some)
    assert (logits[1::2] > 0).all()
    assert (logits[::2] < 0).all()
    spread = trust * np.log(0.7 / 0.3)
    assert abs(spread) < np.ptp(logits)


def test_a_first_look_that_is_quite_sure_can_be_weighed():
    _, trust = weighed(SecondLookNetwork().eval(), candidates(20, score=1.0))
    assert np.isfinite(trust)


@pytest.mark.parametrize("second", [None, SecondLookNetwork()])
def test_the_first_look_comes_back_from_a_file_with_a_second_and_without(second, tmp_path):
    path = tmp_path / "lite_detector.safetensors"
    first = lite_detector.folded(lite_detector.fresh(0))
    write(path, first, second, 1.5)
    assert ("trust" in load_file(path)) == (second is not None)
    again = first_look(path).state_dict()
    assert all(torch.equal(x.half(), again[name].half()) for name, x in first.state_dict().items())
    assert len(LiteDetector(str(path), device="cpu")([np.zeros((50, 60, 3), np.uint8)])) == 1


def test_the_whole_way(small, monkeypatch, data_dir, weights_dir, tmp_path):
    """First look, candidates, a few steps, the file, its scores: twice the same."""
    faces, pictures = annotated_faces(data_dir), photographs(data_dir)
    some = [f for f in faces if f.held_back][:4] + [f for f in faces if not f.held_back][:6]
    monkeypatch.setattr(lite_detector, "annotated_faces", lambda _: some)
    monkeypatch.setattr(lite_detector, "photographs", lambda _: pictures[:6])
    monkeypatch.setattr(lite_second_look, "_JUDGED", 6)
    monkeypatch.setattr(lite_second_look, "WEIGHED", 60)
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made = lite_second_look.train(
            data_dir, tmp_path / name, seed=3, device="cpu", count=30, steps=3
        )
        files.append((tmp_path / name / "lite_detector.safetensors").read_bytes())
    assert files[0] == files[1]
    assert made["scenes"] == 6
    assert 0 <= made["recall"] <= 1
    detector = LiteDetector(str(tmp_path / "first" / "lite_detector.safetensors"), device="cpu")
    assert len(detector([np.zeros((CROP_PX, CROP_PX, 3), np.uint8)])) == 1
