import numpy as np
import pytest
import synthetic_faces
import torch
import trained_runs

from training import scoring
from training.checkpoint import load_model
from training.framing import frame
from training.models import score
from training.perturbations import suite
from training.table import read_table
from training.tiers import open_source

BATCH = 5


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scoring") / "shards"
    return read_table([synthetic_faces.make_shards(folder, videos=4, frames=3)])


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_model(trained_runs.write_run(tmp_path_factory.mktemp("scoring") / "run"))


@pytest.fixture(scope="module")
def faces(table, loaded):
    return _scores(table, loaded)


def _scores(table, loaded, **options):
    with open_source(table, "cpu", "device") as source:
        return scoring.score_faces(
            loaded.model, source, table, loaded.config, **({"batch": BATCH} | options)
        )


def test_each_face_is_a_row_with_its_video_and_frame(table, faces):
    assert tuple(faces.columns) == scoring.COLUMNS and len(faces) == 12
    assert faces.groupby("key").size().to_dict() == dict.fromkeys(table.videos["key"], 3)
    assert faces["frame_index"].tolist() == [0, 10, 20] * 4
    assert np.isfinite(faces["score"]).all() and faces["score"].between(0, 1).all()


def test_the_score_is_equation_3_over_its_largest_value(table, loaded, faces):
    want = (faces["class_score"] + faces["token_score"] / 2) / 1.5
    np.testing.assert_allclose(faces["score"], want, atol=1e-6)
    with open_source(table, "cpu", "device") as source, torch.inference_mode():
        stored = source.take(np.arange(len(table)))
        framed = frame(stored, 112, draws=None, data=loaded.config.data)
        output = loaded.model(framed.image_NCHW)
    np.testing.assert_allclose(faces["score"], score(output), atol=1e-5)


def test_no_score_depends_on_the_batch(table, loaded, faces):
    again = _scores(table, loaded, batch=64)
    np.testing.assert_allclose(again["score"], faces["score"], atol=1e-5)


def test_a_perturbed_face_scores_alike_in_any_selection(table, loaded, faces):
    (how,) = (each for each in suite("noise") if each.level == 3)
    spoilt = _scores(table, loaded, perturbation=how)
    assert (spoilt["score"] - faces["score"]).abs().max() > 1e-4
    some = table.of_videos(np.array([False, True, False, True]))
    alone = _scores(some, loaded, perturbation=how, batch=2)
    want = spoilt[spoilt["key"].isin(alone["key"])]["score"]
    np.testing.assert_allclose(alone["score"], want, atol=1e-5)


def test_names_tell_every_face_apart(table):
    names = scoring.names(table)
    assert names.dtype == np.int64 and len(set(names.tolist())) == len(table)


@pytest.mark.parametrize("broken", [False, True])
def test_the_network_is_left_as_it_was(table, loaded, broken):
    model = loaded.model.train()
    frozen = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    frozen.eval()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    with open_source(table, "cpu", "device") as source:
        batches = scoring.score_batches(model, source, table, loaded.config, batch=BATCH)
        next(batches)
        assert not torch.is_inference_mode_enabled() and not model.training
        if broken:
            batches.close()
        else:
            assert len(list(batches)) == 2
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    model.eval()


def test_without_tokens_the_class_alone_scores(table, tmp_path):
    config = trained_runs.config(data={"task": "labelled"})
    loaded = load_model(trained_runs.write_run(tmp_path, config))
    faces = _scores(table, loaded)
    assert faces["token_score"].isna().all()
    np.testing.assert_array_equal(faces["score"], faces["class_score"])
