"""Tests of facekit.video_file: what a damaged or an odd file promises, and what is counted."""

import random
import struct
from types import SimpleNamespace

import av
import numpy as np
import pytest
from clips import copy_packets, make_clip

from facekit import video, video_file
from facekit.errors import BadVideo

FRAMES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def front(folder):
    """An MP4 with its index in front, key frames at 0, 10, 20, 30."""
    options = {"movflags": "faststart"}
    return make_clip(folder / "front.mp4", frames=FRAMES, group=10, container_options=options)


@pytest.fixture(scope="module")
def part2(folder):
    """MPEG-4 part 2 in an AVI, without B-frames."""
    return make_clip(folder / "part2.avi", frames=FRAMES, codec="mpeg4")


def read(path):
    reading = video.sample(path, "all")
    frames = list(reading)
    return reading, frames


def written(path, data):
    path.write_bytes(data)
    return path


def plain_count(path):
    """Frames out of libav's default decoder, and those it marks or refuses."""
    frames = marked = 0
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                for frame in packet.decode():
                    frames += 1
                    marked += frame.is_corrupt
            except av.FFmpegError:
                marked += 1
    return frames, marked


def test_every_cut_mp4_is_short(front, tmp_path):
    data = front.read_bytes()
    start = data.index(b"mdat") + 8
    # One byte less cuts the last frame; from the first frame on everything can be opened.
    first_bytes = 1500
    for size in {
        *random.Random(0).sample(range(start + first_bytes, len(data)), 20),
        len(data) - 1,
    }:
        path = written(tmp_path / "cut.mp4", data[:size])
        reading, frames = read(path)
        assert reading.status == "short_read", size
        assert reading.info.frames_expected == FRAMES
        assert reading.frames_decoded >= plain_count(path)[0]
        assert len(frames) <= reading.frames_decoded < FRAMES


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("a.mkv", {}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("a.ts", {}),
        ("fragments.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    ],
)
def test_cuts_are_seen_where_no_count_is_kept(tmp_path, name, more):
    whole = make_clip(tmp_path / name, frames=FRAMES, group=10, **more)
    data = whole.read_bytes()
    for size in random.Random(1).sample(range(len(data) // 2, len(data)), 25):
        path = written(tmp_path / f"cut_{name}", data[:size])
        reading, _ = read(path)
        if reading.frames_decoded < FRAMES:
            assert reading.status == "short_read", size
        if name == "a.mkv" or name == "a.webm":
            assert reading.info.frames_expected == FRAMES


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_cut_behind_the_last_frame_loses_none(part2, tmp_path, suffix):
    whole = copy_packets(part2, tmp_path / f"whole{suffix}")
    path = written(tmp_path / f"cut{suffix}", whole.read_bytes()[:-8])
    assert read(path)[0].status == "ok"


def test_cut_in_front_of_the_index(folder, tmp_path):
    data = make_clip(folder / "behind.mp4", frames=FRAMES).read_bytes()
    path = written(tmp_path / "cut.mp4", data[: data.index(b"moov")])
    with pytest.raises(BadVideo, match="not a video, or its header is damaged"):
        video.probe(path)


def zeroed(data, rng):
    at = data.index(b"mdat") + 8 + rng.randrange(2000, 8000)
    data[at : at + 300] = bytes(300)


def flipped(data, rng):
    start = data.index(b"mdat") + 8
    for _ in range(6):
        data[rng.randrange(start, len(data))] ^= 1 << rng.randrange(8)


@pytest.mark.parametrize("damage", [zeroed, flipped])
def test_what_the_decoder_marks_is_counted(front, tmp_path, damage):
    seen = 0
    for seed in range(12):
        data = bytearray(front.read_bytes())
        damage(data, random.Random(seed))
        path = written(tmp_path / "damaged.mp4", bytes(data))
        reading, frames = read(path)
        decoded, marked = plain_count(path)
        assert reading.frames_corrupt >= marked
        assert reading.frames_decoded >= decoded
        assert reading.info.frames_expected == FRAMES
        assert (reading.status == "ok") == (
            reading.frames_decoded == FRAMES and reading.frames_corrupt == 0
        )
        # What is marked is not given away, and leaves a hole in the numbers.
        assert len(frames) <= reading.frames_decoded
        assert len(frames) >= reading.frames_decoded - reading.frames_corrupt
        seen += reading.frames_corrupt
    assert seen > 0


def test_a_marked_frame_is_not_given_but_keeps_its_number(front, tmp_path):
    with av.open(str(front)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        number = next(n for n, p in enumerate(packets) if n > 12 and p.is_keyframe)
        key = bytes(packets[number])
    data = bytearray(front.read_bytes())
    # The second half of one picture, behind its headers.
    half = data.index(key) + len(key) // 2
    data[half : half + len(key) // 4] = bytes(len(key) // 4)
    reading, frames = read(written(tmp_path / "marked.mp4", bytes(data)))
    assert (reading.frames_decoded, reading.frames_corrupt) == (FRAMES, 1)
    assert reading.status == "corrupt_frames"
    (missing,) = {*range(FRAMES)} - {frame.frame_index for frame in frames}
    assert missing == round(float(packets[number].pts * packets[number].time_base) * 25)
    assert [round(f.pts_s * 25) for f in frames] == [f.frame_index for f in frames]


def test_a_refused_frame_is_lost_and_counted(front, tmp_path):
    with av.open(str(front)) as container:
        last = bytes([p for p in container.demux(video=0) if p.size][-1])
    data = bytearray(front.read_bytes())
    at = data.index(last)
    data[at : at + len(last)] = bytes(len(last))
    reading, _ = read(written(tmp_path / "refused.mp4", bytes(data)))
    assert (reading.frames_decoded, reading.frames_corrupt) == (FRAMES - 1, 1)
    assert reading.status == "short_read"


def test_packets_that_the_container_marks(tmp_path):
    # A lost transport packet breaks the continuity counter.
    whole = make_clip(tmp_path / "a.ts", frames=FRAMES, size_wh=(320, 240))
    data = whole.read_bytes()
    middle = len(data) // 2 // 188 * 188
    reading, _ = read(written(tmp_path / "b.ts", data[:middle] + data[middle + 188 :]))
    assert reading.status != "ok"
    assert reading.frames_corrupt > 0


def test_a_start_between_key_frames(tmp_path):
    # Frames before the first key frame cannot be whole; libav would drop them in silence.
    whole = make_clip(tmp_path / "a.ts", frames=FRAMES, group=20, options={"bf": "0"})
    with av.open(str(whole)) as container:
        packets = [(p.pos, p.is_keyframe) for p in container.demux(video=0) if p.size]
    next_key = next(number for number in range(10, FRAMES) if packets[number][1])
    assert next_key > 10
    data = whole.read_bytes()
    path = written(tmp_path / "late.ts", data[: 188 * 3] + data[packets[10][0] :])
    reading, frames = read(path)
    assert reading.status == "corrupt_frames"
    assert reading.frames_corrupt == next_key - 10
    assert len(frames) == FRAMES - next_key


@pytest.mark.parametrize("skip", [0, 3, 13])
def test_an_edit_list_at_the_start(front, tmp_path, skip):
    ticks = skip * 512  # of 1/12800 s, at 25 frames a second
    path = copy_packets(front, tmp_path / "trimmed.mp4", skip_ticks=ticks)
    reading, frames = read(path)
    assert reading.info.frames_expected == len(frames) == FRAMES - skip
    assert reading.status == "ok"


@pytest.mark.parametrize(
    ("duration_ms", "start_frame", "want"), [(1600, 0, 40), (1000, 0, 25), (400, 12, 10)]
)
def test_an_edit_list_at_both_ends(front, tmp_path, duration_ms, start_frame, want):
    data = bytearray(front.read_bytes())
    at = data.index(b"elst") + 12
    (start,) = struct.unpack_from(">i", data, at + 4)
    struct.pack_into(">Ii", data, at, duration_ms, start + start_frame * 512)
    reading, frames = read(written(tmp_path / "edited.mp4", bytes(data)))
    assert reading.info.frames_expected == len(frames) == want
    assert reading.status == "ok"


def test_an_edit_list_hides_no_damage(front, tmp_path):
    # Trimmed to 25 of 40 frames, and then the tables promise three samples that are not listed.
    data = bytearray(front.read_bytes())
    struct.pack_into(">I", data, data.index(b"elst") + 12, 1000)
    at = data.index(b"stts") + 12
    assert struct.unpack_from(">I", data, at) == (FRAMES,)
    struct.pack_into(">I", data, at, FRAMES + 3)
    reading, _ = read(written(tmp_path / "edited.mp4", bytes(data)))
    assert reading.info.frames_expected == 25 + 3
    assert reading.status == "short_read"


def test_samples_of_no_bytes_are_not_expected(front, tmp_path):
    data = bytearray(front.read_bytes())
    struct.pack_into(">I", data, data.index(b"stsz") + 16 + 4 * (FRAMES - 1), 0)
    reading, _ = read(written(tmp_path / "hole.mp4", bytes(data)))
    assert (reading.info.frames_expected, reading.status) == (FRAMES - 1, "ok")


def test_dropped_frames_of_an_avi_are_not_expected(part2, tmp_path):
    data, chunk = bytearray(part2.read_bytes()), 15
    at = data.index(b"movi") + 4
    for _ in range(chunk):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    size += size % 2
    # The chunk becomes an empty one and padding; its entry in the index says so.
    data[at + 4 : at + 16] = bytes(4) + b"JUNK" + (size - 8).to_bytes(4, "little")
    entry = data.index(b"idx1") + 8 + 16 * chunk
    data[entry + 12 : entry + 16] = bytes(4)
    reading, _ = read(written(tmp_path / "dropped.avi", bytes(data)))
    assert (reading.info.frames_expected, reading.status) == (FRAMES - 1, "ok")


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mkv"])
def test_stand_ins_for_dropped_frames_are_not_expected(part2, tmp_path, suffix):
    stand_in = bytes.fromhex("000001b651cf")
    path = copy_packets(
        part2,
        tmp_path / f"n{suffix}",
        change=lambda number, data: stand_in if number in (5, 9) else data,
    )
    reading, _ = read(path)
    assert (reading.info.frames_expected, reading.frames_decoded) == (FRAMES - 2, FRAMES - 2)
    assert reading.status == "ok"


def test_frames_that_only_serve_as_reference_are_not_expected(tmp_path):
    whole = make_clip(tmp_path / "a.webm", codec="libvpx", frames=FRAMES, group=20)

    def hide(number, data):
        return bytes([data[0] & ~0x10]) + data[1:] if number in (3, 7) else data

    reading, _ = read(copy_packets(whole, tmp_path / "b.webm", change=hide))
    assert (reading.info.frames_expected, reading.frames_decoded) == (FRAMES - 2, FRAMES - 2)
    assert reading.status == "ok"


def test_a_cover_picture_is_no_video(tmp_path):
    cover = make_clip(tmp_path / "cover.png", frames=1, codec="png", pix_fmt="rgb24")
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        with av.open(str(cover)) as pictures:
            stream = pictures.streams.video[0]
            copy = container.add_stream_from_template(stream)
            copy.disposition = av.stream.Disposition.attached_pic
            packet = next(pictures.demux(stream))
            packet.stream = copy
            container.mux(packet)
        frame = av.AudioFrame(format="s16p", layout="mono", samples=1152)
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(BadVideo, match="no video stream"):
        video.probe(path)


def test_a_codec_without_a_decoder(front, tmp_path):
    data = front.read_bytes().replace(b"avc1", b"zzz1")
    with pytest.raises(BadVideo, match=r"no decoder|no video stream|not a video"):
        video.probe(written(tmp_path / "odd.mp4", data))


def test_sound_beside_the_picture_changes_nothing(front, tmp_path):
    path = tmp_path / "both.mp4"
    with av.open(str(front)) as before, av.open(str(path), "w") as after:
        stream = before.streams.video[0]
        sound = after.add_stream("aac", rate=16000)
        copy = after.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in before.demux(stream) if p.dts is not None):
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, number * 1024
            after.mux(sound.encode(frame))
            packet.stream = copy
            after.mux(packet)
        after.mux(sound.encode(None))
    mine, frames = read(path)
    alone, others = read(front)
    assert (mine.status, mine.info.frames_expected) == ("ok", FRAMES)
    assert [f.pts_s for f in frames] == [f.pts_s for f in others]
    assert all((a.image_HWC == b.image_HWC).all() for a, b in zip(frames, others, strict=True))
    assert alone.info.size_wh == mine.info.size_wh


def test_streams_that_turn_up_late_do_no_harm(tmp_path):
    # Damage to a transport stream can name a new stream, over which PyAV trips at the end.
    whole = make_clip(tmp_path / "a.ts", frames=FRAMES)
    data = bytearray(whole.read_bytes())
    table = next(
        at for at in range(0, len(data), 188) if data[at + 1] & 0x1F == 0x10 and data[at + 2] == 0
    )
    late = bytearray(data[table : table + 188])
    late[1] = (late[1] & 0xE0) | 0x0F
    for at in range(len(data) // 2 // 188 * 188, len(data), 188 * 5):
        data[at + 2] ^= 0x01
    reading, _ = read(written(tmp_path / "b.ts", bytes(data)))
    assert reading.status != "ok"


@pytest.mark.parametrize(
    ("counter_clockwise_deg", "quarter_turns"), [(0, 0), (90, 1), (-90, -1), (180, 2), (-180, 2)]
)
def test_the_angle_is_taken_where_side_data_cannot_be_listed(counter_clockwise_deg, quarter_turns):
    class Unlisted:
        def get(self, name):
            raise ValueError("31 is not a valid Type")

    frame = SimpleNamespace(side_data=Unlisted(), rotation=counter_clockwise_deg)
    image_HWC = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    upright = video_file._upright(image_HWC, video_file._display_matrix(frame))
    np.testing.assert_array_equal(upright, np.rot90(image_HWC, quarter_turns))


def test_a_photograph_with_exif_is_read(pyfeat_clips):
    assert video.probe(pyfeat_clips / "multi_face.jpg").frames_expected == 1
