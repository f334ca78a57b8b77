"""Raw videos become verified face datasets with landmarks, action units and AU masks.

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

_PLACES: Final = {
    "Measurement": "facekit.options",
    "Run": "facekit.options",
    "Statistics": "facekit.options",
    "au_stats": "pipelines.au_stats",
    "compare_au": "pipelines.au_comparison",
    "diff": "pipelines.inspection",
    "doctor": "facekit.diagnosis",
    "extract": "pipelines.extract",
    "inspect": "pipelines.inspection",
    "merge": "pipelines.merge",
    "open_shards": "facekit.shards",
    "preview": "pipelines.preview",
    "verify": "facekit.shards",
}

__all__ = [
    "FacekitError",
    "Measurement",
    "Run",
    "Statistics",
    "au_stats",
    "compare_au",
    "diff",
    "doctor",
    "extract",
    "inspect",
    "merge",
    "open_shards",
    "preview",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'facekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
