"""One video's way, in one block and in many, with cheap backends and with real ones."""

import dataclasses
import hashlib

import numpy as np
import pytest
from trials import make_faces

from facekit import measure as measuring
from facekit import shards
from facekit.action_units import AULabels
from facekit.errors import BadVideo
from facekit.measure import Backends, measure
from facekit.options import Measurement
from facekit.video import Video


class WholeVideo:
    """An AU engine that is sure of its labels only when the video has ended."""

    models = ()
    device = "cpu"
    au_names = ("AU01",)
    mode = "dynamic"

    def __init__(self):
        self.seen = []

    def __call__(self, faces):
        self.seen += [face.track_id * 1000 + face.frame_index for face in faces]
        return AULabels.unknown(len(faces), 1)

    def finish(self):
        seen, self.seen = self.seen, []
        if not seen:
            return None
        score = np.array(seen, np.float32)[:, None]
        occurrence = np.ones(score.shape, np.int8)
        return AULabels(occurrence=occurrence, intensity=np.ones_like(score), score=score)


def _part(source, path, options, *, models=None):
    """The part of a video, and how it was measured."""
    models = models or Backends.load(options, device="cpu")
    header = models.provenance(options)
    with shards.PartWriter(path, header, size_px=options.size, images=options.images) as writer:
        measured = measure(source, options, models, writer.append)
        writer.close(measured.record, keep_tracks=measured.keep_tracks, labels=measured.labels)
    return measured


@pytest.fixture
def options(plugins):
    return Measurement(**plugins, frames="all", size=64)


def _video(path):
    return Video(key="a", path=path, relative_path=path.name)


@pytest.mark.parametrize(
    ("black", "status", "with_face"),
    [((), "ok", 12), ((0, 1, 2), "ok", 9), (range(12), "no_face", 0)],
)
def test_frames_are_counted_as_they_are(options, tmp_path, black, status, with_face):
    clip = make_faces(tmp_path / "a.mp4", frames=12, black=black)
    record = _part(_video(clip), tmp_path / "a.h5", options).record
    assert (record.status, record.frames_with_face) == (status, with_face)
    assert record.frames_expected == record.frames_decoded == record.frames_sampled == 12
    assert record.size_wh == (64, 48)
    assert record.fps == 25
    assert len(record.sha256) == 64


def test_what_is_no_video_is_said_so(options, tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(BadVideo, match=r"a\.mp4"):
        _part(_video(tmp_path / "a.mp4"), tmp_path / "a.h5", options)
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(("detect_every", "at_least"), [(1, 24), (5, 12)])
def test_progress_is_told_of_often(options, tmp_path, detect_every, at_least):
    """With every frame, and with every face that the detector has looked for."""
    calls = []
    clip = make_faces(tmp_path / "a.mp4", frames=12)
    options = dataclasses.replace(options, detect_every=detect_every)
    models = Backends.load(options)
    measure(_video(clip), options, models, calls.append, progress=lambda: calls.append(None))
    assert calls.count(None) > at_least


@pytest.mark.parametrize("block_frames", [1, 5, 64])
@pytest.mark.parametrize("slice_faces", [1, 3, 64])
def test_blocks_do_not_show_in_the_result(
    options, tmp_path, monkeypatch, block_frames, slice_faces
):
    clip = make_faces(tmp_path / "a.mp4", frames=23)
    _part(_video(clip), tmp_path / "whole.h5", options)
    monkeypatch.setattr(measuring, "BLOCK_FRAMES", block_frames)
    monkeypatch.setattr(measuring, "SLICE_FACES", slice_faces)
    _part(_video(clip), tmp_path / "blocks.h5", options)
    assert (tmp_path / "blocks.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.parametrize(("face", "people"), [("largest", 1), ("all", 3)])
def test_many_people_in_many_blocks(weights_dir, pyfeat_clips, tmp_path, monkeypatch, face, people):
    """Real faces: a folder of one picture again and again, labels that come at the end."""
    del weights_dir
    (tmp_path / "frames").mkdir()
    picture = (pyfeat_clips / "multi_face.jpg").read_bytes()
    for index in range(4):
        (tmp_path / f"frames/{index}.jpg").write_bytes(picture)
    options = Measurement(
        detector="insightface:scrfd_500m_kps",
        landmarker="mobilefacenet",
        au="none",
        frames="all",
        face=face,
        images=False,
    )
    models = dataclasses.replace(Backends.load(options), action_units=WholeVideo())
    bytes_of = {}
    for block_frames in (64, 3, 1):
        monkeypatch.setattr(measuring, "BLOCK_FRAMES", block_frames)
        path = tmp_path / f"{block_frames}.h5"
        measured = _part(_video(tmp_path / "frames"), path, options, models=models)
        assert measured.record.frames_with_face == 4
        with shards.open_shards(path) as part:
            columns = part[:].columns
        of_face = columns["track_id"] * 1000 + columns["frame_index"]
        assert columns["au_score"][:, 0].tolist() == of_face.tolist()
        assert len(np.unique(columns["track_id"])) >= people
        assert face == "all" or len(np.unique(columns["track_id"])) == 1
        bytes_of[block_frames] = path.read_bytes()
    assert len(set(bytes_of.values())) == 1


def test_what_a_failed_video_left_in_the_engine_is_not_the_next_ones(options, tmp_path):
    models = dataclasses.replace(Backends.load(options), action_units=WholeVideo())
    clip = _video(make_faces(tmp_path / "a.mp4", frames=3))

    def fail(block):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        measure(clip, options, models, fail)
    measured = _part(clip, tmp_path / "a.h5", options, models=models)
    assert len(measured.labels.score) == 3


@pytest.mark.parametrize(
    ("size_px", "faces", "lengths"),
    [(224, 0, []), (224, 130, [64, 64, 2]), (2048, 5, [4, 1]), (1024, 16, [16])],
)
def test_slices_bound_the_memory_of_crops(size_px, faces, lengths):
    assert [len(some) for some in measuring._slices(range(faces), size_px)] == lengths


def test_a_warm_up_leaves_no_trace(options):
    models = dataclasses.replace(Backends.load(options), action_units=WholeVideo())
    models.warm_up(options)
    assert models.action_units.finish() is None


def test_the_provenance_names_what_decides_the_result(plugins):
    options = Measurement(**plugins, min_score=0.25)
    told = Backends.load(options).provenance(options)
    assert told.measurement == options.as_json()
    assert told.backends["detector"] == {"name": "brightest", "models": {}, "min_score": 0.25}
    assert told.au_mode == "none"
    assert len(told.au_names) == 15
    assert told.versions["facekit"]


def test_the_file_that_labels_were_read_from_is_recorded(data_dir, plugins, tmp_path):
    folder = data_dir / "openface_reference/ffpp"
    csv = f"openface-csv:{folder}"
    clip = data_dir / "ffpp/original_sequences/youtube/c23/videos/035.mp4"
    options = Measurement(detector="brightest", landmarker=csv, au=csv, frames="2", size=64)
    record = _part(_video(clip), tmp_path / "a.h5", options).record
    read = folder / "original__035.csv.gz"
    assert record.labels_sha256 == hashlib.sha256(read.read_bytes()).hexdigest()
    plain = dataclasses.replace(options, landmarker="oval", au="none")
    assert _part(_video(clip), tmp_path / "b.h5", plain).record.labels_sha256 == ""
