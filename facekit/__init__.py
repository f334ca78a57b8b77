"""Raw videos become verified face datasets, AU statistics and forgery detectors.

The names below are the whole public surface; each is imported when it is first used, so that
`import facekit` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from facekit.errors import FacekitError

if TYPE_CHECKING:
    from facekit.diagnosis import doctor as doctor
    from facekit.options import Measurement as Measurement
    from facekit.options import Run as Run
    from facekit.options import Statistics as Statistics
    from facekit.shards import open_shards as open_shards
    from facekit.shards import verify as verify
    from pipelines.au_comparison import compare_au as compare_au
    from pipelines.au_stats import au_stats as au_stats
    from pipelines.extract import extract as extract
    from pipelines.inspection import diff as diff
    from pipelines.inspection import inspect as inspect
    from pipelines.merge import merge as merge
    from pipelines.preview import preview as preview
    from training.config import Config as Config
    from training.config import read_config as read_config
    from training.evaluate import evaluate as evaluate
    from training.export import export_model as export_model
    from training.loop import train as train
    from training.predict import predict as predict

_PLACES: Final = {
    "Config": "training.config",
    "Measurement": "facekit.options",
    "Run": "facekit.options",
    "Statistics": "facekit.options",
    "au_stats": "pipelines.au_stats",
    "compare_au": "pipelines.au_comparison",
    "diff": "pipelines.inspection",
    "doctor": "facekit.diagnosis",
    "evaluate": "training.evaluate",
    "export_model": "training.export",
    "extract": "pipelines.extract",
    "inspect": "pipelines.inspection",
    "merge": "pipelines.merge",
    "open_shards": "facekit.shards",
    "predict": "training.predict",
    "preview": "pipelines.preview",
    "read_config": "training.config",
    "train": "training.loop",
    "verify": "facekit.shards",
}

__all__ = [
    "Config",
    "FacekitError",
    "Measurement",
    "Run",
    "Statistics",
    "au_stats",
    "compare_au",
    "diff",
    "doctor",
    "evaluate",
    "export_model",
    "extract",
    "inspect",
    "merge",
    "open_shards",
    "predict",
    "preview",
    "read_config",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'facekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
