"""Tests of facekit.file_structure: whole and cut files of the containers that count no frames."""

import random

import pytest
from clips import copy_packets, make_clip

from facekit.file_structure import is_whole

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
FILES = {
    "matroska,webm": ("a.mkv", {}),
    "mov,mp4,m4a,3gp,3g2,mj2": ("a.mp4", {"container_options": FRAGMENTS}),
    "mpegts": ("a.ts", {}),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {
        container: make_clip(folder / name, frames=16, **more)
        for container, (name, more) in FILES.items()
    }


@pytest.mark.parametrize("container", FILES)
def test_whole(whole, container):
    assert is_whole(whole[container], container)


def test_an_unknown_container_passes(tmp_path):
    path = tmp_path / "a.avi"
    path.write_bytes(b"")
    assert is_whole(path, "avi")


@pytest.mark.parametrize("container", FILES)
def test_every_cut_is_seen(whole, container, tmp_path):
    data = whole[container].read_bytes()
    # What follows the last fragment is an index; to lose it loses no frame.
    end = data.find(b"mfra") - 4 if "mov" in container else len(data) - 1
    boundaries = _top_boxes(data) if "mov" in container else set()
    rng = random.Random(0)
    for size in {*rng.sample(range(20, end), 60), end}:
        path = tmp_path / "cut"
        path.write_bytes(data[:size])
        tiles = size % 188 == 0 if container == "mpegts" else size in boundaries
        assert is_whole(path, container) == tiles, size


def _top_boxes(data: bytes) -> set[int]:
    ends, position = set(), 0
    while position < len(data):
        position += int.from_bytes(data[position : position + 4], "big")
        ends.add(position)
    return ends


def test_a_zeroed_block_breaks_matroska(whole, tmp_path):
    data = bytearray(whole["matroska,webm"].read_bytes())
    first = data.index(bytes.fromhex("1f43b675"))
    data[first + 40 : first + 2000] = bytes(1960)
    path = tmp_path / "zeroed.mkv"
    path.write_bytes(data)
    assert not is_whole(path, "matroska,webm")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1f43b675", "1f43b676"),  # a cluster that is none
        ("1c53bb6b", "00000000"),  # the index overwritten
    ],
)
def test_a_broken_element_is_seen(whole, tmp_path, old, new):
    data = whole["matroska,webm"].read_bytes()
    at = data.rindex(bytes.fromhex(old))
    path = tmp_path / "broken.mkv"
    path.write_bytes(data[:at] + bytes.fromhex(new) + data[at + 4 :])
    assert not is_whole(path, "matroska,webm")


def test_a_live_stream_of_unknown_length_is_whole(tmp_path):
    path = make_clip(tmp_path / "a.webm", codec="libvpx", container_options={"live": "1"})
    assert is_whole(path, "matroska,webm")


@pytest.mark.parametrize("packet_bytes", [188, 192, 204])
def test_transport_packets_of_each_size(whole, tmp_path, packet_bytes):
    data = whole["mpegts"].read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    before = bytes(4) if packet_bytes == 192 else b""
    after = bytes(packet_bytes - 188 - len(before))
    path = tmp_path / "a.m2ts"
    path.write_bytes(b"".join(before + packet + after for packet in packets))
    assert is_whole(path, "mpegts")
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_whole(path, "mpegts")


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (b"", True),
        ((8).to_bytes(4, "big") + b"free", True),
        ((0).to_bytes(4, "big") + b"mdat" + bytes(99), True),  # up to the end of the file
        ((1).to_bytes(4, "big") + b"mdat" + (24).to_bytes(8, "big") + bytes(8), True),
        ((1).to_bytes(4, "big") + b"mdat" + (25).to_bytes(8, "big") + bytes(8), False),
        ((7).to_bytes(4, "big") + b"free", False),
        ((8).to_bytes(4, "big") + b"\0\1\2\3", False),
        ((8).to_bytes(4, "big") + b"fr", False),
    ],
)
def test_boxes(tmp_path, data, want):
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    assert is_whole(path, "mov") is want


def test_a_copied_file_is_whole(whole, tmp_path):
    path = copy_packets(whole["mpegts"], tmp_path / "b.mkv")
    assert is_whole(path, "matroska,webm")
