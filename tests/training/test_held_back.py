import pandas as pd
import pytest

from facekit.errors import BadInput
from training import held_back

KNOWN = pd.DataFrame(
    [
        ("f/1", "", "1", "f", "youtube", 0, "train"),
        ("f/d1", "f/1", "1", "f", "Swap", 1, ""),
        ("f/2", "", "2", "f", "youtube", 0, "val"),
        ("f/3", "", "3", "f", "youtube", 0, "test"),
        ("f/d3", "f/3", "3", "f", "Swap", 1, "test"),
    ],
    columns=list(held_back.COLUMNS),
)


def _videos(*rows):
    columns = ["key", "original", "group", "dataset", "split"]
    return pd.DataFrame(rows, columns=columns).assign(method="", label=0)


OWN = _videos(*KNOWN[["key", "original", "group", "dataset"]].assign(split="").values.tolist())
AGAIN = _videos(  # the same clips forged by another method, in shards of their own
    ("f/n1", "f/1", "", "f", ""),
    ("f/n3", "f/3", "", "f", ""),
    ("f/9", "", "9", "f", ""),
)
OTHER = _videos(
    ("c/1", "", "", "c", "train"), ("c/2", "", "", "c", "test"), ("c/3", "", "", "c", "")
)
NEW = _videos(("c/1", "", "", "c", ""), ("c/2", "", "", "c", ""))


@pytest.mark.parametrize(
    ("videos", "split", "kept", "told"),
    [
        (OWN, "auto", ["f/3", "f/d3"], "2 videos held back from training"),
        (OWN, "test", ["f/3", "f/d3"], "the 2 videos of split test"),
        (OWN, "val", ["f/2"], "the 1 videos of split val"),
        (OWN, "train", ["f/1", "f/d1"], "the 2 videos of split train"),
        (OWN, "all", list(KNOWN["key"]), "all 5 videos, whether or not"),
        (
            AGAIN,
            "auto",
            ["f/n3", "f/9"],
            "1 videos held back from training and 1 videos of people unknown to the run",
        ),
        (OTHER, "auto", ["c/2"], "the 1 videos of its own test split; the run knows none of it"),
        (OTHER, "train", ["c/1"], "the 1 videos of split train"),
        (OTHER, "all", ["c/1", "c/2", "c/3"], "all 3 videos"),
        (NEW, "auto", ["c/1", "c/2"], "2 videos of people unknown to the run"),
    ],
)
def test_choose(videos, split, kept, told):
    part = held_back.choose(videos, KNOWN, split)
    assert videos["key"][part.kept_V].tolist() == kept
    (sentence,) = part.told.values()
    assert sentence.startswith(told)


@pytest.mark.parametrize(
    ("videos", "split", "message"),
    [
        (OWN[:3], "auto", "all 3 videos are of people whom the run learnt from or was chosen by"),
        (NEW, "test", "'c': none of 2 videos is of split test"),
        (OWN, "best", "--split must be one of auto, test, val, train, all, not 'best'"),
        (pd.concat([OWN[:1], NEW]), "auto", "dataset 'f': all 1 videos"),
    ],
)
def test_what_would_test_nothing_is_refused(videos, split, message):
    with pytest.raises(BadInput, match=message):
        held_back.choose(videos, KNOWN, split)


def test_people_seen_are_counted_where_they_are_asked_for():
    part = held_back.choose(OWN, KNOWN, "all")
    assert part.seen == {"train": 2, "val": 1}
    assert held_back.choose(OWN, KNOWN, "auto").seen == {"train": 0, "val": 0}


def test_a_link_to_people_learnt_from_outweighs_one_to_held_back_ones():
    both = _videos(("f/m", "f/3", "1", "f", ""), ("f/9", "", "9", "f", ""))
    part = held_back.choose(both, KNOWN, "auto")
    assert part.role_V.tolist() == ["train", ""] and both["key"][part.kept_V].tolist() == ["f/9"]


def test_what_the_run_before_has_seen_stays_seen():
    mine = OWN.assign(role=["", "train", "val", "test", "test"])[1:]
    together = held_back.with_those_before(mine, KNOWN)
    assert dict(zip(together["key"], together["role"], strict=True)) == {
        "f/d1": "train",
        "f/2": "val",
        "f/3": "test",
        "f/d3": "test",
        "f/1": "train",
    }
    # Whoever starts from the second run is told of the people of the first.
    third = AGAIN.assign(role=["test", "test", "test"])
    with pytest.raises(BadInput, match=r"1 videos that judge .* f/n1, test here and train"):
        held_back.with_those_before(third, together)


@pytest.mark.parametrize(
    ("role", "was", "refused"),
    [
        ("test", "train", True),
        ("test", "val", True),
        ("test", "test", False),
        ("val", "train", True),
        ("val", "val", False),
        ("train", "test", False),
        ("", "train", False),
    ],
)
def test_people_learnt_from_before_do_not_judge(role, was, refused):
    mine, known = NEW[:1].assign(role=role), NEW[:1].assign(role=was)
    if refused:
        with pytest.raises(BadInput, match=f"c/1, {role} here and {was} there"):
            held_back.with_those_before(mine, known)
    else:
        assert held_back.with_those_before(mine, known)["role"].tolist() == [role or was]


def test_a_run_keeps_what_its_videos_were_for(tmp_path):
    held_back.write(tmp_path, KNOWN.assign(why="x", status="ok"))
    pd.testing.assert_frame_equal(held_back.read(tmp_path), KNOWN)
    held_back.write(tmp_path, KNOWN[:0])
    assert held_back.read(tmp_path).columns.tolist() == list(held_back.COLUMNS)


def test_keys_that_look_like_numbers_stay_text(tmp_path):
    numbers = KNOWN.assign(key=["001", "1e3", "nan", "NA", "5"], group=["01", "", "1", "2", "3"])
    held_back.write(tmp_path, numbers)
    pd.testing.assert_frame_equal(held_back.read(tmp_path), numbers)


@pytest.mark.parametrize("content", ["", "key,role\na,b\n", "key,original\n\x00"])
def test_a_damaged_list_is_one_line(tmp_path, content):
    (tmp_path / held_back.NAME).write_text(content)
    with pytest.raises(BadInput, match=r"videos\.csv cannot be read"):
        held_back.read(tmp_path)


def test_a_run_that_does_not_tell_is_refused(tmp_path):
    with pytest.raises(BadInput, match="does not tell which videos it was trained on"):
        held_back.read(tmp_path)
