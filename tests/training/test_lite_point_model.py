"""Learning the point model: a face that is known in 3-D comes back from photographs of it."""

import numpy as np
import pytest

from facekit.landmarkers.ibug68 import SWAP
from facekit.point_model import PointModel
from training import lite_point_model
from training.lite_faces import annotated_faces


@pytest.fixture(scope="module")
def learnt(data_dir) -> PointModel:
    faces = [face for face in annotated_faces(data_dir) if not face.held_back]
    points = np.stack([face.points_xy for face in faces[::4]])
    return lite_point_model.learn(points, modes=8, rounds=8)


def photographs(model, count, seed=0):
    """Points of drawn faces in drawn poses, with noise."""
    rng = np.random.default_rng(seed)
    shapes = model.shapes(rng.normal(size=(count, len(model.modes))) * 0.7)
    yaw, pitch = rng.normal(size=(2, count)) * [[0.35], [0.2]]
    nil, one = np.zeros(count), np.ones(count)
    about_y = np.array(
        [[np.cos(yaw), nil, np.sin(yaw)], [nil, one, nil], [-np.sin(yaw), nil, np.cos(yaw)]]
    )
    about_x = np.array(
        [[one, nil, nil], [nil, np.cos(pitch), -np.sin(pitch)], [nil, np.sin(pitch), np.cos(pitch)]]
    )
    turns = np.einsum("ijn,jkn->nik", about_x, about_y)
    seen = np.einsum("nij,npj->npi", turns[:, :2], shapes)
    return 100 * (seen + rng.normal(size=seen.shape) * 0.005) + 200


def test_a_learnt_model_is_learnt_again_from_faces_it_draws(learnt):
    again = lite_point_model.learn(photographs(learnt, 300), modes=8, rounds=16)
    np.testing.assert_allclose(again.mean[:, :2], learnt.mean[:, :2], atol=0.03)
    depth = np.corrcoef(again.mean[:, 2], learnt.mean[:, 2])[0, 1]
    assert depth > 0.97
    assert learnt.fit(photographs(learnt, 50, seed=1)).error.mean() < 0.02


def test_its_form(learnt):
    mean, modes = learnt.mean, learnt.modes
    np.testing.assert_allclose(mean[SWAP, :] * [-1, 1, 1], mean, atol=1e-9)
    assert mean[45, 0] - mean[36, 0] == pytest.approx(1.0)
    sizes = np.linalg.norm(modes.reshape(len(modes), -1), axis=1)
    assert (np.diff(sizes) <= 0).all()
    moves = [np.tile(axis, (68, 1)) for axis in np.eye(3)]
    moves += [np.cross(axis, mean) for axis in np.eye(3)]
    for mode in modes:  # no mode does what a pose does
        assert max(abs((mode * move).sum()) for move in [*moves, mean]) < 1e-9


def test_noses_are_in_front_of_eyes_and_ears_behind(learnt):
    depth = learnt.mean[:, 2]
    assert depth[30] < depth[33] < depth[[36, 45]].min() < depth[[0, 16]].min()


def test_faces_look_ahead_on_average(learnt, data_dir):
    faces = [face for face in annotated_faces(data_dir) if not face.held_back]
    points = np.stack([face.points_xy for face in faces[::4]])
    turns = learnt.fit(points).rotation
    assert np.degrees(np.arcsin(np.abs(turns[:, 1, 2].mean()))) < 1.0


def test_held_back_faces_are_explained_too(learnt, data_dir):
    held = np.stack([face.points_xy for face in annotated_faces(data_dir) if face.held_back])
    assert learnt.fit(held).error.mean() < 0.04


def test_the_same_faces_give_the_same_model(data_dir):
    points = np.stack([face.points_xy for face in annotated_faces(data_dir)[:40]])
    one, other = (lite_point_model.learn(points, modes=3, rounds=4) for _ in range(2))
    for name, value in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name), value)
