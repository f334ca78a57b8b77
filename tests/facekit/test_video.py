"""Tests of facekit.video: plans, counts, times, colours and turns of whole videos."""

import hashlib
import math
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import copy_packets, gradient, make_clip, make_sound, quadrants

from facekit import schema, video
from facekit.errors import BadInput, BadVideo

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "damaged_clips.py"


def read_all(path: Path) -> tuple[video.Reading, list[video.SampledFrame]]:
    reading = video.sample(path, "all")
    return reading, list(reading)


def opencv_frames(path: Path) -> list[np.ndarray]:
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        more, image_bgr = capture.read()
        if not more:
            return found
        found.append(image_bgr[..., ::-1])


@pytest.mark.parametrize(
    ("plan", "expected", "want"),
    [
        ("32", 0, nullcontext([])),
        ("all", 0, nullcontext([])),
        ("every:10", 0, nullcontext([])),
        ("1", 100, nullcontext([0])),
        ("2", 100, nullcontext([0, 99])),
        ("3", 100, nullcontext([0, 50, 99])),  # 49.5 goes up
        ("4", 7, nullcontext([0, 2, 4, 6])),
        ("5", 5, nullcontext([0, 1, 2, 3, 4])),
        ("32", 3, nullcontext([0, 1, 2])),  # fewer frames than asked for: each once
        ("all", 3, nullcontext([0, 1, 2])),
        ("every:1", 3, nullcontext([0, 1, 2])),
        ("every:10", 21, nullcontext([0, 10, 20])),
        ("every:10", 20, nullcontext([0, 10])),
        ("0", 3, pytest.raises(BadInput, match="'0'")),
        ("-1", 3, pytest.raises(BadInput, match="'-1'")),
        ("every:0", 3, pytest.raises(BadInput, match="every:0")),
        ("every:", 3, pytest.raises(BadInput, match="every:")),
        ("some", 3, pytest.raises(BadInput, match="some")),
    ],
)
def test_wanted(plan, expected, want):
    with want as indices:
        assert list(video.wanted(plan, expected)) == indices


@pytest.mark.parametrize("count", [2, 7, 8, 32, 33])
@pytest.mark.parametrize("frames", [34, 127, 152, 751, 90_000, 2**31 - 1])
def test_even_positions_are_linspace(count, frames):
    got = np.array(video.wanted(str(count), frames))
    # numpy computes in float64 and rounds halves to even: one frame apart at most.
    exact = np.linspace(0, frames - 1, count)
    assert np.abs(got - exact).max() <= 0.5
    assert got[0] == 0
    assert got[-1] == frames - 1
    assert len(set(got.tolist())) == count
    assert (np.diff(got) > 0).all()


@pytest.mark.parametrize(
    ("expected", "decoded", "corrupt", "want"),
    [
        (0, 0, 0, "ok"),
        (72, 72, 0, "ok"),
        (72, 73, 0, "ok"),
        (72, 72, 1, "corrupt_frames"),
        (72, 71, 0, "short_read"),
        (72, 71, 1, "short_read"),
    ],
)
def test_reading_status(expected, decoded, corrupt, want):
    got = video.reading_status(
        frames_expected=expected, frames_decoded=decoded, frames_corrupt=corrupt
    )
    assert got == want
    assert got in schema.STATUSES


CLIPS: dict[str, dict] = {
    "b_frames.mp4": {"options": {"bf": "3"}},
    "open_group.mp4": {"options": {"open-gop": "1", "bf": "3"}},
    "interlaced.mp4": {"options": {"flags": "+ildct+ilme"}},
    "front.mp4": {"container_options": {"movflags": "faststart"}},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "one_frame.mp4": {"frames": 1},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "part2.mp4": {"codec": "mpeg4"},
    "part2.avi": {"codec": "mpeg4"},
    "jpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "plain.mkv": {},
    "one_frame.mkv": {"frames": 1},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"lag-in-frames": "8", "auto-alt-ref": "1"}},
    "live.webm": {"codec": "libvpx-vp9", "container_options": {"live": "1"}},
    "plain.ts": {},
    "intra_refresh.ts": {"options": {"intra-refresh": "1"}},
    "one_frame.ts": {"frames": 1},
    "program.mpg": {"codec": "mpeg2video"},
    "raw.h264": {},
    "plain.flv": {},
    "ten_bits.mp4": {"codec": "libx264", "pix_fmt": "yuv420p10le"},
    "full_chroma.mp4": {"pix_fmt": "yuv444p"},
    "odd.mkv": {"codec": "ffv1", "size_wh": (97, 65)},
    "gray.mkv": {"codec": "ffv1", "pix_fmt": "gray"},
    "alpha.mkv": {"codec": "ffv1", "pix_fmt": "bgra"},
    "palette.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "still.png": {"codec": "png", "pix_fmt": "rgb24", "frames": 1},
}
"""Healthy files of every kind; the number of frames is 24 unless told."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("clips")

    def clip(name: str) -> Path:
        path = folder / name
        return path if path.exists() else make_clip(path, **CLIPS[name])

    return clip


@pytest.mark.parametrize("name", CLIPS)
def test_a_healthy_clip_is_ok(clips, name):
    path = clips(name)
    count = CLIPS[name].get("frames", 24)
    reading, frames = read_all(path)
    assert (reading.status, reading.frames_corrupt) == ("ok", 0)
    assert reading.info.frames_expected == reading.info.frames_found == count
    assert reading.frames_decoded == reading.frames_sampled == len(frames) == count
    assert [frame.frame_index for frame in frames] == list(range(count))
    assert all(np.diff([frame.pts_s for frame in frames]) > 0)
    width, height = reading.info.size_wh
    assert (width, height) == CLIPS[name].get("size_wh", (96, 64))
    assert all(frame.image_HWC.shape == (height, width, 3) for frame in frames)
    assert all(frame.image_HWC.dtype == np.uint8 for frame in frames)
    # A frame out of place would differ by tens of grey levels.
    for frame in (frames[0], frames[-1]):
        truth = gradient(frame.frame_index, width, height).astype(float)
        if CLIPS[name].get("pix_fmt") == "gray":
            truth = np.repeat((truth @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
        assert np.abs(cv2.blur(truth, (9, 9)) - cv2.blur(frame.image_HWC, (9, 9))).mean() < 8


@pytest.mark.parametrize("name", ["b_frames.mp4", "vp9.webm", "full_chroma.mp4", "part2.avi"])
def test_samples_are_frames_of_the_whole(clips, name):
    _, frames = read_all(clips(name))
    for plan in ("5", "every:7"):
        for one in video.sample(clips(name), plan):
            same = frames[one.frame_index]
            assert one.pts_s == same.pts_s
            assert np.array_equal(one.image_HWC, same.image_HWC)


def test_counts_agree_with_opencv_and_plain_pyav(clips):
    for name in ("b_frames.mp4", "hevc.mp4", "plain.mkv", "vp9.webm", "plain.ts"):
        reading, _ = read_all(clips(name))
        with av.open(str(clips(name))) as container:
            plain = sum(1 for _ in container.decode(video=0))
        assert reading.frames_decoded == plain == len(opencv_frames(clips(name)))


def test_real_clips_match_opencv(data_dir):
    clips = sorted(data_dir.glob("ffpp/original_sequences/*/c23/videos/*.mp4"))[:2]
    assert clips
    for path in clips:
        reading = video.sample(path, "6")
        # These are 4:4:4, so that no interpolation of chroma comes between.
        truth = opencv_frames(path)
        for frame in reading:
            difference = frame.image_HWC.astype(int) - truth[frame.frame_index]
            assert np.abs(difference).max() <= 1
        assert reading.status == "ok"
        assert reading.frames_decoded == len(truth)


def test_every_real_clip_is_ok(data_dir, pyfeat_clips):
    paths = [
        *sorted(data_dir.glob("dfdc/*.mp4")),
        *sorted(data_dir.glob("talking/*.mp4"))[:1],
        *sorted(data_dir.glob("ffpp/*/*/c23/videos/*.mp4"))[::47],
        *sorted(pyfeat_clips.glob("*.mp4")),
        pyfeat_clips / "face_noface.mov",
    ]
    statuses = {path.name: video.sample(path, "1") for path in paths}
    for reading in statuses.values():
        assert len(list(reading)) == 1
    assert {name: reading.status for name, reading in statuses.items()} == dict.fromkeys(
        statuses, "ok"
    )


def test_an_edit_list_takes_frames_away(pyfeat_clips):
    # Three leading packets of this clip are there to be decoded, not to be shown.
    info = video.probe(pyfeat_clips / "no_face.mp4")
    assert info.frames_expected == 95


@pytest.mark.parametrize("turn_deg", [0, 90, 180, -90])
@pytest.mark.parametrize(
    ("suffix", "mirror"),
    [  # Matroska keeps a turn but no mirror image.
        (".mkv", (False, False)),
        (".mp4", (False, False)),
        (".mp4", (True, False)),
        (".mp4", (False, True)),
    ],
)
def test_pictures_stand_upright(tmp_path, turn_deg, suffix, mirror):
    turn = (turn_deg, *mirror)
    path = make_clip(tmp_path / f"q{suffix}", frames=2, picture=quadrants, turn=turn)
    want = np.rot90(quadrants(0, 96, 64), turn_deg // 90)
    want = want[:, ::-1] if mirror[0] else want
    want = want[::-1] if mirror[1] else want
    reading = video.sample(path, "1")
    image = next(reading).image_HWC
    assert reading.info.size_wh == (want.shape[1], want.shape[0])
    assert image.shape == want.shape
    assert image.flags.c_contiguous
    if not any(mirror):
        assert reading.info.rotation_deg == -turn_deg % 360
    height, width = want.shape[:2]
    for y in (height // 4, 3 * height // 4):
        for x in (width // 4, 3 * width // 4):
            assert np.abs(image[y, x].astype(int) - want[y, x]).max() <= 4


def test_a_turned_real_phone_matrix(tmp_path):
    # The nine numbers of a track header as phones write them, patched in by hand.
    path = make_clip(tmp_path / "q.mp4", frames=2, picture=quadrants)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    quarter = (0, 1 << 16, 0, -(1 << 16) & 0xFFFFFFFF, 0, 0, 64 << 16, 0, 1 << 30)
    data[at : at + 36] = b"".join(n.to_bytes(4, "big") for n in quarter)
    path.write_bytes(data)
    reading = video.sample(path, "1")
    image = next(reading).image_HWC
    assert (reading.info.rotation_deg, reading.info.size_wh) == (90, (64, 96))
    assert np.abs(image.astype(int) - opencv_frames(path)[0]).mean() < 6


@pytest.mark.parametrize("tags", [None, (1, 1), (1, 2), (5, 1), (6, 1), (9, 1), (9, 2), (2, 2)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_colours_survive(tmp_path, tags, pix_fmt):
    path = make_clip(
        tmp_path / "q.mp4",
        frames=1,
        picture=quadrants,
        tags=tags,
        pix_fmt=pix_fmt,
        options={"crf": "1"},
    )
    image = next(video.sample(path, "1")).image_HWC
    want = quadrants(0, 96, 64)
    for y, x in ((16, 24), (16, 72), (48, 24), (48, 72)):
        assert np.abs(image[y, x].astype(int) - want[y, x]).max() <= 3
    if pix_fmt == "yuv444p":
        assert np.abs(image.astype(int) - opencv_frames(path)[0]).max() <= 1


def test_untagged_is_bt601_limited_at_any_size(tmp_path):
    # Encoded with BT.709 but not tagged: read as BT.601, green comes out wrong by a known amount.
    green = np.full((720, 1280, 3), (40, 200, 40), np.uint8)
    tagged = make_clip(
        tmp_path / "t.mkv",
        frames=1,
        codec="ffv1",
        pix_fmt="yuv444p",
        tags=(1, 1),
        size_wh=(1280, 720),
        picture=lambda index, width, height: green,
    )
    untagged = tmp_path / "u.mkv"
    with av.open(str(tagged)) as before, av.open(str(untagged), "w") as after:
        stream = after.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv444p"
        frame = next(before.decode(video=0))
        luma, cb, cr = (frame.to_ndarray()[plane, 0, 0] for plane in range(3))
        frame.colorspace, frame.color_range = 2, 0
        after.mux(stream.encode(frame))
        after.mux(stream.encode(None))
    red = 1.164384 * (int(luma) - 16) + 1.596027 * (int(cr) - 128)
    blue = 1.164384 * (int(luma) - 16) + 2.017232 * (int(cb) - 128)
    image = next(video.sample(untagged, "1")).image_HWC
    assert abs(int(image[0, 0, 0]) - red) <= 1
    assert abs(int(image[0, 0, 2]) - blue) <= 1
    assert abs(int(next(video.sample(tagged, "1")).image_HWC[0, 0, 0]) - 40) <= 2


def test_reading_twice_gives_the_same_bytes(clips):
    for name in ("b_frames.mp4", "ten_bits.mp4"):
        first, second = (
            [frame.image_HWC.tobytes() for frame in read_all(clips(name))[1]] for _ in range(2)
        )
        assert first == second


def test_variable_frame_rate_keeps_its_times(tmp_path):
    pts = [0, 1, 2, 10, 11, 40, 41, 100]
    path = make_clip(tmp_path / "v.mp4", frames=8, pts=pts, options={"bf": "0"})
    reading, frames = read_all(path)
    assert [frame.pts_s for frame in frames] == [tick / 25 for tick in pts]
    assert reading.status == "ok"
    assert reading.info.fps != 25


def test_frames_without_times_are_counted_out(clips):
    _, frames = read_all(clips("raw.h264"))
    assert [frame.pts_s for frame in frames] == [index / 25 for index in range(24)]


def test_a_change_of_size_in_mid_stream(tmp_path):
    parts = [
        make_clip(tmp_path / f"{width}.h264", frames=6, size_wh=(width, 64)).read_bytes()
        for width in (96, 64, 128)
    ]
    path = tmp_path / "joined.h264"
    path.write_bytes(b"".join(parts))
    reading, frames = read_all(path)
    assert reading.status == "ok"
    assert [frame.image_HWC.shape[1] for frame in frames] == [96] * 6 + [64] * 6 + [128] * 6
    assert np.abs(frames[-1].image_HWC.astype(int) - gradient(5, 128, 64)).mean() < 25


def test_odd_names(tmp_path, clips):
    for name in ("a:b c%03d.mp4", "http:x.mp4", "Ümläut 北京.mp4", "-n.mp4"):
        path = tmp_path / name
        path.write_bytes(clips("b_frames.mp4").read_bytes())
        assert len(list(video.sample(path, "3"))) == 3


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.mp4", None, "not found"),
        ("empty.mp4", b"", r"empty file \(0 bytes\)"),
        ("notes.txt", b"just some words\n" * 50, "not a video"),
        ("notes.mp4", b"just some words\n" * 50, "not a video"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nb.ts\n#EXT-X-ENDLIST\n", "not a video"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile 'b_frames.mp4'\n", "not a video"),
        ("zeros.mp4", bytes(4096), "not a video"),
        ("big.y4m", b"YUV4MPEG2 W60000 H60000 F25:1 Ip C420\nFRAME\n", "60000 x 60000|not a video"),
        ("long.y4m", b"YUV4MPEG2 W16385 H16 F25:1 C420\nFRAME\n" + bytes(9999), "16385 x 16"),
        ("none.y4m", b"YUV4MPEG2 W64 H48 F25:1 Ip C420\n", "no frame came out"),
    ],
)
def test_what_is_no_video(tmp_path, name, content, reason):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadVideo, match=reason) as caught:
        list(video.sample(path, "8"))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_sound_alone_is_no_video(tmp_path):
    with pytest.raises(BadVideo, match="no video stream"):
        video.probe(make_sound(tmp_path / "sound.mp4"))


def test_a_device_is_no_video():
    with pytest.raises(BadVideo, match="neither a file nor a folder"):
        video.probe(Path("/dev/null"))


def test_no_frame_at_all(tmp_path, clips):
    # The index is whole, the coded frames are gone.
    data = bytearray(clips("front.mp4").read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path = tmp_path / "hollow.mp4"
    path.write_bytes(data)
    with pytest.raises(BadVideo, match="no frame came out"):
        video.sample(path, "8")


def test_a_supervisor_sees_life(clips):
    calls: list[int] = []
    reading = video.sample(clips("one_frame.mp4"), "1", progress=lambda: calls.append(0))
    assert calls  # the probe is work already
    before = len(calls)
    list(reading)
    assert len(calls) > before


def test_life_without_wanted_frames(tmp_path):
    path = make_clip(tmp_path / "long.mp4", frames=200, codec="mpeg4", size_wh=(32, 32))
    calls: list[int] = []
    reading = video.sample(path, "1", progress=lambda: calls.append(0))
    probing = len(calls)
    assert probing >= 200 / 25
    assert [frame.frame_index for frame in reading] == [0]
    assert len(calls) - probing >= 200 / 25


def test_a_promise_beyond_belief_does_not_thin_out_the_sample(tmp_path, clips):
    data = bytearray(clips("front.mp4").read_bytes())
    at = data.index(b"stts") + 12
    data[at : at + 4] = (0x7FFFFFFF).to_bytes(4, "big")
    path = tmp_path / "absurd.mp4"
    path.write_bytes(data)
    reading = video.sample(path, "8")
    assert [f.frame_index for f in reading] == list(video.wanted("8", 24))
    assert reading.info.frames_expected == 2**31 - 1
    assert reading.status == "short_read"


def test_sha256_of_a_file(tmp_path, clips):
    path = clips("b_frames.mp4")
    assert video.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(BadVideo, match="cannot be read"):
        video.sha256(tmp_path / "missing.mp4")


def test_fps_is_nan_where_the_file_tells_none(clips):
    assert math.isnan(video.probe(clips("one_frame.ts")).fps)
    assert video.probe(clips("b_frames.mp4")).fps == 25


def test_damaged_clips_in_brief():
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--clips", "25", "--seed", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decode_error" in done.stdout


def test_copies_keep_every_frame(tmp_path, clips):
    # Guards the other tests: the helper that rewraps clips must not damage them.
    path = copy_packets(clips("b_frames.mp4"), tmp_path / "copy.mkv")
    assert read_all(path)[0].status == "ok"
