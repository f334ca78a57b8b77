"""How well the tampered part of a face is found, where the data comes with manipulation masks.

A mask is a video with a frame for each frame of the forged video, as FaceForensics++ has them, or a
folder of PNGs whose names are frame numbers. It is cut like the face: by the shard's affine into
the stored crop, and with it to what the network sees.

Letters in shapes: N faces, S side of the stored crop, H W rows and columns.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import grid_sample, interpolate

from facekit.errors import BadInput, BadVideo, MissingDevice
from training.config import Config
from training.framing import frame
from training.pixels import Reader
from training.scoring import score_batches
from training.source import Source
from training.table import Table

if TYPE_CHECKING:
    import pandas as pd

THRESHOLD: Final = 0.5
"""A pixel is tampered above this share of white in a mask, and of probability in a token map."""

_MEASURES: Final = ("pixel_accuracy", "miou")

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Localisation:
    """Means over faces; NaN where there is none.

    Args:
        real: real faces, whose mask is empty.
        fake: fake faces with a mask.
        pixel_accuracy: share of the pixels that are called what they are.
        miou: mean of the intersection over union of the tampered and of the untouched part; of
            a part that is empty in both, 1.
        pixel_accuracy_fake, miou_fake: the same over fake faces alone.
        missing: why -> fake faces that have no mask.
    """

    real: int
    fake: int
    pixel_accuracy: float
    miou: float
    pixel_accuracy_fake: float
    miou_fake: float
    missing: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def by_dataset(
        cls, faces: "Sequence[pd.DataFrame]", videos: "pd.DataFrame"
    ) -> "dict[str, Localisation]":
        """The means of each dataset.

        Args:
            faces: from `localise`; none gives none.
            videos: with `key` and `dataset`.
        """
        import pandas as pd

        if not faces:
            return {}
        together = pd.concat(faces, ignore_index=True)
        together = together.merge(videos[["key", "dataset"]], on="key", validate="many_to_one")
        return {str(name): cls._of(part) for name, part in together.groupby("dataset")}

    @classmethod
    def _of(cls, faces: "pd.DataFrame") -> "Localisation":
        measured = faces[faces["missing"] == ""]
        fakes = measured[measured["label"] == 1]
        return cls(
            real=len(measured) - len(fakes),
            fake=len(fakes),
            **{name: float(measured[name].mean()) for name in _MEASURES},
            **{f"{name}_fake": float(fakes[name].mean()) for name in _MEASURES},
            missing=dict(sorted(Counter(faces["missing"][faces["missing"] != ""]).items())),
        )


class Masks:
    """Manipulation masks below a folder.

    Args:
        folder: what the videos' `mask_path` is relative to.

    Raises:
        BadInput: there is no such folder.
        MissingDevice: PyAV, which reads them, is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise BadInput(f"--masks {folder}: no such folder")
        try:
            import av
        except ImportError as error:
            raise MissingDevice("--masks needs PyAV: pip install av") from error
        del av
        self._folder = folder

    def read(self, mask_path: str, wanted: Sequence[int]) -> dict[int, Image]:
        """Some frames of a mask.

        Args:
            mask_path: of the video.
            wanted: frame numbers.

        Returns:
            Frame number -> (H, W) uint8, those that there are.

        Raises:
            BadVideo: it cannot be read.
        """
        path = self._folder / mask_path
        if path.is_dir():
            named = {int(file.stem): file for file in path.glob("*.png") if file.stem.isdigit()}
            found = {number: named[number] for number in wanted if number in named}
            return {number: next(_decoded(file, [0]))[1] for number, file in found.items()}
        return dict(_decoded(path, wanted))


def _decoded(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, Image]]:
    import av

    last = max(wanted, default=-1)
    try:
        with av.open(str(path)) as container:
            for number, picture in enumerate(container.decode(video=0)):
                if number in wanted:
                    yield number, picture.to_ndarray(format="gray")
                if number >= last:
                    return
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise BadVideo(f"{path}: the mask cannot be read") from error


def localise(
    model: nn.Module,
    source: Source,
    table: Table,
    config: Config,
    masks: Masks,
    *,
    batch: int = 64,
    device: torch.device | str | None = None,
) -> "pd.DataFrame":
    """Compare the tampering map of each face with its mask; reals have an empty one.

    Args:
        model: from `training.models.build`.
        source: of the same table.
        table: whose faces.
        config: of the run.
        masks: where the masks are.
        batch: faces at once.
        device: where the network is; None takes the source's.

    Returns:
        One row a face: `key`, `label`, `pixel_accuracy`, `miou`, and `missing`, why a fake face
        has no mask; empty where it has one.

    Raises:
        BadInput: the network has learnt no tokens, so that it says nothing of where.

    Source:
        Mean intersection over union as by Mazaheri and Roy-Chowdhury, "Detection and localization
        of facial expression manipulations", WACV 2022.
    """
    import pandas as pd

    if not config.learns_tokens:
        raise BadInput(
            "the run has learnt no tokens (loss.token = 0, or data.task = labelled), so it "
            "does not say where a face is tampered with; leave out --masks"
        )
    cutter = _Cutter(table, masks)
    rows: list[dict[str, Any]] = []
    batches = score_batches(model, source, table, config, batch=batch, device=device)
    for scored in batches:
        map_NHW = scored.scores.token_map_NHW
        assert map_NHW is not None
        sample_N = scored.faces.sample_N.tolist()
        stored_NSS, reasons = cutter.stored(sample_N, scored.faces.size_px)
        image_NSS3 = stored_NSS[..., None].expand(-1, -1, -1, 3).to(map_NHW.device)
        faces = replace(scored.faces, image_NHWC=image_NSS3)
        size_px = config.model.size_px
        framed = frame(faces, size_px, draws=None, data=config.data)
        target_NHW = framed.image_NCHW[:, 0] > THRESHOLD
        said_N1HW = interpolate(
            map_NHW[:, None], (size_px, size_px), mode="bilinear", align_corners=False
        )
        measured = _measured(said_N1HW[:, 0] > THRESHOLD, target_NHW)
        for i, sample in enumerate(sample_N):
            video = int(table.samples.video_N[sample])
            rows.append(
                {
                    "key": table.videos["key"].iloc[video],
                    "label": int(table.samples.label_N[sample]),
                    **{name: float(values[i]) for name, values in measured.items()},
                    "missing": reasons[i],
                }
            )
    return pd.DataFrame(rows, columns=["key", "label", *_MEASURES, "missing"])


def _measured(said_NHW: torch.Tensor, target_NHW: torch.Tensor) -> dict[str, torch.Tensor]:
    def overlap(said: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        union_N = (said | target).flatten(1).sum(1)
        both_N = (said & target).flatten(1).sum(1)
        return torch.where(union_N > 0, both_N / union_N.clamp(min=1), 1.0)

    untouched = overlap(~said_NHW, ~target_NHW)
    return {
        "pixel_accuracy": (said_NHW == target_NHW).flatten(1).float().mean(1).cpu(),
        "miou": ((overlap(said_NHW, target_NHW) + untouched) / 2).cpu(),
    }


class _Cutter:
    """Masks as they lie in the stored crops; those of one video are held at a time."""

    def __init__(self, table: Table, masks: Masks) -> None:
        self._samples, self._videos, self._masks = table.samples, table.videos, masks
        self._affine_N23 = np.empty((len(table), 2, 3), np.float32)
        with Reader(table) as reader:
            reader.fill(np.arange(len(table)), {"crop_affine": self._affine_N23})
        self._held: tuple[int, dict[int, Image], str] = (-1, {}, "")

    def stored(self, sample_N: Sequence[int], side_px: int) -> tuple[torch.Tensor, list[str]]:
        """(N, S, S) uint8, and why a mask is missing, or an empty text."""
        made_NSS = torch.zeros(len(sample_N), side_px, side_px, dtype=torch.uint8)
        reasons = [""] * len(sample_N)
        for i, sample in enumerate(sample_N):
            if self._samples.label_N[sample] != 1:
                continue
            mask, reasons[i] = self._mask(sample)
            if mask is not None:
                made_NSS[i] = _cut(mask, self._affine_N23[sample], side_px)
        return made_NSS, reasons

    def _mask(self, sample: int) -> tuple[Image | None, str]:
        video = int(self._samples.video_N[sample])
        if video != self._held[0]:
            self._held = (video, *self._read(video))
        _, frames, reason = self._held
        found = frames.get(int(self._samples.frame_index_N[sample]))
        return found, "" if found is not None else reason or "no mask of that frame"

    def _read(self, video: int) -> tuple[dict[int, Image], str]:
        path = self._videos["mask_path"].iloc[video]
        if not path:
            return {}, "the video has no mask"
        wanted = self._samples.frame_index_N[self._samples.video_N == video]
        try:
            return self._masks.read(path, sorted(set(wanted.tolist()))), ""
        except BadVideo:
            return {}, "the mask cannot be read"


def _cut(mask_HW: Image, affine_23: npt.NDArray[np.float32], side_px: int) -> torch.Tensor:
    """(S, S) uint8: the mask where the crop lies; what hangs over the frame is black."""
    height, width = mask_HW.shape
    into_frame = np.linalg.inv(affine_23[:, :2].astype(np.float64))
    y, x = np.mgrid[:side_px, :side_px]
    frame_xy = (np.stack([x, y], axis=-1) - affine_23[:, 2]) @ into_frame.T
    grid_xy = 2.0 * frame_xy / np.maximum([width - 1, height - 1], 1) - 1.0
    cut = grid_sample(
        torch.from_numpy(mask_HW)[None, None].float(),
        torch.from_numpy(grid_xy.astype(np.float32))[None],
        mode="bilinear",
        padding_mode="zeros",
        align_corners=True,
    )
    return cut[0, 0].round().to(torch.uint8)
