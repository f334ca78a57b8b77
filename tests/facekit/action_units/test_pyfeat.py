"""py-feat's heads through facekit: the same labels as by py-feat, and nothing else of it."""

import dataclasses
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyfeat_heads
import pytest

from facekit import action_units, weights
from facekit.action_units import pyfeat_package
from facekit.errors import BadWeights, MissingDevice, MissingWeights

TESTS = Path(pyfeat_heads.__file__).parent
NAMES = "01 02 04 05 06 07 09 10 11 12 14 15 17 20 23 24 25 26 28 43"
HEADS_MODULE = "feat.au_detectors.StatLearning.SL_test"


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Files of both kinds, as a script and as a module of py-feat would have written them."""
    folder = tmp_path_factory.mktemp("heads")
    trees = pyfeat_heads.train("XGBClassifier", module="__main__")
    lines = pyfeat_heads.train("SVMClassifier", module=HEADS_MODULE)
    return {
        "xgb": pyfeat_heads.save(trees, folder / "trees.skops"),
        "svm": pyfeat_heads.save(lines, folder / "lines.skops"),
    }


@pytest.fixture(scope="module")
def faces():
    return pyfeat_heads.faces_in(pyfeat_heads.photo_HWC(), 6)


@pytest.fixture(scope="module")
def report(heads, tmp_path_factory):
    """What `pyfeat_reference.py` saw in a process of its own."""
    out = tmp_path_factory.mktemp("report") / "report.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KMP_", "OMP_"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    command = [sys.executable, TESTS / "pyfeat_reference.py", out, heads["xgb"], heads["svm"]]
    subprocess.run(command, env=environment, check=True, timeout=300)
    return json.loads(out.read_text())


def test_labels_are_those_of_pyfeat_itself(report):
    (trees_score, trees_on), (lines_score, lines_on) = report["ours"]
    np.testing.assert_array_equal(np.float32(trees_score), np.float32(report["theirs"][0]))
    assert len({tuple(scores) for scores in trees_score}) > 6  # the faces differ
    np.testing.assert_array_equal(trees_on, np.array(report["theirs"][0]) >= 0.5)
    np.testing.assert_array_equal(lines_on, report["theirs"][1])
    assert len({tuple(on) for on in lines_on}) > 3
    assert np.isnan(np.array(lines_score, float)).all()


@pytest.mark.parametrize("what", ["gradients", "environment", "main", "feat"])
def test_the_process_stays_as_it_was(report, what):
    assert report["after"][what] == report["before"][what]
    assert report["before"]["gradients"] is True
    assert report["before"]["feat"] == []


def test_a_pyfeat_that_the_process_imported_is_left_alone(report):
    assert report["same_package"]
    assert json.dumps(report["again"]) == json.dumps(report["ours"])


@pytest.mark.parametrize("kind", ["xgb", "svm"])
def test_what_it_gives_and_says_of_itself(heads, faces, kind):
    engine = action_units.load(f"pyfeat:{heads[kind]}", device="cpu")
    assert engine.au_names == tuple(f"AU{number}" for number in NAMES.split())
    assert (engine.mode, engine.device, engine.finish()) == ("static", "cpu", None)
    (model,) = engine.models
    assert (model.name, model.sha256) == (heads[kind].name, weights.sha256_of(heads[kind]))
    labels = engine(faces)
    assert labels.occurrence.shape == labels.intensity.shape == labels.score.shape == (6, 20)
    assert {*labels.occurrence.ravel().tolist()} == {0, 1}
    assert np.isnan(labels.intensity).all()
    if kind == "xgb":
        np.testing.assert_array_equal(labels.occurrence == 1, labels.score >= 0.5)
    assert np.isnan(labels.score).all() == (kind == "svm")


def test_trees_take_one_thread(heads):
    head = pyfeat_package.load_head(weights.find(str(heads["xgb"]))).detect.__self__
    for classifier in head.classifiers.values():
        config = json.loads(classifier.get_booster().save_config())
        assert config["learner"]["generic_param"]["nthread"] == "1"


def test_no_faces(heads):
    assert action_units.load(f"pyfeat:{heads['xgb']}", device="cpu")([]).score.shape == (0, 20)


LINE_P2 = np.repeat(np.linspace(100, 200, 68, dtype=np.float32)[:, None], 2, axis=1)


@pytest.mark.parametrize(
    "change",
    [
        {"points_xy": None},
        {"points_xy": np.full((68, 2), np.nan, np.float32)},
        {"points_xy": LINE_P2},
        {"points_xy": np.full((68, 2), 150, np.float32)},
        {"box_xyxy": np.array([50, 50, 50, 90], np.float32)},
        {"box_xyxy": np.array([90, 50, 50, 90], np.float32)},
        {"box_xyxy": np.full(4, np.nan, np.float32)},
    ],
)
def test_a_face_that_cannot_be_measured_is_unknown_and_harms_no_other(heads, faces, change):
    engine = action_units.load(f"pyfeat:{heads['xgb']}", device="cpu")
    broken = dataclasses.replace(faces[1], **change)
    labels = engine([faces[0], broken, faces[2]])
    assert labels.occurrence[1].tolist() == [-1] * 20
    assert np.isnan(labels.score[1]).all()
    np.testing.assert_array_equal(labels.score[[0, 2]], engine([faces[0], faces[2]]).score)
    assert engine([broken]).occurrence.tolist() == [[-1] * 20]


def test_each_face_is_cut_from_its_own_frame(heads, faces):
    engine = action_units.load(f"pyfeat:{heads['xgb']}", device="cpu")
    mirrored = np.ascontiguousarray(faces[0].image_HWC[:, ::-1])
    mirrored.setflags(write=False)  # frames are not to be written to
    other = dataclasses.replace(faces[1], image_HWC=mirrored)
    alone = [engine([face]).score[0] for face in (faces[0], other, faces[2])]
    np.testing.assert_array_equal(engine([faces[0], other, faces[2]]).score, alone)
    assert (alone[1] != engine([faces[1]]).score[0]).any()


def test_a_head_of_main_leaves_a_name_of_the_users_own(heads, monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "XGBClassifier", "mine", raising=False)
    names = {*vars(main)}
    action_units.load(f"pyfeat:{heads['xgb']}", device="cpu")
    assert main.XGBClassifier == "mine"
    assert {*vars(main)} == names


class Intruder:
    """A type that no head needs; it tells when it is made from a file."""

    made = 0

    def __init__(self):
        self.value = 1

    def __setstate__(self, state):
        Intruder.made += 1


def with_intruder(head):
    head.classifiers = {**head.classifiers, "AU99": Intruder()}
    return head


def svm(**options):
    return pyfeat_heads.train("SVMClassifier", **options)


def bare_scaler():
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()


def bare_trees():
    import xgboost

    return xgboost.XGBClassifier()


def without_scaler():
    head = svm()
    del head.scaler_lower
    return head


def unfitted():
    head = svm()
    head.pca_model_full = bare_scaler()
    return head


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bare_scaler, "no AU head that py-feat can use: .*StandardScaler"),
        (bare_trees, "no AU head that py-feat can use: .*scaler_upper"),
        (without_scaler, "no AU head that py-feat can use: .*scaler_lower"),
        (unfitted, "no AU head that py-feat can use: .*not fitted"),
        (lambda: svm(keys=("AU1", "AU12")), r"can use: its action units are \['AU1', 'AU12'\]"),
        (lambda: svm(features=500), "can use: .*5408 features"),
        (lambda: with_intruder(svm()), r"not loaded, .* no AU head needs: .*test_pyfeat\.Intruder"),
        (lambda: svm(module="builtins"), r"no AU head needs: builtins\.SVMClassifier"),
    ],
)
def test_other_skops_files_are_refused(tmp_path, make, message):
    path = pyfeat_heads.save(make(), tmp_path / "head.skops")
    with pytest.raises(BadWeights, match=message) as caught:
        action_units.load(f"pyfeat:{path}", device="cpu")
    assert "\n" not in str(caught.value)
    assert Intruder.made == 0


def cut(path, target):
    target.write_bytes(path.read_bytes()[:-2000])


def without_schema(path, target):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name != "schema.json":
                new.writestr(name, old.read(name))


def without_arrays(path, target):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        new.writestr("schema.json", old.read("schema.json"))


def garbled_schema(path, target):
    with zipfile.ZipFile(target, "w") as new:
        new.writestr("schema.json", "{")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, target: target.touch(),
        lambda path, target: target.write_text("no zip"),
        lambda path, target: target.mkdir(),
        cut,
        without_schema,
        without_arrays,
        garbled_schema,
    ],
)
def test_damaged_files_are_refused(heads, tmp_path, damage):
    damage(heads["xgb"], tmp_path / "head.skops")
    with pytest.raises(BadWeights, match="no skops file that loads here") as caught:
        action_units.load(f"pyfeat:{tmp_path / 'head.skops'}", device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["", ":xgb", ":svm", ":/no/such/head.skops"])
def test_a_head_that_is_not_at_hand(tmp_path, monkeypatch, model):
    monkeypatch.setenv("FACEKIT_OFFLINE", "1")
    monkeypatch.setenv("FACEKIT_CACHE", str(tmp_path))
    monkeypatch.delenv("FACEKIT_WEIGHTS", raising=False)
    wanted = {"": "pyfeat_xgb", ":xgb": "pyfeat_xgb", ":svm": "pyfeat_svm"}.get(model, "no/such")
    with pytest.raises(MissingWeights, match=wanted):
        action_units.load(f"pyfeat{model}")


def test_without_pyfeat(heads, monkeypatch):
    pyfeat_package.load_package.cache_clear()
    monkeypatch.setattr(pyfeat_package.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDevice, match=r"needs py-feat 2\.1 or later: .*not installed"):
        action_units.load(f"pyfeat:{heads['xgb']}")
    assert "feat" not in sys.modules


@pytest.mark.parametrize("name", ["xgb", "svm"])
def test_the_published_heads(weights_dir, faces, name):
    try:
        engine = action_units.load(f"pyfeat:{name}", device="cpu")
    except MissingWeights as reason:
        pytest.skip(str(reason))
    labels = engine(faces)
    assert {*labels.occurrence.ravel().tolist()} == {0, 1}
