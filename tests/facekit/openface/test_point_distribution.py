"""The fit of the 3-D face: where OpenFace puts it, and the same for any company."""

import numpy as np
import pytest
import torch

from facekit.openface import point_distribution
from facekit.openface.point_distribution import Fit, PointModel


@pytest.fixture
def model(invented_set, cpu):
    return PointModel.of(invented_set.points, cpu)


def _fits(model, count, *, spread=0.5, seed=0):
    """Faces that the model can make."""
    rng = np.random.default_rng(seed)
    turns = point_distribution._small_rotation(torch.tensor(rng.normal(0, 0.3, (count, 3))))
    local = rng.normal(0, spread, (count, len(model.variance_K))) * model.variance_K.sqrt().numpy()
    return Fit(
        torch.tensor(rng.uniform(0.5, 3, count)),
        turns,
        torch.tensor(rng.uniform(100, 500, (count, 2))),
        torch.tensor(local),
    )


def test_parameters_are_those_of_openface(reference, real_model):
    points = torch.tensor(reference.arrays["landmarks"]).double()
    fitted = point_distribution.fit(points, real_model)
    pose = torch.cat(
        [
            fitted.scale_N[:, None],
            point_distribution.euler_rad(fitted.rotation_N33),
            fitted.shift_N2,
        ],
        dim=1,
    )
    np.testing.assert_allclose(pose, reference.arrays["params_global"], atol=1e-5)
    np.testing.assert_allclose(fitted.local_NK, reference.arrays["params_local"], atol=5e-4)
    geometry = point_distribution.geometry(fitted.local_NK, real_model)
    np.testing.assert_allclose(geometry, reference.arrays["geometry"], atol=5e-4)


def test_points_of_a_face_are_found_again(model):
    points = point_distribution.project(_fits(model, 6), model)
    fitted = point_distribution.fit(points, model)
    # not to the last digit: a likely face is preferred to the exact one
    assert (point_distribution.project(fitted, model) - points).abs().max() < 1.5
    again = point_distribution.fit(point_distribution.project(fitted, model), model)
    assert (again.scale_N / fitted.scale_N - 1).abs().max() < 0.05


def test_a_fit_is_a_least_of_error_and_unlikeliness(model):
    """No small step in any direction lowers what is minimised by more than the stop test sees."""
    points = point_distribution.project(_fits(model, 4, spread=1.0), model) + 0.3
    fitted = point_distribution.fit(points, model)
    spread = model.variance_K.sqrt()

    def cost(step_ND):
        turn = point_distribution._small_rotation(step_ND[:, 1:4])
        moved = Fit(
            fitted.scale_N * (1 + step_ND[:, 0]),
            torch.bmm(fitted.rotation_N33, turn),
            fitted.shift_N2 + 50 * step_ND[:, 4:6],
            fitted.local_NK + spread * step_ND[:, 6:],
        )
        error = ((point_distribution.project(moved, model) - points) ** 2).sum(dim=(1, 2))
        return error + (moved.local_NK**2 / model.variance_K).sum(dim=1)

    least = cost(torch.zeros(4, 40, dtype=torch.float64))
    for number in range(40):
        for size in (-0.02, 0.02):
            step_ND = torch.zeros(4, 40, dtype=torch.float64)
            step_ND[:, number] = size
            assert (cost(step_ND) > 0.999 * least).all(), number
    assert (cost(torch.full((4, 40), 0.02, dtype=torch.float64)) > 2 * least).all()


@pytest.mark.parametrize("at_once", [1, 2, 3, 5])
def test_a_fit_does_not_hang_on_the_faces_beside_it(model, at_once):
    points = point_distribution.project(_fits(model, 11, spread=1.0, seed=1), model)
    together = point_distribution.fit(points, model)
    for start in range(0, 11, at_once):
        some = slice(start, start + at_once)
        apart = point_distribution.fit(points[some], model)
        for one, other in zip(apart.parts, together[some].parts, strict=True):
            assert torch.equal(one, other)


def test_a_point_at_x_0_is_as_if_it_were_not_there(model):
    points = point_distribution.project(_fits(model, 2), model)
    hidden = points.clone()
    hidden[0, 20] = torch.tensor([0.0, 3.0])
    seen = torch.arange(68) != 20
    fitted = point_distribution.fit(hidden, model)
    expected = point_distribution.fit(points[:1, seen], model.only(seen))
    assert torch.equal(fitted.local_NK[:1], expected.local_NK)
    assert torch.equal(fitted.local_NK[1:], point_distribution.fit(points[1:], model).local_NK)
    assert not torch.equal(fitted.local_NK[0], point_distribution.fit(points, model).local_NK[0])


def test_points_all_in_one_place_end(model):
    sound = point_distribution.project(_fits(model, 1), model)
    points = torch.cat([torch.full((1, 68, 2), 7.0, dtype=torch.float64), sound])
    fitted = point_distribution.fit(points, model)
    assert torch.equal(fitted.local_NK[1:], point_distribution.fit(sound, model).local_NK)


def test_no_faces(model):
    fitted = point_distribution.fit(torch.zeros(0, 68, 2, dtype=torch.float64), model)
    assert [len(part) for part in fitted.parts] == [0, 0, 0, 0]


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.9), (1e-9, 0.0, 0.0)])
def test_a_small_rotation_is_the_nearest_one(turn):
    x, y, z = turn
    matrix = np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]])
    left, _, right = np.linalg.svd(matrix)
    found = point_distribution._small_rotation(torch.tensor([turn], dtype=torch.float64))[0]
    np.testing.assert_allclose(found, left @ right, atol=1e-14)


def test_angles_make_up_the_rotation():
    x, y, z = 0.3, -0.5, 1.1
    sin, cos = np.sin, np.cos
    about_x = np.array([[1, 0, 0], [0, cos(x), -sin(x)], [0, sin(x), cos(x)]])
    about_y = np.array([[cos(y), 0, sin(y)], [0, 1, 0], [-sin(y), 0, cos(y)]])
    about_z = np.array([[cos(z), -sin(z), 0], [sin(z), cos(z), 0], [0, 0, 1]])
    rotation = torch.tensor(about_x @ about_y @ about_z)[None]
    np.testing.assert_allclose(point_distribution.euler_rad(rotation)[0], [x, y, z])
