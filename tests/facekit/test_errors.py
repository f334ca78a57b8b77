import pytest

from facekit import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.FacekitError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_has_an_exit_code_that_is_no_success_and_no_signal(kind):
    assert 0 < kind.exit_code < 128


def test_interrupted_carries_its_signal():
    assert errors.Interrupted("stopped", 15).signal_number == 15


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.FacekitError, 1),
        (errors.BadInput, 2),
        (errors.RunIncomplete, 3),
        (errors.BadShard, 65),
        (errors.BadVideo, 65),
        (errors.BadWeights, 65),
        (errors.MissingWeights, 69),
        (errors.MissingDevice, 69),
        (errors.DiskFull, 74),
        (errors.FolderLocked, 75),
        (errors.Diverged, 76),
    ],
)
def test_exit_codes_are_pinned(kind, exit_code):
    assert kind.exit_code == exit_code
