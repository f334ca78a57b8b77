from dataclasses import replace

import av
import numpy as np
import pandas as pd
import pytest
import synthetic_faces
import torch
import trained_runs

from facekit.errors import BadInput, BadVideo
from training import localisation
from training.checkpoint import load_model
from training.face_scores import Scores
from training.localisation import Localisation, Masks, localise
from training.scoring import Scored
from training.table import read_table
from training.tiers import open_source

SIZE, FRAMES = 48, 2
SIDE = 2 * SIZE  # of the frame, in whose middle the crop lies


def _half(right=False):
    """White left or right half of a frame."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, SIDE // 2 :] = 255
    return mask if right else mask[:, ::-1].copy()


def _write_png(path, mask_HW):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "gray"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(mask_HW, format="gray")))
        container.mux(stream.encode(None))


def _write_video(path, masks):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for mask_HW in masks:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(mask_HW, format="gray")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("localisation") / "shards"
    return read_table([synthetic_faces.make_shards(folder, videos=8, frames=FRAMES, size=SIZE)])


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(trained_runs.write_run(tmp_path_factory.mktemp("localisation") / "run"))


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """A folder of PNGs, a video, one that is cut short, one that is none."""
    folder = tmp_path_factory.mktemp("localisation") / "masks"
    for index in (0, 10):
        _write_png(folder / "png" / f"{index:04d}.png", _half())
    _write_video(folder / "whole.mp4", [_half()] * 11)
    _write_video(folder / "short.mp4", [_half()] * 5)
    (folder / "bad.mp4").write_bytes(b"no video")
    return Masks(folder)


@pytest.fixture(scope="module")
def masked(table):
    """The four fakes have each another kind of mask."""
    paths = iter(["png", "whole.mp4", "short.mp4", "bad.mp4"])
    mask_path = [next(paths) if label else "" for label in table.videos["label"]]
    return replace(table, videos=table.videos.assign(mask_path=mask_path))


@pytest.mark.parametrize("kind", ["png", "whole.mp4"])
def test_masks_are_read_by_frame(masks, kind):
    found = masks.read(kind, [0, 10])
    assert sorted(found) == [0, 10] and masks.read(kind, []) == {}
    for mask in found.values():
        assert mask.shape == (SIDE, SIDE)
        assert np.abs(mask.astype(int) - _half()).mean() < 2
    assert sorted(masks.read(kind, [10, 99])) == [10]


def test_what_is_no_mask_is_said(masks, tmp_path):
    for name in ("bad.mp4", "missing.mp4"):
        with pytest.raises(BadVideo, match="the mask cannot be read"):
            masks.read(name, [0])
    with pytest.raises(BadInput, match="no such folder"):
        Masks(tmp_path / "nowhere")


def _said(map_HW):
    """A stand-in for the network: it says the same map of every face."""

    def score_batches(model, source, table, config, **_):
        for first in range(0, len(table), 5):
            index = np.arange(first, min(first + 5, len(table)))
            said = torch.tensor(map_HW).expand(len(index), -1, -1)
            yield Scored(
                faces=source.take(index),
                scores=Scores(said[:, 0, 0], said[:, 0, 0], said),
            )

    return score_batches


def _localised(table, loaded, masks):
    with open_source(table, "cpu", "device") as source:
        return localise(loaded.model, source, table, loaded.config, masks, batch=5)


LEFT = np.repeat([[1.0] * 7 + [0.0] * 7], 14, axis=0).astype(np.float32)


@pytest.mark.parametrize(
    ("said", "accuracy", "miou"),
    [(LEFT, 1.0, 1.0), (1 - LEFT, 0.0, 0.0), (0 * LEFT, 0.5, 0.25), (0 * LEFT + 1, 0.5, 0.25)],
)
def test_maps_are_compared_where_the_crop_lies(
    masked, loaded, masks, monkeypatch, said, accuracy, miou
):
    monkeypatch.setattr(localisation, "score_batches", _said(said))
    faces = _localised(masked, loaded, masks)
    assert len(faces) == len(masked)
    fakes = faces[(faces["label"] == 1) & (faces["missing"] == "")]
    assert len(fakes) == 5  # two, two, and the first frame of the one cut short
    assert fakes["pixel_accuracy"].to_numpy() == pytest.approx(accuracy, abs=0.03)
    assert fakes["miou"].to_numpy() == pytest.approx(miou, abs=0.06)


def test_reals_have_an_empty_mask_and_fakes_without_one_are_counted(
    masked, loaded, masks, monkeypatch
):
    monkeypatch.setattr(localisation, "score_batches", _said(0 * LEFT))
    faces = _localised(masked, loaded, masks)
    videos = masked.videos
    (found,) = Localisation.by_dataset([faces], videos).values()
    assert (found.real, found.fake) == (8, 5)
    assert found.missing == {"no mask of that frame": 1, "the mask cannot be read": 2}
    assert found.pixel_accuracy_fake == pytest.approx(0.5, abs=0.03)
    assert found.pixel_accuracy == pytest.approx((8 + 2.5) / 13, abs=0.03)
    assert found.miou == pytest.approx((8 + 1.25) / 13, abs=0.03)
    unmasked = replace(masked, videos=videos.assign(mask_path=""))
    (nothing,) = Localisation.by_dataset([_localised(unmasked, loaded, masks)], videos).values()
    assert nothing.missing == {"the video has no mask": 8} and np.isnan(nothing.miou_fake)
    assert Localisation.by_dataset([], videos) == {}


def test_the_cut_follows_the_affine():
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 30:50] = 255
    # The crop is the frame from (30, 10) on, twice as large.
    affine = np.float32([[2, 0, -60], [0, 2, -20]])
    cut = localisation._cut(mask, affine, 64)
    assert cut.dtype == torch.uint8 and cut.shape == (64, 64)
    assert bool((cut[:19, :39] == 255).all()) and not bool(cut[22:].any())
    assert not bool(cut[:, 42:].any())


def test_a_network_says_where(masked, loaded, masks):
    faces = _localised(masked, loaded, masks)
    assert faces["pixel_accuracy"].between(0, 1).all() and faces["miou"].between(0, 1).all()
    assert pd.unique(faces["key"]).tolist() == masked.videos["key"].tolist()


def test_a_network_without_tokens_says_nothing_of_where(masked, masks, tmp_path):
    config = trained_runs.config(data={"task": "labelled"})
    loaded = load_model(trained_runs.write_run(tmp_path, config))
    with pytest.raises(BadInput, match="has learnt no tokens"):
        _localised(masked, loaded, masks)
