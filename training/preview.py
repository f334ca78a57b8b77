"""Pictures of tampered faces, for a person to judge what the network is taught.

Letters: N faces, H W rows and columns.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from facekit.errors import BadInput
from training.config import Config
from training.draws import Draws
from training.framing import frame
from training.table import Table, read_table
from training.tampering import Tampered, tamper, token_labels
from training.tiers import open_source

if TYPE_CHECKING:
    from facekit.page import Page

TOKEN_PX: Final = 16
"""Pixels of the input under one token, each way."""

_WIDTH_PX: Final = 1600
_MARGIN_PX, _GAP_PX, _PAD_PX, _TOP_PX, _CAPTION_PX = 20, 4, 10, 96, 34
_COLUMNS: Final = 2
_CARD_PX: Final = (_WIDTH_PX - 2 * _MARGIN_PX - (_COLUMNS - 1) * _PAD_PX) // _COLUMNS
_PANELS: Final = "real   |   mask   |   fake   |   token labels: forged where filled"
_PANEL_PX: Final = (_CARD_PX - 2 * _PAD_PX - 3 * _GAP_PX) // 4
_CARD_COLOUR, _FORGED_COLOUR = "#F3F3F1", "#E69F00"

_Image = npt.NDArray[np.uint8]


def preview_tampered(
    path: str | Path,
    out: str | Path = "preview.png",
    *,
    faces: int = 8,
    config: Config | None = None,
) -> Path:
    """Draw real faces, their masks, what they are forged to, and the tokens' labels.

    Args:
        path: a shard folder, or one shard.
        out: PNG to write.
        faces: how many faces to draw, 1 to 100; spread evenly over the videos.
        config: how they are framed and tampered with, and its seed; None takes the defaults.

    Returns:
        `out`.

    Raises:
        BadInput: there is no real face with landmarks, `faces` is out of range, or `out` cannot
            be written.
        BadShard: the shards cannot be read.

    >>> preview_tampered("shards/", faces=0)
    Traceback (most recent call last):
    ...
    facekit.errors.BadInput: --faces must lie in 1 to 100, not 0
    """
    from facekit.page import write_png

    if not 1 <= faces <= 100:
        raise BadInput(f"--faces must lie in 1 to 100, not {faces}")
    config = config or Config()
    table = _chosen(read_table([path]), faces, path)
    stored = open_source(table, "cpu", "device").take(np.arange(len(table)))
    draws = Draws(config.training.seed, 0, stored.sample_N)
    framed = frame(stored, config.model.size_px, draws=draws, data=config.data)
    pairs = tamper(framed, draws, config.tampering)
    write_png(_sheet(table, pairs, config.tampering.threshold), Path(out))
    return Path(out)


def _chosen(table: Table, faces: int, path: str | Path) -> Table:
    """Faces that could be trained on: real, or of no label, and with landmarks."""
    from facekit.pictures import spread

    rows_N = np.flatnonzero(table.samples.is_sound_N & (table.samples.label_N != 1))
    if not len(rows_N):
        raise BadInput(
            f"{path} holds no real face with landmarks, in {len(table.videos)} videos; "
            "`facekit inspect` says what it holds"
        )
    kept_N = np.zeros(len(table), bool)
    kept_N[rows_N[spread(table.samples.video_N[rows_N].tolist(), faces)]] = True
    return table.of_samples(kept_N)


def _sheet(table: Table, pairs: Tampered, threshold: float) -> _Image:
    """Cards of four panels, two side by side."""
    from facekit.page import FAINT, Page

    count, size_px = len(table), pairs.real_NCHW.shape[-1]
    grid = -(-size_px // TOKEN_PX)
    label_NT = token_labels(pairs.token_mask_N1HW, (grid, grid), threshold)
    label_N1HW = functional.interpolate(
        label_NT.view(-1, 1, grid, grid).float(), size=(size_px, size_px)
    )
    high_px = _PANEL_PX + 2 * _PAD_PX + _CAPTION_PX
    page = Page(_WIDTH_PX, _TOP_PX + -(-count // _COLUMNS) * (high_px + _PAD_PX) + _MARGIN_PX)
    page.text(_MARGIN_PX, 36, f"{count} tampered face{'s'[: count != 1]}", size_px=22, bold=True)
    page.text(_MARGIN_PX, 66, _PANELS, size_px=14, colour=FAINT)
    for nth in range(count):
        x = _MARGIN_PX + nth % _COLUMNS * (_CARD_PX + _PAD_PX)
        y = _TOP_PX + nth // _COLUMNS * (high_px + _PAD_PX)
        page.fill(x, y, _CARD_PX, high_px, _CARD_COLOUR)
        _card(page, _panels(pairs, label_N1HW, nth), x + _PAD_PX, y + _PAD_PX)
        samples = table.samples
        key = str(table.videos.key.iloc[samples.video_N[nth]])
        caption = f"{key[-64:]}   frame {samples.frame_index_N[nth]}"
        page.text(x + _PAD_PX, y + high_px - _PAD_PX, caption, size_px=13, colour=FAINT)
    return page.finished()


def _card(page: "Page", panels: list[_Image], x: int, y: int) -> None:
    from facekit.page import resized

    for nth, panel_HWC in enumerate(panels):
        page.paste(resized(panel_HWC, _PANEL_PX), x + nth * (_PANEL_PX + _GAP_PX), y)


def _panels(pairs: Tampered, label_N1HW: torch.Tensor, nth: int) -> list[_Image]:
    """Real, mask, fake, and the fake with its forged tokens tinted."""
    from facekit.page import tinted

    mask_CHW = pairs.mask_N1HW[nth].expand(3, -1, -1)
    real_HWC, mask_HWC, fake_HWC = (
        _picture(part_CHW) for part_CHW in (pairs.real_NCHW[nth], mask_CHW, pairs.fake_NCHW[nth])
    )
    label_HW: npt.NDArray[Any] = label_N1HW[nth, 0].numpy()
    labelled_HWC = tinted(fake_HWC, label_HW, _FORGED_COLOUR, fill=0.45, outline=0.0)
    return [real_HWC, mask_HWC, fake_HWC, labelled_HWC]


def _picture(image_CHW: torch.Tensor) -> _Image:
    """(H, W, 3) uint8 of 0..1."""
    return np.asarray((image_CHW * 255.0).round().byte().permute(1, 2, 0).numpy())
