"""68 points by PFLD."""

from facekit.landmarkers.two_pass import TwoPassLandmarker


class PfldLandmarker(TwoPassLandmarker):
    """PFLD, looking twice (`facekit.landmarkers.two_pass`).

    Args:
        model: a name in `facekit.catalogue.KNOWN` or the path of an ONNX file; None takes
            `pfld_68`.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadWeights: the file is no such model.
        MissingWeights: the file is not at hand and cannot be fetched.

    Source: Guo et al., PFLD: A Practical Facial Landmark Detector, arXiv 1902.10859; weights of
    pytorch_face_landmark.
    """

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        super().__init__(model or "pfld_68", device=device)
