"""Pairs are what equation 9 says, belong to their sample alone, and never leave the device."""

import drawn_faces
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from training import tampering
from training.options import Tampering
from training.tampering import tamper, token_labels

SIZE_PX = 64
PLAIN = Tampering(post=False, ratios=False)
NAMES = ("real_NCHW", "fake_NCHW", "mask_N1HW", "token_mask_N1HW")
RECIPES = [
    Tampering(),
    Tampering(recipe="sbi"),
    Tampering(image=False),
    Tampering(partial=False, deform=False, ratios=False, post=False),
    Tampering(face_mask="extended"),
    Tampering(face_mask="sbi4", regions_most=13),
]


def _made(options, count=4, size_px=SIZE_PX, seed=0):
    return tamper(drawn_faces.framed(count, size_px), drawn_faces.draws(count, seed), options)


@pytest.mark.parametrize("options", RECIPES)
@pytest.mark.parametrize(("count", "size_px"), [(0, 64), (3, 64), (1, 75)])
def test_pairs_have_the_size_of_the_faces_and_lie_in_0_to_1(options, count, size_px):
    made = _made(options, count, size_px)
    for name in NAMES:
        part = getattr(made, name)
        channels = 3 if "NCHW" in name else 1
        assert part.shape == (count, channels, size_px, size_px)
        assert part.dtype == torch.float32
        assert ((part >= -1e-5) & (part <= 1 + 1e-5)).all()


@pytest.mark.parametrize("options", RECIPES)
def test_a_pair_does_not_depend_on_its_batch(options):
    faces = drawn_faces.framed(5, 112)
    many = tamper(faces, drawn_faces.draws(5), options)
    for nth in (0, 3):
        draws = tampering.Draws(0, 0, faces.sample_N[nth : nth + 1])
        alone = tamper(faces[nth : nth + 1], draws, options)
        for name in NAMES:
            assert torch.equal(getattr(many, name)[nth], getattr(alone, name)[0]), name


def test_other_seeds_and_samples_give_other_pairs():
    one, other = _made(PLAIN), _made(PLAIN, seed=1)
    assert (one.fake_NCHW - other.fake_NCHW).abs().amax((1, 2, 3)).min() > 0.01
    assert (one.mask_N1HW[0] - one.mask_N1HW[1]).abs().max() > 0.1


@pytest.mark.parametrize("recipe", ["aunet", "sbi"])
def test_what_is_not_blended_is_the_target(recipe):
    options = Tampering(recipe=recipe, post=False, ratios=False)
    made = _made(options, 6)
    apart = (made.fake_NCHW - made.real_NCHW).abs().amax(1, keepdim=True)
    assert (apart[made.mask_N1HW < 1e-6] < 1e-5).all()
    assert (apart.flatten(1).amax(1) > 0.02).all()
    assert (apart[made.mask_N1HW > 0.9] > 0.01).float().mean() > 0.5


def test_a_fake_lies_between_target_and_source():
    """Equation 9, with the source as it is where nothing of the target is left (w/o IT)."""
    made, whole = (
        _made(PLAIN),
        _made(Tampering(post=False, ratios=False, image=False, deform=False)),
    )
    unmoved = _made(Tampering(post=False, ratios=False, deform=False))
    mask = unmoved.mask_N1HW
    want = whole.fake_NCHW * mask + unmoved.real_NCHW * (1 - mask)
    torch.testing.assert_close(unmoved.fake_NCHW, want, atol=1e-5, rtol=0)
    assert torch.equal(made.real_NCHW, unmoved.real_NCHW)
    assert (made.fake_NCHW - unmoved.fake_NCHW).abs().max() > 0.05


def test_self_blending_changes_one_of_the_two_views():
    faces = drawn_faces.framed(40, SIZE_PX)
    options = Tampering(recipe="sbi", post=False, ratios=False, deform=False)
    made = tamper(faces, drawn_faces.draws(40), options)
    change_N = (made.real_NCHW - faces.image_NCHW).abs().mean((1, 2, 3))
    is_target_N = change_N > 1e-4
    assert 10 <= is_target_N.sum() <= 30
    inside = (made.fake_NCHW - faces.image_NCHW).abs() * (made.mask_N1HW > 0.999)
    assert (inside[is_target_N].amax((1, 2, 3)) < 1e-3).all()
    assert (inside[~is_target_N].amax((1, 2, 3)) > 1e-2).all()


def test_ratios_weaken_the_blend_and_leave_the_labels_mask():
    made, whole = _made(Tampering(), 60), _made(PLAIN, 60)
    assert torch.equal(made.token_mask_N1HW, whole.mask_N1HW)
    ratio_N = made.mask_N1HW.amax((1, 2, 3)) / made.token_mask_N1HW.amax((1, 2, 3))
    counts = [int((ratio_N - ratio).abs().lt(1e-5).sum()) for ratio in (0.25, 0.5, 0.75, 1.0)]
    assert sum(counts) == 60
    assert min(counts) >= 3 and counts[3] >= 20


def test_real_and_fake_go_the_same_way_after_blending():
    """Without a mask the fake is its real; with the same draws it stays so."""
    faces = drawn_faces.framed(8, SIZE_PX)
    faces.landmarks_NP2.fill_(torch.nan)
    made = tamper(faces, drawn_faces.draws(8), Tampering())
    assert not made.mask_N1HW.any()
    assert torch.equal(made.real_NCHW, made.fake_NCHW)
    before = tamper(faces, drawn_faces.draws(8), Tampering(post=False))
    changed_N = (made.real_NCHW - before.real_NCHW).abs().amax((1, 2, 3)) > 0.02
    assert 3 <= changed_N.sum() <= 8


@pytest.mark.parametrize(
    ("grid_hw", "threshold", "want"),
    [
        ((2, 2), 0.5, [1, 0, 0, 0]),
        ((2, 2), 0.25, [1, 0, 0, 1]),
        ((1, 1), 0.3, [1]),
        ((4, 4), 0.0, [1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1]),
    ],
)
def test_token_labels_are_shares_above_the_threshold(grid_hw, threshold, want):
    mask = torch.tensor(
        [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    )
    made = token_labels(mask.expand(2, 1, 4, 4), grid_hw, threshold)
    assert made.dtype == torch.int64
    assert made.tolist() == [want, want]


def test_no_face_has_no_labels():
    assert token_labels(torch.zeros(0, 1, 32, 32), (2, 2), 0.5).shape == (0, 4)


class _Watch(TorchDispatchMode):
    """Which operations read a value back or make a shape of values."""

    READING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")

    def __init__(self):
        super().__init__()
        self.read, self.count = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        name = func.overloadpacket.__name__
        by_truth = name.startswith("index") and any(
            one is not None and one.dtype == torch.bool
            for arg in args[1:]
            if isinstance(arg, list | tuple)
            for one in arg
            if one is None or isinstance(one, torch.Tensor)
        )
        if by_truth or any(name.startswith(reading) for reading in self.READING):
            self.read.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", RECIPES[:3])
def test_nothing_is_read_back_from_the_device_nor_looped_over(options):
    counts = []
    for count in (1, 6):
        faces, draws = drawn_faces.framed(count, SIZE_PX), drawn_faces.draws(count)
        with _Watch() as watch:
            tamper(faces, draws, options)
        assert not watch.read
        counts.append(watch.count)
    assert counts[0] == counts[1]
