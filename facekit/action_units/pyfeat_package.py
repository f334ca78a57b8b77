"""What facekit takes from py-feat: a few of its functions, and its AU heads from a file.

Neither runs `import feat`, which takes tens of seconds, sets `OMP_NUM_THREADS`, changes warning
filters and puts classes into `__main__`. The modules that compute are imported one by one below a
package whose own file is never run, and every trace of that is put back.
"""

import contextlib
import functools
import importlib
import importlib.util
import logging
import os
import sys
import types
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from facekit.errors import BadWeights, MissingDevice
from facekit.weights import ModelFile

log = logging.getLogger(__name__)

AU_KEYS: Final = tuple(
    f"AU{number}"
    for number in (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43)
)
"""The action units of both heads, by py-feat's names and in its order."""

FEATURES: Final = 5408
"""HOG features of a face of 112 px: 13 x 13 blocks of 2 x 2 cells of 8 orientations."""

Kind = Literal["xgb", "svm"]
_KINDS: Final[Mapping[str, Kind]] = {"XGBClassifier": "xgb", "SVMClassifier": "svm"}
_HEADS_MODULE: Final = "feat.au_detectors.StatLearning.SL_test"

TRUSTED_TYPES: Final = (
    *(f"{module}.{name}" for module in ("__main__", _HEADS_MODULE) for name in _KINDS),
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)
"""What a head's file may hold besides what skops itself vouches for: plain values, numpy arrays and
scikit-learn's own estimators. Nothing else is ever imported or made from a file."""

_STATE: Final = (
    *(
        f"{part}_{region}"
        for region in ("upper", "lower", "full")
        for part in ("scaler", "pca_model")
    ),
    "classifiers",
)


@dataclass(frozen=True, kw_only=True)
class Package:
    """The functions and classes of py-feat in use.

    Args:
        crop: `extract_face_from_bbox_torch`.
        mask: `extract_faces_from_landmarks_batched`.
        hog_layer: `HOGLayer`.
        heads: class name -> class of an AU head.
    """

    crop: Callable[..., Any]
    mask: Callable[..., Any]
    hog_layer: Callable[..., Any]
    heads: Mapping[str, Callable[[], Any]]


@dataclass(frozen=True, kw_only=True)
class Head:
    """An AU head, ready to use.

    Args:
        kind: `xgb` gives probabilities, `svm` gives 0 or 1.
        detect: `detect_au(frame=(N, 5408), landmarks=[N x (68, 2)])` -> (N, 20).
    """

    kind: Kind
    detect: Callable[..., Any]


@functools.cache
def load_package() -> Package:
    """Import what is needed of py-feat, about 3 s beyond torch.

    Raises:
        MissingDevice: py-feat or a package that it needs is not installed, or another version.
    """
    try:
        with _environment_kept(), _bare_package():
            images = importlib.import_module("feat.utils.image_operations")
            masks = importlib.import_module("feat.utils.face_mask")
            heads = importlib.import_module(_HEADS_MODULE)
            return Package(
                crop=images.extract_face_from_bbox_torch,
                mask=masks.extract_faces_from_landmarks_batched,
                hog_layer=images.HOGLayer,
                heads={name: getattr(heads, name) for name in _KINDS},
            )
    except (ImportError, AttributeError) as error:
        raise MissingDevice(f"--au pyfeat needs py-feat 2.1 or later: {error}") from error


def load_head(model: ModelFile) -> Head:
    """Read an AU head from a file in py-feat's skops format and try it once.

    Args:
        model: the file; its root is one of py-feat's two classifier classes.

    Raises:
        BadWeights: not such a file, or one with types beyond `TRUSTED_TYPES`; these are named.
        MissingDevice: py-feat or a package that it needs is not installed.
    """
    package = load_package()
    stored = _stored(model, package)
    try:
        kind = _KINDS[type(stored).__name__]
        head = package.heads[type(stored).__name__]()
        head.load_weights(**{name: getattr(stored, name) for name in _STATE})
        _check(head, kind)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BadWeights(f"{model.path} is no AU head that py-feat can use: {reason}") from error
    return Head(kind=kind, detect=head.detect_au)


def _check(head: Any, kind: Kind) -> None:
    if {*head.classifiers} != {*AU_KEYS}:
        raise ValueError(f"its action units are {sorted(head.classifiers)}")
    if kind == "xgb":
        for classifier in head.classifiers.values():
            # torch brings an OpenMP runtime of its own, and threads of both crash some platforms
            classifier.get_booster().set_param({"nthread": 1})
    values_1A = head.detect_au(frame=np.zeros((1, FEATURES)), landmarks=[[np.zeros((68, 2))]])
    if values_1A.shape != (1, len(AU_KEYS)):
        raise ValueError(f"it gives {values_1A.shape} values for one face")


def _stored(model: ModelFile, package: Package) -> Any:
    try:
        with _environment_kept(), warnings.catch_warnings(record=True) as said:
            import skops.io

            foreign = {*skops.io.get_untrusted_types(file=model.path)} - {*TRUSTED_TYPES}
            if foreign:
                raise BadWeights(
                    f"{model.path} is not loaded, for it holds types that no AU head needs: "
                    f"{', '.join(sorted(foreign))}"
                )
            with _bare_package(), _names_in_main(package.heads):
                stored = skops.io.load(model.path, trusted=list(TRUSTED_TYPES))
    except ImportError as error:
        raise MissingDevice(f"--au pyfeat cannot load {model.path}: {error}") from error
    except (
        AttributeError,
        EOFError,
        KeyError,
        OSError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:
        reason = " ".join(str(error).split())
        raise BadWeights(f"{model.path} is no skops file that loads here: {reason}") from error
    for message in {str(warning.message) for warning in said}:
        log.info("%s: %s", model.name, message)
    return stored


@contextlib.contextmanager
def _bare_package() -> Iterator[None]:
    """Make modules of py-feat importable without its package; afterwards none is imported.

    Where the process has imported py-feat itself, that one is used and left alone.
    """
    if "feat" in sys.modules:
        yield
        return
    spec = importlib.util.find_spec("feat")
    if spec is None:
        raise ModuleNotFoundError("py-feat is not installed")
    package = types.ModuleType("feat")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["feat"] = package
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "feat"]:
            del sys.modules[name]


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Undo what imports write to `os.environ`: scikit-learn sets two variables of OpenMP."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _names_in_main(names: Mapping[str, object]) -> Iterator[None]:
    """Lend `__main__` these names: py-feat's files say that their root class lives there."""
    main = vars(sys.modules["__main__"])
    before = {name: main[name] for name in names if name in main}
    main.update(names)
    try:
        yield
    finally:
        for name in names:
            del main[name]
        main.update(before)
