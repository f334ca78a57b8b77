"""A config is read, changed, stored and refused, in one line."""

import dataclasses
import tomllib
import typing
from pathlib import Path

import pytest

from facekit.errors import BadInput
from facekit.options import field_docs
from training.config import Config, read_config

SECTIONS = typing.get_type_hints(Config)


def test_nothing_told_is_the_paper_configuration() -> None:
    config = read_config()
    assert config == Config()
    assert (config.model.backbone, config.model.size_px) == ("xception", 224)
    assert (config.training.rate, config.training.batch, config.training.epochs) == (1e-3, 32, 100)
    assert (config.loss.cls, config.loss.token, config.loss.attention) == (1.0, 30.0, 0.5)


def test_a_stored_config_comes_back() -> None:
    config = read_config(assignments=["data.methods=FaceSwap", "training.rate=0.5"])
    assert Config.of(config.as_json()) == config


def test_a_printed_config_can_be_read(tmp_path: Path) -> None:
    config = read_config(assignments=["data.methods=FaceSwap", "model.position=false"])
    path = tmp_path / "printed.toml"
    path.write_text(config.as_toml())
    assert read_config(path) == config


def test_an_assignment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('[model]\nbackbone = "resnet18"\nsize_px = 112\n[training]\nepochs = 3\n')
    config = read_config(path, ["training.epochs=5"])
    assert (config.model.backbone, config.model.size_px) == ("resnet18", 112)
    assert config.training.epochs == 5


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("", "--set must look like training.epochs=5, not ''"),
        ("epochs=5", "--set must look like training.epochs=5, not 'epochs=5'"),
        ("training.epochs", "--set must look like training.epochs=5, not 'training.epochs'"),
        ("nothing.epochs=5", "no section 'nothing'"),
        ("training.epoch=5", "[training] has no 'epoch'"),
        ("training.epochs=many", "training.epochs must be a whole number, not 'many'"),
        ("training.epochs=0", "training.epochs must be at least 1, not 0"),
        ("training.epochs=true", "training.epochs must be a whole number, not True"),
        ("training.batch=30000001", "must be a multiple of twice training.accumulate"),
        ("training.rate=0", "training.rate must be above 0"),
        ("training.rate=nan", "training.rate must be above 0"),
        ("training.constant=1.5", "training.constant must lie in 0 to 1"),
        ("training.optimiser=lion", "training.optimiser must be one of ('sgd', 'adamw')"),
        ("training.clip=-1", "training.clip must be 0 or more"),
        ("model.size_px=225", "model.size_px must be one of (112, 224, 256, 299, 380, 384)"),
        ("model.heads=7", "model.token_width 512 cannot be divided by 7 heads"),
        ("model.backbone=vgg", "model.backbone must be one of"),
        ("data.folds=1", "data.folds must be at least 2"),
        ("data.validation=0", "data.validation must lie between 0 and 1"),
        ("data.fold=5", "data.fold must lie in 0 to 4"),
        ("data.margin_low=1.5", "data.margin_low 1.5 is above data.margin_high 1.4"),
        ("data.flip=2", "data.flip must lie in 0 to 1"),
        ("tampering.mixing_layers=11", "tampering.mixing_layers must be"),
        ("tampering.mixing_layers='24'", "tampering.mixing_layers must be digits of 13579"),
        ("tampering.regions_most=14", "tampering.regions_most must lie in 1 to 13"),
        ("loss.huber=0", "loss.huber must be above 0"),
        ("loss.token=-1", "loss.token must be 0 or more"),
    ],
)
def test_what_cannot_be_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_config(assignments=[assignment])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["model.specific=false", "model.agnostic=false"], "cannot both be off"),
        (["model.agnostic=false", "model.tokens=vit"], "model.tokens = vit needs model.agnostic"),
        (["loss.cls=0", "data.task=labelled"], "loss.cls = 0 leaves nothing that learns"),
        (["loss.cls=0", "loss.token=0"], "loss.cls = 0 leaves nothing that learns"),
    ],
)
def test_what_cannot_go_together_is_refused(assignments: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_config(assignments=assignments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = 3", "model must be a table, not 3"),
        ("[model", "cannot be read"),
        ("[modell]", "no section 'modell'"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as refused:
        read_config(path, [])
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_a_value_over_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flat.toml"
    path.write_text("training = 3")
    with pytest.raises(BadInput, match="training must be a table"):
        read_config(path, ["training.epochs=5"])


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_has_a_help_text(section: str) -> None:
    kind = SECTIONS[section]
    assert set(field_docs(kind)) == {field.name for field in dataclasses.fields(kind)}


def test_numbers_keep_their_kind_in_toml() -> None:
    assert tomllib.loads("value = 1")["value"] == 1
    assert read_config(assignments=["training.rate=1"]).training.rate == 1.0


def test_what_is_wrong_is_put_down_to_where_it_stands(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[training]\nepoch = 1\n")
    with pytest.raises(BadInput, match=r"run\.toml: \[training\] has no 'epoch'"):
        read_config(path, ["model.name=cnn"])
    path.write_text("[training]\nepochs = 1\n")
    with pytest.raises(BadInput, match=r"^--set: \[model\] has no 'nam'"):
        read_config(path, ["model.nam=cnn"])
