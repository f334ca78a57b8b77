"""Run by a test in a process of its own: facekit's labels first, then py-feat's by its own hand.

python pyfeat_reference.py OUT.json HEAD.skops ...
"""

import json
import os
import sys
from pathlib import Path


def state():
    """What a library must not change behind the back of its process."""
    import torch

    return {
        "gradients": torch.is_grad_enabled(),
        "environment": dict(os.environ),
        "main": sorted(vars(sys.modules["__main__"])),
        "feat": sorted(name for name in sys.modules if name.partition(".")[0] == "feat"),
    }


def facekits(path, faces):
    """Scores and occurrences by facekit."""
    from facekit import action_units

    labels = action_units.load(f"pyfeat:{path}", device="cpu")(faces)
    return [labels.score.tolist(), labels.occurrence.tolist()]


def pyfeats(path, faces):
    """Features and predictions the way `feat.detector.Detectorv1` makes them."""
    import feat.detector as theirs
    import torch

    frames_1CHW = torch.tensor(faces[0].image_HWC.transpose(2, 0, 1)[None]).float() / 255.0
    boxes_N4 = torch.tensor([face.box_xyxy.tolist() for face in faces])
    crops, grown_N4 = theirs.extract_face_from_bbox_torch(
        frames_1CHW, boxes_N4, face_size=112, frame_idx=torch.zeros(len(faces), dtype=torch.long)
    )
    points_NP2 = torch.tensor([face.points_xy.tolist() for face in faces])
    corner, size = grown_N4[:, None, :2], (grown_N4[:, 2:] - grown_N4[:, :2])[:, None]
    hog_NF, aligned = theirs.extract_hog_features_batched(
        crops, ((points_NP2 - corner) / size).reshape(len(faces), 136)
    )
    stored = theirs.load(path, trusted=theirs.get_untrusted_types(file=path))
    head = getattr(theirs, type(stored).__name__)()
    names = [
        f"{part}_{region}"
        for part in ("scaler", "pca_model")
        for region in ("upper", "lower", "full")
    ]
    head.load_weights(**{name: getattr(stored, name) for name in (*names, "classifiers")})
    return head.detect_au(frame=hog_NF, landmarks=[aligned]).tolist()


def run(out, paths):
    """Facekit, then py-feat, then facekit in a process where py-feat is imported."""
    import pyfeat_heads

    faces = pyfeat_heads.faces_in(pyfeat_heads.photo_HWC(), 12)
    before = state()
    ours = [facekits(path, faces) for path in paths]
    after = state()
    theirs = [pyfeats(path, faces) for path in paths]
    package = sys.modules["feat"]
    again = [facekits(path, faces) for path in paths]
    report = {"before": before, "after": after, "ours": ours, "theirs": theirs, "again": again}
    report["same_package"] = sys.modules["feat"] is package
    Path(out).write_text(json.dumps(report))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
