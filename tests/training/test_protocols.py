import numpy as np
import pandas as pd
import pytest

from training import protocols
from training.protocols import ALL, Coverage

VIDEOS = pd.DataFrame(
    [
        ("a/1", "a", "c23", "youtube", 0, "", "g1", "ok"),
        ("a/2", "a", "c23", "youtube", 0, "", "g2", "ok"),
        ("a/3", "a", "c23", "youtube", 0, "", "g3", "decode_error"),
        ("a/x1", "a", "c23", "Swap", 1, "a/1", "g1", "ok"),
        ("a/y2", "a", "c23", "Face", 1, "a/2", "g2", "ok"),
        ("a/y3", "a", "c23", "Face", 1, "a/3", "g3", "ok"),
        ("b/1", "b", "", "", 1, "", "", "no_face"),
    ],
    columns=["key", "dataset", "compression", "method", "label", "original", "group", "status"],
)
SCORES = {"a/1": 0.2, "a/2": 0.6, "a/x1": 0.9, "a/y2": 0.5}


def _faces(scores, frames=2):
    rows = [(key, i, 0, score) for key, score in scores.items() for i in range(frames)]
    return pd.DataFrame(rows, columns=["key", "frame_index", "track_id", "score"])


@pytest.fixture(scope="module")
def found():
    made = protocols.compare(_faces(SCORES), VIDEOS, "video", bootstrap=20)
    return {(each.dataset, each.method, each.against): each for each in made}


def test_every_method_and_dataset_is_compared(found):
    assert list(found) == [
        ("a", "Face", "all reals"),
        ("a", "Face", "its originals"),
        ("a", "Swap", "all reals"),
        ("a", "Swap", "its originals"),
        ("a", ALL, "all reals"),
        ("b", "unnamed", "all reals"),
        ("b", "unnamed", "its originals"),
        ("b", ALL, "all reals"),
    ]


@pytest.mark.parametrize(
    ("which", "auc", "real", "fake", "asked", "scored"),
    [
        (("a", "Face", "all reals"), 0.5, 2, 1, 5, 3),
        (("a", "Face", "its originals"), 0.0, 1, 1, 4, 2),
        (("a", "Swap", "all reals"), 1.0, 2, 1, 4, 3),
        (("a", ALL, "all reals"), 0.75, 2, 2, 6, 4),
    ],
)
def test_fakes_meet_the_right_reals(found, which, auc, real, fake, asked, scored):
    each = found[which]
    assert (each.summary.real, each.summary.fake) == (real, fake)
    assert each.summary.auc.value == pytest.approx(auc)
    assert (each.coverage.asked, each.coverage.scored) == (asked, scored)


def test_what_is_missing_is_counted_with_its_reason(found):
    each = found["a", ALL, "all reals"]
    assert each.coverage.missing == {"decode_error": 1, "no face in the shards": 1}
    assert str(each.coverage) == "4 of 6 (1 decode_error, 1 no face in the shards)"
    assert str(Coverage(asked=3, scored=3)) == "3 of 3"
    assert protocols.missing(_faces(SCORES), VIDEOS) == {
        "a/3": "decode_error",
        "a/y3": "no face in the shards",
        "b/1": "no_face",
    }


def test_missing_videos_can_count_as_one_half(found):
    # Reals 0.2, 0.6 and 0.5; fakes 0.9, 0.5 and 0.5: 3 + 2 * (1 + 0 + 0.5) of 9 pairs.
    assert found["a", ALL, "all reals"].auc_missing == pytest.approx(6 / 9)
    frames = protocols.compare(_faces(SCORES), VIDEOS, "frame", bootstrap=0)
    assert all(np.isnan(each.auc_missing) for each in frames)


def test_a_dataset_without_reals_has_no_auc_but_a_reason(found):
    each = found["b", ALL, "all reals"]
    assert each.summary.reason == "nothing was scored"
    assert np.isnan(each.summary.auc.value) and len(each.roc[0]) == 0
    told = each.as_json()
    assert told["auc"]["value"] is None
    assert (told["videos_asked"], told["videos_missing"]) == (1, {"no_face": 1})


def test_frames_are_units_and_videos_their_clusters():
    faces = _faces(SCORES, frames=3)
    made = protocols.compare(faces, VIDEOS, "frame", bootstrap=20, originals=False)
    (each,) = (one for one in made if (one.dataset, one.method) == ("a", ALL))
    assert (each.summary.real, each.summary.fake) == (6, 6)
    assert (each.summary.auc.videos.clusters, each.summary.auc.groups.clusters) == (4, 2)
    assert {one.against for one in made} == {"all reals"}


def test_people_are_told_by_links_or_not_at_all():
    nameless = VIDEOS.assign(group="", original="")
    made = protocols.compare(_faces(SCORES), nameless, "video", bootstrap=20)
    (each,) = (one for one in made if (one.dataset, one.method) == ("a", ALL))
    assert each.summary.auc.groups.clusters == 0 and each.summary.auc.videos.clusters == 4
    linked = protocols.named(VIDEOS.assign(group=""))
    people = dict(zip(linked["key"], linked["people"], strict=True))
    assert people["a/x1"] == people["a/1"] != people["a/2"]


def test_compressions_are_datasets_of_their_own_where_there_are_several():
    both = pd.concat(
        [VIDEOS[:6], VIDEOS[:6].assign(compression="c40", key="c40/" + VIDEOS["key"][:6])]
    )
    assert set(protocols.named(both)["dataset"]) == {"a c23", "a c40"}
    assert set(protocols.named(VIDEOS)["dataset"]) == {"a", "b"}


def test_no_scores_at_all():
    made = protocols.compare(_faces({}), VIDEOS, "video", bootstrap=20)
    assert {each.summary.reason for each in made} == {"nothing was scored"}
    assert all(each.coverage.scored == 0 for each in made)
