import pandas as pd
import pytest

from facekit.errors import BadInput
from pipelines.datasets.ffpp import videos_of
from training.options import Data
from training.splits import part_of, people, roles

C23 = "ffpp/{}/c23/{}"


def videos(*rows):
    """(key, label, split, group, original, method) each, from `row`."""
    columns = ["key", "label", "split", "group", "original", "method"]
    return pd.DataFrame(list(rows), columns=columns)


def row(key, label=0, split="", group="", original="", method=""):
    return key, label, split, group, original, method


def ffpp(target, source, *, group=""):
    """Both videos of a pair and both fakes of it, as FaceForensics++ names them."""
    reals = [row(C23.format("youtube", one), group=group) for one in (target, source)]
    fakes = [
        row(
            C23.format("Deepfakes", f"{one}_{other}"),
            1,
            group=group,
            original=C23.format("youtube", one),
            method="Deepfakes",
        )
        for one, other in ((target, source), (source, target))
    ]
    return [*reals, *fakes]


@pytest.mark.parametrize(
    ("rows", "sets"),
    [
        ([], []),
        ([row("a")], ["a"]),
        ([row("a"), row("b")], ["a", "b"]),
        ([row("a", group="x"), row("b", group="x")], ["x", "x"]),
        # A fake with its original, whether or not the original is there.
        ([row("b", original="a"), row("a")], ["a", "a"]),
        ([row("b", original="z"), row("c", original="z")], ["b", "b"]),
        # Through the original, groups of two extractions are one.
        ([row("f", group="1_2", original="r"), row("r", group="1")], ["1", "1"]),
        # Chains: x with y with z.
        (
            [
                row("a", group="x"),
                row("b", group="y", original="a"),
                row("c", group="z", original="b"),
                row("d", group="w"),
            ],
            ["x", "x", "x", "w"],
        ),
        # The source is told by the name alone.
        ([row("y/1"), row("y/2"), row("f/1_2", original="y/1")], ["f/1_2"] * 3),
        # A name that does not say it links nothing but the original.
        ([row("y/1"), row("y/2"), row("f/12", original="y/1")], ["f/12", "y/2", "f/12"]),
    ],
)
def test_people(rows, sets):
    assert people(videos(*rows)) == sets


def test_the_fakes_of_a_pair_join_it_without_any_group():
    named = people(videos(*ffpp("035", "036"), *ffpp("044", "945")))
    assert len(set(named)) == 2
    assert named[:4] == [named[0]] * 4


def test_parts_are_the_same_on_any_machine():
    names = [f"ffpp/{i:03d}" for i in range(12)]
    assert [part_of(name, 0, 5) for name in names] == [4, 2, 2, 3, 0, 2, 1, 2, 0, 4, 1, 4]
    assert [part_of(name, 1, 5) for name in names] != [part_of(name, 0, 5) for name in names]


@pytest.mark.parametrize("folds", [3, 5])
def test_folds_test_every_video_once_and_never_divide_people(folds):
    rows = [one for i in range(0, 60, 2) for one in ffpp(f"{i:03d}", f"{i + 1:03d}")]
    table = videos(*rows)
    named = people(table)
    tested = []
    for fold in range(folds):
        data = Data(task="labelled", split="groups", folds=folds, fold=fold)
        told = [role for role, _ in roles(table, data, 0)]
        assert len({(name, role) for name, role in zip(named, told, strict=True)}) == 30
        assert set(told) == {"train", "val", "test"}
        tested += [key for key, role in zip(table.key, told, strict=True) if role == "test"]
        others = {name for name, role in zip(named, told, strict=True) if role != "test"}
        validated = {name for name, role in zip(named, told, strict=True) if role == "val"}
        assert len(validated) == round(data.validation * len(others))
    assert sorted(tested) == sorted(table.key)


@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("fold", range(3))
def test_no_person_of_the_real_clips_is_in_two_roles(data_dir, fold, group):
    """By the ids in the names, whether the shards name groups or not."""
    root = data_dir / "ffpp"
    if not root.is_dir():
        pytest.skip("no FaceForensics++ clips here")
    table = videos(
        *(
            row(one.key, one.label, one.split, one.group if group else "", one.original, one.method)
            for one in videos_of(root)
        )
    )
    data = Data(task="labelled", split="groups", folds=3, fold=fold)
    roles_of = {}
    for key, (role, _) in zip(table.key, roles(table, data, 0), strict=True):
        for person in key.rpartition("/")[2].split("_"):
            roles_of.setdefault(person, set()).add(role)
    assert len(roles_of) > 30
    # The source of a fake links it to a video only where that video is there.
    there = set(table.key[table.label == 0].str.rpartition("/")[2])
    assert {len(told) for person, told in roles_of.items() if group or person in there} == {1}


def test_what_is_tested_stays_when_videos_are_added():
    """A run's test part must not turn into what another trains on."""
    pairs = [ffpp(f"{i:03d}", f"{i + 1:03d}", group=f"g{i:03d}") for i in range(0, 40, 2)]
    few = videos(*(one for pair in pairs[::2] for one in pair))
    more = videos(*(one for pair in pairs for one in pair))
    data = Data(task="labelled", split="groups", folds=3)
    tested, among = (
        {
            key
            for key, (role, _) in zip(table.key, roles(table, data, 0), strict=True)
            if role == "test"
        }
        for table in (few, more)
    )
    assert tested
    assert among & set(few.key) == tested


def test_auto_takes_the_column_where_every_video_has_a_split():
    full = videos(row("a", split="train"), row("b", split="test"))
    half = videos(row("a", split="train"), row("b"))
    assert roles(full, Data(), 0) == [("train", "its own split"), ("test", "its own split")]
    assert [why for _, why in roles(half, Data(), 0)] == ["people a", "people b"]


def test_with_the_column_a_video_without_a_split_is_not_used(caplog):
    half = videos(row("a", split="train"), row("b"))
    told = roles(half, Data(split="column"), 0)
    assert told == [("train", "its own split"), ("", "no split")]
    assert "1 of 2 videos have no split and are not used" in caplog.messages


@pytest.mark.parametrize(
    ("rows", "data", "told"),
    [
        ([row("a")], Data(split="column"), "no video here has a split"),
        ([row("a", split="dev")], Data(split="column"), "a: its split is 'dev', none of train,"),
        (
            [row("a", split="train", group="x"), row("b", split="test", group="x")],
            Data(split="column"),
            "people 'x' are in train with a and in test with b; take data.split = groups",
        ),
        (
            [row("a", split="train"), row("b", 1, split="val", original="a")],
            Data(),
            "are in train with a and in val with b",
        ),
        (
            [row("a", split="train"), row("b", 1, "train", method="FaceSwap")],
            Data(task="labelled", methods="FaceSwap, Deepfaks"),
            "no fake here was made by 'Deepfaks'; there are FaceSwap",
        ),
    ],
)
def test_splits_that_make_no_sense(rows, data, told):
    with pytest.raises(BadInput, match=told) as caught:
        roles(videos(*rows), data, 0)
    assert "\n" not in str(caught.value)


def test_fakes_are_not_trained_on_when_they_are_made():
    rows = [row(f"{s}{label}", label, s) for s in ("train", "val", "test") for label in (0, 1)]
    told = [role for role, _ in roles(videos(*rows), Data(task="tampered"), 0)]
    assert told == ["train", "", "val", "val", "test", "test"]
    told = [role for role, _ in roles(videos(*rows), Data(task="labelled"), 0)]
    assert told == ["train", "train", "val", "val", "test", "test"]


def test_other_methods_are_tested_only():
    rows = [
        row(f"{split}/{method}", int(method != "real"), split, method=method)
        for split in ("train", "val", "test")
        for method in ("real", "A", "B")
    ]
    told = roles(videos(*rows), Data(task="labelled", methods="A"), 0)
    assert [role for role, _ in told] == ["train", "train", "", "val", "val", "", *["test"] * 3]
    assert told[2][1] == "its method is not among data.methods"


def test_fakes_that_name_nobody_are_said_aloud(caplog):
    roles(videos(row("a"), row("b", 1), row("c", 1, group="c")), Data(split="groups"), 0)
    assert "1 fakes name neither a group nor an original, such as b" in caplog.text
