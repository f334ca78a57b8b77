import resource
import signal

import av
import numpy as np
import pytest
from clips import make_clip

from facekit import video
from facekit.errors import DiskFull
from training import video_writer
from training.video_writer import writing

NAN = float("nan")


def _picture(level, side=(48, 64)):
    return np.full((*side, 3), level, np.uint8)


def _write(target, source, pictures, times, fps=25.0):
    with writing(target, source=source, fps=fps) as writer:
        for picture, time_s in zip(pictures, times, strict=True):
            writer.write(picture, time_s)


def _read(path):
    with av.open(str(path)) as made:
        kinds = [
            (stream.type, stream.codec_context.codec.canonical_name) for stream in made.streams
        ]
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in made.decode(video=0)]
    return kinds, frames


@pytest.mark.parametrize(
    ("times", "fps", "expected"),
    [
        ([0.0], 25.0, [0.0]),
        ([0.0, 0.04, 0.5], 25.0, [0.0, 0.04, 0.5]),
        ([NAN, NAN, NAN], 10.0, [0.0, 0.1, 0.2]),
        ([NAN, NAN], NAN, [0.0, 0.04]),
        ([0.0, 0.0, 0.04], 25.0, [0.0, 1 / 60_000, 0.04]),
        ([1001 / 30000 * i for i in range(4)], 29.97, [1001 / 30000 * i for i in range(4)]),
    ],
)
def test_times(tmp_path, times, fps, expected):
    _write(tmp_path / "a.mp4", tmp_path, [_picture(i * 20) for i in range(len(times))], times, fps)
    kinds, frames = _read(tmp_path / "a.mp4")
    assert kinds == [("video", "h264")]
    assert [time for time, _ in frames] == pytest.approx(expected, abs=2e-5)


def test_odd_and_changing_sizes(tmp_path):
    pictures = [_picture(200, (31, 45)), _picture(50, (60, 90))]
    _write(tmp_path / "a.mp4", tmp_path, pictures, [0.0, 0.04])
    _, frames = _read(tmp_path / "a.mp4")
    assert [image.shape for _, image in frames] == [(32, 46, 3)] * 2
    assert [int(image[10, 10, 0]) for _, image in frames] == pytest.approx([200, 50], abs=4)


@pytest.mark.parametrize("colour", [(220, 30, 30), (30, 200, 40), (20, 40, 230)])
def test_colours(tmp_path, colour):
    picture = np.broadcast_to(np.array(colour, np.uint8), (48, 64, 3))
    _write(tmp_path / "a.mp4", tmp_path, [picture] * 3, [0.0, 0.04, 0.08])
    for frame in video.sample(tmp_path / "a.mp4", "all"):
        assert frame.image_HWC[20, 20].tolist() == pytest.approx(colour, abs=5)


def test_without_x264_it_is_mpeg4(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer.av, "codecs_available", {"mpeg4"})
    _write(tmp_path / "a.mp4", tmp_path, [_picture(i * 20) for i in range(5)], [NAN] * 5, 23.976)
    kinds, frames = _read(tmp_path / "a.mp4")
    assert kinds == [("video", "mpeg4")]
    assert [time for time, _ in frames] == pytest.approx([i / 23.976 for i in range(5)], abs=1e-4)


def _packets(path):
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(file.streams.audio[0]) if packet.size]


@pytest.mark.parametrize("name", ["single_face.mp4", "face_noface.mov"])
def test_sound_is_copied_as_it_is(pyfeat_clips, tmp_path, name):
    source = pyfeat_clips / name
    _write(tmp_path / "a.mp4", source, [_picture(i) for i in range(9)], [i / 3 for i in range(9)])
    assert _packets(tmp_path / "a.mp4") == _packets(source)
    kinds, frames = _read(tmp_path / "a.mp4")
    assert [kind for kind, _ in kinds] == ["video", "audio"]
    assert len(frames) == 9


def test_sound_that_an_mp4_does_not_take_is_left_out(tmp_path, caplog):
    source = tmp_path / "a.avi"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    _write(tmp_path / "a.mp4", source, [_picture(9)], [0.0])
    assert [kind for kind, _ in _read(tmp_path / "a.mp4")[0]] == ["video"]
    assert "its sound is left out: an MP4 takes no pcm_s16le" in caplog.text


def test_a_source_without_sound(tmp_path):
    clip = make_clip(tmp_path / "mute.mp4", frames=2)
    _write(tmp_path / "a.mp4", clip, [_picture(9)], [0.0])
    assert [kind for kind, _ in _read(tmp_path / "a.mp4")[0]] == ["video"]


def test_nothing_is_left_of_a_video_that_was_not_finished(tmp_path):
    with pytest.raises(KeyError), writing(tmp_path / "a.mp4", source=tmp_path, fps=25) as writer:
        writer.write(_picture(9), 0.0)
        raise KeyError
    assert not list(tmp_path.iterdir())


@pytest.fixture
def little_room():
    """Files of at most 200 kB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_clean_error(tmp_path, little_room):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(40)]
    with pytest.raises(DiskFull, match=r"a\.mp4: File too large; free some and run it again"):
        _write(tmp_path / "a.mp4", tmp_path, noise, [NAN] * len(noise))
    assert not list(tmp_path.iterdir())
