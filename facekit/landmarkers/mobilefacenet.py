"""68 points by MobileFaceNet: light enough for machines without a GPU."""

from facekit.landmarkers.two_pass import TwoPassLandmarker


class MobileFaceNetLandmarker(TwoPassLandmarker):
    """MobileFaceNet as a regressor of 68 points, looking twice (`facekit.landmarkers.two_pass`).

    Args:
        model: a name in `facekit.catalogue.KNOWN` or the path of an ONNX file; None takes
            `mobilefacenet_68`.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BadWeights: the file is no such model.
        MissingWeights: the file is not at hand and cannot be fetched.

    Source: Chen et al., MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification
    on Mobile Devices, CCBR 2018; weights of pytorch_face_landmark.
    """

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        super().__init__(model or "mobilefacenet_68", device=device)
