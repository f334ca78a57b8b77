"""Labels over time, against the definition written out frame by frame."""

import numpy as np
import pytest

from facekit.openface import timeline


def _slowly(values_by_frame, frames, window, decide):
    """Centred means over all frames of a video, its first and last ones left alone."""
    reach = window // 2
    result = dict(values_by_frame)
    for frame in values_by_frame:
        if reach <= frame < frames - reach:
            around = [values_by_frame.get(f, 0.0) for f in range(frame - reach, frame + reach + 1)]
            result[frame] = decide(sum(around) / window)
    return [result[frame] for frame in sorted(result)]


CASES = {
    "every frame": (range(20), 20),
    "one frame": ([0], 1),
    "two frames": ([0, 1], 2),
    "short": (range(5), 5),
    "late and gone early": (range(4, 15), 30),
    "almost from the start": (range(1, 10), 11),
    "gaps": ([0, 1, 2, 4, 5, 9, 10, 11, 12, 19], 20),
    "one in the middle": ([7], 15),
}


@pytest.mark.parametrize("frame_index, frames", CASES.values(), ids=CASES.keys())
def test_occurrence_is_the_majority_of_seven_frames(frame_index, frames):
    rng = np.random.default_rng(len(frame_index))
    frame_index = np.array(frame_index)
    raw_NA = rng.random((len(frame_index), 6)) < 0.6
    found_NA = timeline.occurrence(raw_NA, frame_index, frames)
    assert found_NA.dtype == bool
    for column in range(6):
        by_frame = dict(zip(frame_index, raw_NA[:, column].astype(float), strict=True))
        expected = _slowly(by_frame, frames, 7, lambda mean: float(mean >= 0.5))
        assert found_NA[:, column].tolist() == [value > 0 for value in expected]


@pytest.mark.parametrize("frame_index, frames", CASES.values(), ids=CASES.keys())
def test_intensity_is_moved_cut_and_averaged(frame_index, frames):
    rng = np.random.default_rng(len(frame_index))
    frame_index, cutoff_A = np.array(frame_index), np.array([-1.0, 0.0, 0.3, 0.8])
    raw_NA = rng.normal(1.5, 3.0, (len(frame_index), 4))
    kept = raw_NA.copy()
    found_NA = timeline.intensity(raw_NA, frame_index, frames, cutoff_A)
    np.testing.assert_array_equal(raw_NA, kept)
    for column, cutoff in enumerate(cutoff_A):
        raw = raw_NA[:, column]
        offset = 0.0 if cutoff == -1.0 else sorted(raw)[int(len(raw) * cutoff)]
        by_frame = dict(zip(frame_index, np.clip(raw - offset, 0, 5), strict=True))
        expected = _slowly(by_frame, frames, 3, lambda mean: mean)
        np.testing.assert_allclose(found_NA[:, column], expected, atol=1e-12)
