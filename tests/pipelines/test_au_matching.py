from dataclasses import replace
from fractions import Fraction
from random import Random

import forgeries
import pytest

from facekit.errors import BadInput
from pipelines.au_matching import Matching, Pair, match, select


def _matched(videos, faces=None):
    return match(videos, faces or [1] * len(videos))


def _chosen(matching, *shares, disjoint=False, seed=0):
    fractions = [Fraction(share) for share in shares]
    return select(matching, fractions, disjoint=disjoint, seed=seed)


def test_fakes_are_paired_with_their_targets_and_people_linked():
    found = _matched(forgeries.videos(pairs=4, methods=("Deepfakes", "FaceSwap")))
    assert list(found.pairs) == ["Deepfakes", "FaceSwap"]
    assert found.pairs["Deepfakes"][0] == Pair(
        real="ffpp/youtube/c23/000",
        fake="ffpp/Deepfakes/c23/000_001",
        identity="ffpp/youtube/c23/000",
    )
    groups = [pair.identity[-3:] for pair in found.pairs["FaceSwap"]]
    assert groups == ["000", "000", "002", "002"]
    assert found.left_out == {}


def test_a_group_links_people_whatever_they_are_called():
    videos = [
        replace(v, dataset="mine", group="" if v.label or v.key[-3:] not in "000 002" else "family")
        for v in forgeries.videos(pairs=4)
    ]
    identities = {p.real[-3:]: p.identity[-3:] for p in _matched(videos).pairs["Deepfakes"]}
    assert identities == {"000": "000", "001": "001", "002": "000", "003": "003"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": -1}, "neither real nor fake by its label"),
        ({"original": ""}, "a fake that does not name its original"),
        ({"original": "elsewhere"}, "a fake whose original is not among the inputs"),
        ({"original": "ffpp/Deepfakes/c23/001_000"}, "a fake whose original is not labelled real"),
    ],
)
def test_what_cannot_be_paired_is_counted_with_its_reason(change, reason):
    videos = forgeries.videos(pairs=3)
    videos[1] = replace(videos[1], **change)
    found = _matched(videos)
    assert found.left_out[reason] == 1
    assert found.example[reason] == "ffpp/Deepfakes/c23/000_001"
    assert found.left_out["a real video without a fake"] == 1
    assert [pair.real[-3:] for pair in found.pairs["Deepfakes"]] == ["001", "002"]


def test_videos_without_a_labelled_face_are_left_out():
    videos = forgeries.videos(pairs=3)
    found = _matched(videos, [0 if video.key.endswith("000") else 1 for video in videos])
    assert found.left_out == {
        "a fake whose original has no labelled face": 1,
        "a real video without a fake": 1,
        "no face of it has an AU label": 2,
    }


@pytest.mark.parametrize(
    ("videos", "said"),
    [
        ([], "no video is labelled real"),
        (forgeries.videos(2, methods=()), "no video is labelled fake: there are 2 real"),
        (forgeries.videos(2, label=1), "no video is labelled real: there are 0 real, 4 fake"),
        (forgeries.videos(2, label=-1), "4 of unknown label"),
        (forgeries.videos(2, original=""), "does not name its original"),
        (forgeries.videos(2, original="x"), "original 'x'"),
    ],
)
def test_no_pair_at_all_is_refused(videos, said):
    with pytest.raises(BadInput, match=said) as refused:
        _matched(videos)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["Deepfakes"]),
        ({"compression": "c40"}, ["Deepfakes/c23", "Deepfakes/c40"]),
        ({"dataset": "mine"}, ["ffpp/Deepfakes", "mine/Deepfakes"]),
        ({"method": ""}, ["Deepfakes", "fake"]),
    ],
)
def test_groups_are_named_by_what_tells_them_apart(fields, names):
    videos = forgeries.videos(2)
    changed = [replace(v, **fields) if v.key.endswith("001_000") else v for v in videos]
    assert sorted(_matched(changed).pairs) == names


def test_larger_volumes_hold_the_smaller():
    found = _matched(forgeries.videos(20))
    small, large = _chosen(found, "0.2", "0.8")
    assert (small.volume, large.volume) == ("20%", "80%")
    assert (len(small.pairs), len(large.pairs), large.available) == (4, 16, 20)
    assert set(small.pairs) < set(large.pairs)


def test_disjoint_volumes_share_nothing_and_leave_nothing():
    found = _matched(forgeries.videos(20))
    small, large = _chosen(found, "0.2", "0.8", disjoint=True)
    assert (len(small.pairs), len(large.pairs)) == (4, 16)
    assert {*small.pairs, *large.pairs} == set(found.pairs["Deepfakes"])
    assert _chosen(found, "0.2")[0].pairs == small.pairs


def test_methods_draw_the_same_reals():
    found = _matched(forgeries.videos(20, methods=("Deepfakes", "FaceSwap")))
    one, other = _chosen(found, "0.3")
    assert [pair.real for pair in one.pairs] == [pair.real for pair in other.pairs]


def test_a_selection_depends_on_seed_and_keys_alone():
    videos = forgeries.videos(20)
    shuffled = Random(1).sample(videos, len(videos))
    for seed in (0, 1):
        (chosen,) = _chosen(_matched(videos), "0.2", seed=seed)
        assert (chosen,) == tuple(_chosen(_matched(shuffled), "0.2", seed=seed))
    reals = [{p.real for p in _chosen(_matched(videos), "0.2", seed=s)[0].pairs} for s in (0, 1)]
    assert reals[0] != reals[1]
    # Pinned: another machine and another day must draw these.
    (pinned,) = _chosen(_matched(videos), "0.2")
    assert [pair.real[-3:] for pair in pinned.pairs] == ["007", "011", "013", "016"]


def test_of_several_fakes_of_one_real_one_counts():
    pairs = [Pair(real="a", fake=f"f{i}", identity="a") for i in range(5)]
    drawn = [
        _chosen(Matching(pairs={"m": order}, left_out={}, example={}), "1")[0].pairs
        for order in (pairs, pairs[::-1])
    ]
    assert len(drawn[0]) == 1
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(("shares", "disjoint"), [(["0.01"], False), (["0.99", "0.01"], True)])
def test_a_volume_of_no_pair_is_refused(shares, disjoint):
    with pytest.raises(BadInput, match="1% of the 20 pairs of Deepfakes is not one"):
        _chosen(_matched(forgeries.videos(20)), *shares, disjoint=disjoint)


def test_a_clip_of_a_dataset_of_ones_own_has_no_ids_in_its_name():
    videos = [replace(video, dataset="mine") for video in forgeries.videos(pairs=2)]
    assert {p.identity[-3:] for p in _matched(videos).pairs["Deepfakes"]} == {"000", "001"}
