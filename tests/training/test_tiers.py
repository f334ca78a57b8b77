import logging
import re

import numpy as np
import pytest
import torch
from face_folders import video, write_folder

from facekit.errors import BadInput, BadShard
from facekit.shards import open_shards
from training import host_sources, tiers
from training.pixels import Reader
from training.table import read_table
from training.tiers import open_source

TIERS = ("device", "pinned", "disk")
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
    ),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("shards")
    one = [video(f"a{i}", 7, label=i % 2) for i in range(6)]
    two = [video("b", 5), video("c", 0), video("d", 30, label=1)]
    return [write_folder(root / "one", one), write_folder(root / "two", two, margin=1.3, seed=1)]


@pytest.fixture
def table(folders):
    return read_table(folders)


def stored(table, name):
    made = []
    for folder in table.folders:
        with open_shards(folder) as shards:
            made.append(shards[:].columns[name])
    return torch.from_numpy(np.concatenate(made))


def equal(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("wanted", [[], [0], [76, 0, 42, 41, 41], list(range(77))])
def test_take(table, tier, device, wanted):
    index_N = torch.tensor(wanted, dtype=torch.int64)
    with open_source(table, device, tier) as source:
        faces = source.take(index_N)
        assert equal(faces, source.take(index_N.numpy()))
        assert equal(faces, source.take(index_N.to(device)))
    assert (source.tier, source.device.type, len(source)) == (tier, device, 77)
    assert source.bytes == 77 * 32 * 32 * 3
    assert faces.image_NHWC.device.type == faces.sample_N.device.type == device
    assert faces.image_NHWC.dtype == torch.uint8
    assert torch.equal(faces.image_NHWC.cpu(), stored(table, "image")[index_N])
    assert torch.equal(faces.landmarks_NP2.cpu(), stored(table, "landmarks_xy")[index_N])
    assert torch.equal(faces.ellipses_NE5.cpu(), stored(table, "au_ellipses")[index_N])
    assert faces.margin_N.tolist() == table.samples.margin_N[wanted].tolist()
    assert faces.label_N.tolist() == table.samples.label_N[wanted].tolist()
    assert faces.video_N.tolist() == table.samples.video_N[wanted].tolist()
    assert faces.sample_N.tolist() == wanted


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("wanted", [[77], [-1], [0, 500]])
def test_faces_that_do_not_exist(table, tier, wanted):
    with open_source(table, "cpu", tier) as source:
        with pytest.raises(BadInput, match="of 77 do not exist"):
            source.take(np.array(wanted))
        with pytest.raises(BadInput, match="of 77 do not exist"):
            list(source.stream([np.array(wanted)], window=8))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("window", [1, 10, 64, 10_000])
def test_a_stream_is_take_after_take(table, tier, device, window):
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 77, size) for size in (9, 9, 0, 30, 1, 77, 9)]
    with open_source(table, device, tier) as source, open_source(table, device) as resident:
        made = list(source.stream(batches, window=window))
        assert len(made) == len(batches)
        for faces, batch in zip(made, batches, strict=True):
            assert equal(faces, resident.take(batch))
        assert list(source.stream([], window=window)) == []


@pytest.mark.parametrize("tier", TIERS)
def test_a_stream_may_be_left_and_another_begun(table, tier):
    batches = [np.arange(i, i + 7) for i in range(0, 70, 7)]
    with open_source(table, "cpu", tier) as source:
        first = source.stream(batches, window=16)
        assert next(first).sample_N.tolist() == list(range(7))
        assert source.take(np.array([5])).sample_N.tolist() == [5]
        first.close()
        assert [len(faces) for faces in source.stream(batches, window=16)] == [7] * 10


def test_narrowed_tables_load_their_faces_alone(table):
    few = table.of_videos((table.videos.key == "d").to_numpy()).frames(8)
    for tier in TIERS:
        with open_source(few, "cpu", tier) as source:
            faces = source.take(np.arange(8))
            assert source.bytes == 8 * 32 * 32 * 3
        kept = [(2 * i + 1) * 30 // 16 for i in range(8)]
        assert torch.equal(faces.image_NHWC, stored(table, "image")[-30:][kept])
        assert faces.video_N.tolist() == [0] * 8


def test_the_disk_tier_reads_each_face_once_in_an_order_made_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(host_sources, "free_host_bytes", lambda: 1 << 40)
    folder = write_folder(tmp_path / "shards", [video(f"{i:02d}", 40) for i in range(8)])
    table = read_table([folder])
    read = []
    fill = Reader.fill

    def counted(self, sample_N, arrays):
        if "image" in arrays:
            read.append(sample_N.tolist())
        fill(self, sample_N, arrays)

    monkeypatch.setattr(Reader, "fill", counted)
    blocks = np.random.default_rng(0).permutation(320).reshape(-1, 16)
    with open_source(table, "cpu", "disk") as source:
        list(source.stream(list(blocks), window=80))
    assert [len(one) for one in read] == [80] * 4
    assert sorted(number for one in read for number in one) == list(range(320))
    assert all(one == sorted(one) for one in read)


def test_the_disk_tier_keeps_to_the_memory_there_is(table, monkeypatch):
    monkeypatch.setattr(host_sources, "free_host_bytes", lambda: 20 * 32 * 32 * 3)
    sizes = []
    fill = Reader.fill

    def counted(self, sample_N, arrays):
        sizes.append(len(sample_N) if "image" in arrays else 0)
        fill(self, sample_N, arrays)

    monkeypatch.setattr(Reader, "fill", counted)
    with open_source(table, "cpu", "disk") as source:
        made = list(source.stream([np.arange(77)], window=64))
    assert torch.equal(made[0].image_NHWC, stored(table, "image"))
    assert max(sizes) == 3  # 0.3 of 20 crops, in two windows


@pytest.mark.parametrize(
    ("device_crops", "host_crops", "chosen"),
    [(200, 200, "device"), (100, 200, "pinned"), (100, 100, "disk"), (0, 0, "disk")],
)
def test_the_first_tier_with_room_is_chosen(
    table, monkeypatch, caplog, device_crops, host_crops, chosen
):
    caplog.set_level(logging.INFO, "training")
    crop = 32 * 32 * 3
    free = {"device": device_crops * crop, "pinned": host_crops * crop}
    monkeypatch.setattr(tiers, "_free_bytes", lambda device, sharing: free)
    monkeypatch.setattr(host_sources, "free_host_bytes", lambda: host_crops * crop)
    with open_source(table, "cpu") as source:
        assert source.tier == chosen
        assert len(source.take(np.arange(77))) == 77
    where = {"device": "on cpu", "pinned": "in host memory", "disk": "on disk"}[chosen]
    assert f"77 crops of 32 px, 0.00 GB, are kept {where}" in caplog.text


def test_processes_share_the_hosts_memory(monkeypatch):
    monkeypatch.setattr(tiers, "free_host_bytes", lambda: 800)
    assert tiers._free_bytes(torch.device("cpu"), 1) == {"device": 800, "pinned": 800}
    assert tiers._free_bytes(torch.device("cpu"), 8) == {"device": 100, "pinned": 100}


@pytest.mark.parametrize("tier", ["device", "pinned"])
def test_a_tier_without_room_is_refused(table, monkeypatch, tier):
    monkeypatch.setattr(tiers, "free_host_bytes", lambda: 76 * 32 * 32 * 3)
    with pytest.raises(BadInput, match=r"do not fit .*; take --tier auto"):
        open_source(table, "cpu", tier)


def test_an_unknown_tier(table):
    with pytest.raises(BadInput, match="--tier must be auto, device, pinned, disk, not 'gpu'"):
        open_source(table, "cpu", "gpu")


@pytest.mark.parametrize("tier", ["auto", *TIERS])
def test_no_faces(tmp_path, tier):
    table = read_table([write_folder(tmp_path / "shards", [video("a", 0)])])
    with pytest.raises(BadInput, match="no faces to load"):
        open_source(table, "cpu", tier)


@pytest.mark.parametrize("tier", TIERS)
def test_a_damaged_crop_is_told_of_in_every_tier(tmp_path, tier):
    folder = write_folder(tmp_path / "shards", [video("a", 20)])
    table = read_table([folder])
    with open_shards(folder) as shards:
        crop = shards[10]["image"].tobytes()
    shard = folder / "faces-00000.h5"
    told = bytearray(shard.read_bytes())
    place = re.search(re.escape(crop[:64]), told).start()
    told[place] ^= 1
    shard.write_bytes(told)

    def read_all():
        with open_source(table, "cpu", tier) as source:
            list(source.stream([np.arange(20)], window=64))

    with pytest.raises(BadShard, match=r"faces-00000\.h5"):
        read_all()
