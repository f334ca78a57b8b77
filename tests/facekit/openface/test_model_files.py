"""OpenFace's model files: read to the last number, or refused with name and reason."""

import shutil
import struct

import numpy as np
import openface_models as of
import pytest

from facekit.errors import BadWeights
from facekit.openface import model_files
from facekit.openface.model_files import FEATURES
from facekit.openface_files import AU_NAMES


@pytest.fixture
def folder(invented, tmp_path):
    return shutil.copytree(invented, tmp_path / "copy")


@pytest.mark.parametrize("name, moving", [("dynamic", 12), ("static", 0)])
def test_a_set_has_a_model_for_each_action_unit(invented, name, moving):
    models = model_files.read_set(invented, name)
    assert set(models.occurrence) == set(AU_NAMES)
    assert set(models.intensity) == set(AU_NAMES) - {"AU28"}
    assert sum(one.dynamic for one in models.occurrence.values()) == moving
    assert models.occurrence["AU25"].positive_means == 1
    assert models.occurrence["AU26"].positive_means == 0
    np.testing.assert_allclose(models.points.mean, of.mean_face().ravel(), rtol=1e-10)


@pytest.mark.parametrize("kind, dynamic, positive", [
    (0, False, -1), (1, True, -1), (4, False, 1), (5, True, 1),
])  # fmt: skip
def test_a_predictor_scores_what_its_numbers_say(tmp_path, kind, dynamic, positive):
    stored = of.predictor(kind, seed=3, labels=(1.0, 0.0), cutoff=0.7)
    (tmp_path / "one.dat").write_bytes(stored)
    one = model_files.read_predictor(tmp_path / "one.dat")
    rng = np.random.default_rng(3)
    mean, weights = rng.uniform(0, 0.2, FEATURES), rng.normal(0, 1.0, FEATURES)
    bias, x = rng.normal(), rng.uniform(0, 0.4, FEATURES)
    assert x @ one.weights + one.bias == pytest.approx((x - mean) @ weights + bias)
    assert (one.dynamic, one.positive_means) == (dynamic, positive)
    assert one.cutoff == (0.7 if kind == 1 else -1.0)


def _nan_at(stored, place):
    return stored[:place] + struct.pack("<d", float("nan")) + stored[place + 8 :]


SVM, SVR = of.predictor(4), of.predictor(1)


@pytest.mark.parametrize("stored, reason", [
    (b"", "0 bytes are too few"),
    (b"\x02\0\0\0" + SVM[4:], "2 is no kind of model"),
    (SVM[:-1], "75283 bytes, where a model of kind 4 has 75284"),
    (SVM + b"\0", "75285 bytes"),
    (of.predictor(4, size=10), "bytes, where"),
    (SVM[:4] + struct.pack("<3i", 1, FEATURES, 5) + SVM[16:], "a matrix headed (1, 4702, 5)"),
    (SVM[:4] + struct.pack("<3i", FEATURES, 1, 6) + SVM[16:], "a matrix headed (4702, 1, 6)"),
    (_nan_at(SVM, 16), "not finite"),
    (_nan_at(SVM, 60_004), "not finite"),
    (_nan_at(SVM, len(SVM) - 24), "not finite"),
    (of.predictor(4, labels=(0.0, 0.0)), "labels (0.0, 0.0)"),
    (of.predictor(4, labels=(2.0, 1.0)), "labels (2.0, 1.0)"),
    (_nan_at(SVR, 4), "not finite"),
    (of.predictor(1, cutoff=1.0), "a cutoff of 1.0"),
    (of.predictor(1, cutoff=-0.5), "a cutoff of -0.5"),
    (bytes(2 << 20), "larger than any"),
])  # fmt: skip
def test_a_damaged_predictor_is_refused(tmp_path, stored, reason):
    path = tmp_path / "AU_1_static.dat"
    path.write_bytes(stored)
    with pytest.raises(BadWeights) as caught:
        model_files.read_predictor(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


POINTS = of.points_file()
TRIANGLES = "2\n3\n4\n0 1 2\n3 4 67\n"


@pytest.mark.parametrize("read, text, reason", [
    (model_files.read_points, POINTS[: len(POINTS) // 2], "it ends after"),
    (model_files.read_points, POINTS + "1\n", "1 numbers too many"),
    (model_files.read_points, POINTS.replace("204\n1\n6", "204\n1\n5", 1), "a matrix headed"),
    (model_files.read_points, POINTS.replace("204\n34", "34\n204", 1), "a matrix headed"),
    (model_files.read_points, POINTS.replace("\n800 ", "\n0 "), "a variance is not above 0"),
    (model_files.read_points, POINTS.replace("\n800 ", "\nnan "), "not finite"),
    (model_files.read_points, POINTS.replace("\n800 ", "\nmany "), "many"),
    (model_files.read_points, "204 1", "a matrix headed (204, 1)"),
    (model_files.read_points, "", "a matrix headed ()"),
    (model_files.read_points, "é", "ascii"),
    (model_files.read_triangles, TRIANGLES.replace("67", "68"), "a corner is not a point"),
    (model_files.read_triangles, TRIANGLES.replace("67", "-1"), "a corner is not a point"),
    (model_files.read_triangles, TRIANGLES.replace("67", "6.5"), "6.5"),
    (model_files.read_triangles, TRIANGLES.replace("4 67", "4"), "it ends after 5 of 6"),
    (model_files.read_triangles, "0\n3\n4\n", "a matrix headed (0, 3, 4)"),
    (model_files.read_triangles, "-1\n3\n4\n", "a matrix headed (-1, 3, 4)"),
    (model_files.read_main, "AUPredictor a.txt\nPDM b.txt", "names ['AUPredictor', 'PDM']"),
    (model_files.read_main, "AUPredictor", "is no pair"),
    (model_files.read_main, "AUPredictor ../a\nPDM b\nTriangulation c", "below its folder"),
    (model_files.read_list, "/etc/passwd AU01", "below its folder"),
    (model_files.read_list, "a/../../b.dat AU01", "below its folder"),
    (model_files.read_list, "C:\\a.dat AU01", "below its folder"),
])  # fmt: skip
def test_a_damaged_text_is_refused(tmp_path, read, text, reason):
    path = tmp_path / "file.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadWeights) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_modes_that_are_no_directions_are_refused(tmp_path):
    head, _, tail = POINTS.partition("# modes\n204\n34\n6\n")
    first, _, rest = tail.partition("\n")
    path = tmp_path / "pdm.txt"
    path.write_text(f"{head}204\n34\n6\n{' '.join(['9'] * 34)}\n{rest}")
    assert first
    with pytest.raises(BadWeights, match="not orthonormal"):
        model_files.read_points(path)


@pytest.mark.parametrize("lines, reason", [
    (lambda lines: lines[1:], "['AU01']"),
    (lambda lines: [*lines, lines[0]], "two models of one kind for AU01"),
    (lambda lines: [*lines, lines[0].replace("AU01", "AU99").replace("AU99_", "AU01_")], "AU99"),
    (lambda lines: [*lines, f"{lines[1].split()[0]} AU28"], "['AU28']"),
])  # fmt: skip
def test_a_list_that_is_not_whole_is_refused(folder, lines, reason):
    path = folder / "AU_all_dynamic.txt"
    path.write_text("\n".join(lines(path.read_text().splitlines())))
    with pytest.raises(BadWeights) as caught:
        model_files.read_set(folder, "dynamic")
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_a_static_set_has_no_dynamic_models(folder):
    shutil.copy(folder / "AU_all_dynamic.txt", folder / "AU_all_static.txt")
    with pytest.raises(BadWeights, match=r"AU_all_static\.txt .* AU01"):
        model_files.read_set(folder, "static")


@pytest.mark.parametrize("missing", ["main_static_svms.txt", "pdm.txt", "svr_combined/AU01_0.dat"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(BadWeights, match=r"cannot be read: No such file") as caught:
        model_files.read_set(folder, "static")
    assert str(folder / missing) in str(caught.value)


@pytest.mark.parametrize("name, moving", [("dynamic", (10, 11)), ("static", (0, 0))])
def test_openface_s_own_files(real_folder, name, moving):
    models = model_files.read_set(real_folder, name)
    assert models.triangles.shape == (111, 3)
    kinds = (models.occurrence, models.intensity)
    assert tuple(sum(one.dynamic for one in kind.values()) for kind in kinds) == moving
    assert {k for k, one in models.occurrence.items() if one.positive_means} == {
        "AU10",
        "AU12",
        "AU25",
    }
    if name == "dynamic":
        assert models.intensity["AU17"].cutoff == pytest.approx(0.20)
        assert models.intensity["AU05"].cutoff == pytest.approx(0.80)
