import openface_models as of
import pytest

from facekit import devices
from facekit.openface import model_files
from facekit.openface.point_distribution import PointModel


@pytest.fixture(scope="session", autouse=True)
def cpu():
    """The CPU, one thread of it, as in a worker process."""
    return devices.torch_device("cpu")


@pytest.fixture(scope="session")
def invented(tmp_path_factory):
    """A folder of model files of OpenFace's kinds, with invented numbers."""
    return of.write(tmp_path_factory.mktemp("models") / "AU_predictors")


@pytest.fixture(scope="session")
def invented_set(invented):
    return model_files.read_set(invented, "dynamic")


@pytest.fixture(scope="session")
def real_folder(weights_dir):
    folder = weights_dir / "openface_au"
    if not folder.is_dir():
        pytest.skip("FACEKIT_WEIGHTS holds no openface_au")
    return folder


@pytest.fixture(scope="session")
def real_set(real_folder):
    return model_files.read_set(real_folder, "dynamic")


@pytest.fixture(scope="session")
def real_model(real_set, cpu):
    return PointModel.of(real_set.points, cpu)


@pytest.fixture(scope="session", params=of.CLIPS)
def reference(request, data_dir, pyfeat_clips):
    """OpenFace's own inner stages of a clip."""
    return of.reference(request.param, data_dir, pyfeat_clips)
