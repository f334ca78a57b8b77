"""The models that facekit knows by name: address, hash, size, licence. Data only.

Addresses stand at fixed commits or releases where the host has such a thing; every file is
compared with its hash before use (`facekit.weights`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from facekit.openface_members import MEMBERS, Member

_UNSTATED: Final = "upstream states no licence for these weights"
_INSIGHTFACE: Final = "InsightFace models: non-commercial research only"
_FACE_LANDMARK: Final = (
    "https://raw.githubusercontent.com/cunjian/pytorch_face_landmark/"
    "6f34bf9f034aa2f521952f825e6ccc567deb42d6/"
)
_SCRFD: Final = (
    "https://raw.githubusercontent.com/hpc203/scrfd-opencv/"
    "eee7bf1ee0dbe9615d8d8caaa53702e0d2dca001/weights/"
)
_OPENFACE: Final = "https://raw.githubusercontent.com/TadasBaltrusaitis/OpenFace/OpenFace_2.2.0/"
_EMBEDDED: Final = "research only (facekit/models/WEIGHTS_LICENSE)"
_REINSTALL: Final = "it comes with facekit: install facekit again"
_MODEL_ZOO: Final = "https://github.com/deepinsight/insightface/releases/download/"


@dataclass(frozen=True, kw_only=True)
class Pack:
    """The zip archive that holds a model file.

    Args:
        sha256: of the archive.
        size_bytes: of the archive.
    """

    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Known:
    """A model that facekit knows by name.

    Args:
        file: file name below the model's folder; empty where the model is the folder itself.
        licence: what the licence says of use and redistribution.
        sha256: of the file, or of the members; None where no trustworthy sum is published.
        size_bytes: of the file, or of the members together; 0 if unknown.
        urls: https addresses, tried in this order; empty where it cannot be downloaded.
        needs_word: whether the user has to accept the licence before a download.
        pack: the archive at `urls`, where the file is a member of one.
        members: what the model is made of, where it is a folder; their paths follow each of `urls`.
        note: what to do where there is no address.
        embedded: whether the file lies in the package itself, in `facekit/models`.
    """

    file: str
    licence: str
    sha256: str | None = None
    size_bytes: int = 0
    urls: tuple[str, ...] = ()
    needs_word: bool = True
    pack: Pack | None = None
    members: tuple[Member, ...] = ()
    note: str = ""
    embedded: bool = False


KNOWN: Final[Mapping[str, Known]] = {
    "lite_detector": Known(
        file="lite_detector.safetensors",
        licence=_EMBEDDED,
        sha256="6e584d2163e1590fe172b26a65a7c463ff4e29282f7e3efa7ebc91f34aa811a6",
        size_bytes=998_690,
        note=_REINSTALL,
        embedded=True,
    ),
    "lite_landmarker": Known(
        file="lite_landmarker.safetensors",
        licence=_EMBEDDED,
        sha256="b5429fdffff41702bc441d5e406bb35c377efbd20dca969376e4192fb90febd6",
        size_bytes=1_927_664,
        note=_REINSTALL,
        embedded=True,
    ),
    "lite_action_units": Known(
        file="lite_action_units.safetensors",
        licence=_EMBEDDED,
        sha256="eccbdca9903b111643433cc0a542011c1314e03578c45b6584e645f7914df325",
        size_bytes=30_560,
        note=_REINSTALL,
        embedded=True,
    ),
    "buffalo_l": Known(
        file="det_10g.onnx",
        licence=_INSIGHTFACE,
        sha256="5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
        size_bytes=16_923_827,
        urls=(_MODEL_ZOO + "model-zoo/buffalo_l.zip", _MODEL_ZOO + "v0.7/buffalo_l.zip"),
        pack=Pack(
            sha256="80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
            size_bytes=288_621_354,
        ),
    ),
    "buffalo_sc": Known(
        file="det_500m.onnx",
        licence=_INSIGHTFACE,
        sha256="5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
        size_bytes=2_524_817,
        urls=(_MODEL_ZOO + "model-zoo/buffalo_sc.zip", _MODEL_ZOO + "v0.7/buffalo_sc.zip"),
        pack=Pack(
            sha256="57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72",
            size_bytes=14_969_382,
        ),
    ),
    "scrfd_2.5g_kps": Known(
        file="scrfd_2.5g_kps.onnx",
        licence=_INSIGHTFACE,
        sha256="32d20c77b9e2dc1d07e94c2ab9d25bdd5cd05eddbe0b46e7b38e7a1eca22e99a",
        size_bytes=3_291_017,
        urls=(_SCRFD + "scrfd_2.5g_kps.onnx",),
    ),
    "scrfd_500m_kps": Known(
        file="scrfd_500m_kps.onnx",
        licence=_INSIGHTFACE,
        sha256="517cb1980c72422e676738fc45431700fb7cbee56d0f825b623ee427b3e5ce58",
        size_bytes=2_524_095,
        urls=(_SCRFD + "scrfd_500m_kps.onnx",),
    ),
    "retinaface_mnet025": Known(
        file="mobilenet0.25_Final.pth",
        licence="MIT (Pytorch_Retinaface)",
        sha256="5f88f7957d9eaef82b49b9e0202bc56e97292e2aede2999209accd34442cc4df",
        size_bytes=1_786_259,
        urls=(_FACE_LANDMARK + "Retinaface/weights/mobilenet0.25_Final.pth",),
        needs_word=False,
    ),
    "yunet_2023mar": Known(
        file="face_detection_yunet_2023mar.onnx",
        licence="Apache-2.0 (libfacedetection.train), MIT (opencv_zoo)",
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        size_bytes=232_589,
        urls=(
            "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
            "0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/yunet_s_640_640.onnx",
        ),
        needs_word=False,
    ),
    "2dfan4": Known(
        file="2DFAN4-11f355bf06.pth.tar",
        licence=_UNSTATED,
        sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
        urls=("https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",),
    ),
    "mobilefacenet_68": Known(
        file="mobilefacenet_68.onnx",
        licence=_UNSTATED,
        sha256="2273c9e2dd6f575d0aa05497ca79edb6de7546a1c49303cc1444e73580b3e401",
        size_bytes=4_017_990,
        note="there is no download",
    ),
    "pfld_68": Known(
        file="pfld.onnx",
        licence=_UNSTATED,
        sha256="7d7bbd5c6a1d9272e58d9773898284a1905d872eba9a662df9b5f20f1ba6f83e",
        size_bytes=2_987_921,
        urls=(_FACE_LANDMARK + "onnx/pfld.onnx",),
    ),
    "pyfeat_xgb": Known(
        file="xgb_au_classifier_v2.skops",
        licence="MIT by its model card; training-data terms unresolved by py-feat's own notes",
        urls=("https://huggingface.co/py-feat/xgb_au/resolve/main/xgb_au_classifier_v2.skops",),
    ),
    "pyfeat_svm": Known(
        file="svm_au_classifier_v2.skops",
        licence="MIT by its model card; training-data terms unresolved by py-feat's own notes",
        urls=("https://huggingface.co/py-feat/svm_au/resolve/main/svm_au_classifier_v2.skops",),
    ),
    "openface_au": Known(
        file="",
        licence="OpenFace (CMU): academic, non-commercial research; no redistribution",
        sha256="29c471f409704a0b828fb818e33f9430d8ba1a44f6b4ee43637adc5257351107",
        size_bytes=4_288_737,
        urls=(_OPENFACE + "lib/local/FaceAnalyser/AU_predictors/",),
        members=MEMBERS,
    ),
}
"""Every model that has a name; the folders of `FACEKIT_WEIGHTS` are called like this."""
