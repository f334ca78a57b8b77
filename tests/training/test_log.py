import json

import pytest

from facekit.errors import BadInput
from training import log
from training.log import Line


def line(step, **values):
    return Line(step=step, steps=9, epoch=step / 3, values=values)


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ({}, "step 1/9 epoch 0.33: "),
        ({"loss": 0.5, "mfu": None}, "step 1/9 epoch 0.33: loss 0.5000"),
        ({"images_per_s": 1234.56, "mfu": 0.256}, "1,234.6 images/s, 25.6% of peak"),
        ({"auc": 0.875}, "validation video AUC 0.8750"),
    ],
)
def test_a_line_for_a_person(values, want):
    assert want in str(line(1, **values))


def test_lines_are_written_and_told(tmp_path):
    told = []
    path = tmp_path / "log.jsonl"
    with log.opened(path, after_step=0, tell=told.append, tensorboard=False) as opened:
        opened.write(line(1, loss=0.5, mfu=None))
        opened.write(line(2, loss=0.25, mfu=None))
    assert [one.step for one in told] == [1, 2]
    assert log.read(path) == [
        {"step": 1, "epoch": 1 / 3, "loss": 0.5, "mfu": None},
        {"step": 2, "epoch": 2 / 3, "loss": 0.25, "mfu": None},
    ]


@pytest.mark.parametrize(
    ("text", "after_step", "kept"),
    [
        ("", 0, []),
        ('{"step": 1}\n{"step": 2}\n', 2, [1, 2]),
        ('{"step": 1}\n{"step": 2}\n', 1, [1]),
        ('{"step": 1}\n{"step": 2}\n{"ste', 2, [1, 2]),  # killed while it wrote
    ],
)
def test_steps_that_are_taken_again_are_told_again(text, after_step, kept, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with log.opened(path, after_step=after_step, tell=None, tensorboard=False) as opened:
        opened.write(line(after_step + 1))
    assert [json.loads(one)["step"] for one in path.read_text().splitlines()] == [
        *kept,
        after_step + 1,
    ]


@pytest.mark.parametrize("text", ["no json\n", "[]\n", '{"step": "1"}\n', "{}\n"])
def test_what_is_no_log_is_left_alone(text, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with (
        pytest.raises(BadInput, match="is no log of a run"),
        log.opened(path, after_step=1, tell=None, tensorboard=False),
    ):
        pass
    assert path.read_text() == text
