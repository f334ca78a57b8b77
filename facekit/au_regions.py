"""Where on a face each of 15 action units shows, as data.

The regions are facekit's own ellipses around the action unit centres of EAC-Net (Li et al., PAMI
2018) and JAA-Net (Shao et al., ECCV 2018), whose 15 action units these are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

Profile = Literal["default", "jaa"]


@dataclass(frozen=True, kw_only=True)
class Region:
    """Where one action unit shows.

    Lengths are in units of d, the distance of the inner eye corners. `a` lies along the line of
    the eyes, `b` across it.

    Args:
        au: number of the action unit.
        name: its name in the Facial Action Coding System.
        points: iBUG-68 points whose mean is the centre, one tuple an ellipse: the image-left and
            the image-right one, or a single one on the midline.
        out: shift of the centre away from the midline.
        down: shift of the centre down the face.
        a: semi-axis, or the least where `spread` is set.
        b: semi-axis, or the least where `spread` is set.
        spread: above 0, semi-axes are this times sqrt(2) standard deviations of the points, which
            is exact for points on an ellipse.
    """

    au: int
    name: str
    points: tuple[tuple[int, ...], ...]
    out: float = 0.0
    down: float = 0.0
    a: float
    b: float
    spread: float = 0.0


_EYES: Final = (tuple(range(36, 42)), tuple(range(42, 48)))
_UPPER_LIP: Final = (49, 50, 51, 52, 53, 61, 62, 63)
_OUTER_LIPS: Final = tuple(range(48, 60))
_INNER_LIPS: Final = tuple(range(60, 68))

REGIONS: Final = (
    Region(au=1, name="inner brow raiser", points=((21,), (22,)), down=-0.50, a=0.45, b=0.35),
    Region(au=2, name="outer brow raiser", points=((18,), (25,)), down=-0.33, a=0.50, b=0.35),
    Region(au=4, name="brow lowerer", points=((19,), (24,)), down=0.33, a=0.55, b=0.30),
    Region(au=6, name="cheek raiser", points=((41,), (46,)), down=1.00, a=0.50, b=0.40),
    Region(au=7, name="lid tightener", points=_EYES, a=0.55, b=0.28, spread=1.25),
    Region(au=9, name="nose wrinkler", points=((32,), (34,)), down=-0.50, a=0.30, b=0.40),
    Region(
        au=10,
        name="upper lip raiser",
        points=(_UPPER_LIP,),
        down=-0.08,
        a=0.60,
        b=0.28,
        spread=1.25,
    ),
    Region(
        au=12, name="lip corner puller", points=((48,), (54,)), out=0.10, down=-0.10, a=0.40, b=0.40
    ),
    Region(au=14, name="dimpler", points=((48,), (54,)), out=0.20, a=0.40, b=0.35),
    Region(
        au=15,
        name="lip corner depressor",
        points=((48,), (54,)),
        out=0.05,
        down=0.22,
        a=0.40,
        b=0.35,
    ),
    Region(au=17, name="chin raiser", points=((56, 57, 58),), down=0.50, a=0.60, b=0.35),
    Region(au=23, name="lip tightener", points=(_OUTER_LIPS,), a=0.70, b=0.35, spread=1.15),
    Region(
        au=24, name="lip pressor", points=((48, 54, *_INNER_LIPS),), a=0.70, b=0.25, spread=1.10
    ),
    Region(au=25, name="lips part", points=(_INNER_LIPS,), a=0.55, b=0.25, spread=1.30),
    Region(au=26, name="jaw drop", points=((57, 8),), down=0.05, a=0.90, b=0.50),
)
"""The 15 action units of BP4D and DISFA together, in order of number."""


def _shared(au: int, like: int) -> Region:
    """The region of one action unit where another's stands for it, centred on its points."""
    by_au = {region.au: region for region in REGIONS}
    return replace(by_au[like], au=au, name=by_au[au].name)


def _jaa_regions() -> tuple[Region, ...]:
    like = {14: 12, 15: 12, 24: 23, 25: 23, 26: 17}
    regions = (_shared(region.au, like.get(region.au, region.au)) for region in REGIONS)
    return tuple(
        replace(region, out=0.0, down=0.0) if region.au in (12, 14, 15) else region
        for region in regions
    )


PROFILES: Final[Mapping[Profile, tuple[Region, ...]]] = {
    "default": REGIONS,
    "jaa": _jaa_regions(),
}
"""`jaa` has one region for 12, 14 and 15, one for 23, 24 and 25, one for 17 and 26, as JAA-Net
draws them; what is learnt from its masks cannot tell these apart."""
