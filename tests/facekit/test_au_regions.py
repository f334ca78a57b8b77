import itertools

import pytest

from facekit import au_masks, au_regions, schema

MIRRORED = {
    **{i: 16 - i for i in range(17)},
    **{i: 43 - i for i in range(17, 27)},
    **{i: i for i in range(27, 31)},
    **{i: 66 - i for i in range(31, 36)},
    **dict(zip(range(36, 48), (45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40), strict=True)),
    **dict(zip(range(48, 60), (54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55), strict=True)),
    **dict(zip(range(60, 68), (64, 63, 62, 61, 60, 67, 66, 65), strict=True)),
}
"""Which point of iBUG-68 stands where one stood, in a mirror."""


def test_the_table_is_what_the_schema_says():
    assert au_masks.MASK_AUS == (1, 2, 4, 6, 7, 9, 10, 12, 14, 15, 17, 23, 24, 25, 26)
    assert len(au_masks.MASK_AUS) == len(au_masks.MASK_NAMES) == schema.MASKS
    assert len(au_masks.ELLIPSE_AU) == schema.ELLIPSES
    assert set(au_masks.ELLIPSE_AU) == set(au_masks.MASK_AUS)


@pytest.mark.parametrize("profile", ["default", "jaa"])
def test_each_region_is_its_own_mirror_image(profile):
    for region in au_regions.PROFILES[profile]:
        mirrored = [tuple(sorted(MIRRORED[i] for i in points)) for points in region.points]
        assert mirrored[::-1] == [tuple(sorted(points)) for points in region.points], region.name


@pytest.mark.parametrize("profile", ["default", "jaa"])
def test_ellipses_are_counted_alike(profile):
    regions = au_regions.PROFILES[profile]
    assert tuple(region.au for region in regions) == au_masks.MASK_AUS
    assert tuple(region.name for region in regions) == au_masks.MASK_NAMES
    ellipse_au = tuple(region.au for region in regions for _ in region.points)
    assert ellipse_au == au_masks.ELLIPSE_AU


def without_name(region):
    return region.points, region.out, region.down, region.a, region.b, region.spread


@pytest.mark.parametrize(
    ("profile", "alike"),
    [
        ("default", []),
        ("jaa", [(12, 14), (12, 15), (14, 15), (17, 26), (23, 24), (23, 25), (24, 25)]),
    ],
)
def test_which_action_units_share_a_region(profile, alike):
    regions = au_regions.PROFILES[profile]
    pairs = itertools.combinations(regions, 2)
    same = [(one.au, two.au) for one, two in pairs if without_name(one) == without_name(two)]
    assert same == alike


def test_every_ellipse_has_an_area():
    for region in au_regions.REGIONS:
        assert min(region.a, region.b) > 0.0
        assert max(region.a, region.b) < 1.0
        assert region.spread >= 0.0
        assert region.out == 0.0 or len(region.points) == 2  # only a pair has an outside
