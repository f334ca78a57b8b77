import re
from pathlib import Path

import pytest

import facekit
from facekit.catalogue import KNOWN

MODELS = Path(facekit.__file__).parent / "models"

PINNED = (
    r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/.+",
    r"https://raw\.githubusercontent\.com/TadasBaltrusaitis/OpenFace/OpenFace_2\.2\.0/.+/",
    r"https://github\.com/[^/]+/[^/]+/releases/download/.+",
    r"https://www\.adrianbulat\.com/downloads/python-fan/.+",
    r"https://huggingface\.co/py-feat/[a-z_]+/resolve/main/.+",
)


def test_the_names_are_those_of_the_backends():
    assert set(KNOWN) >= {
        "lite_detector",
        "lite_landmarker",
        "lite_action_units",
        "buffalo_l",
        "scrfd_2.5g_kps",
        "scrfd_500m_kps",
        "retinaface_mnet025",
        "yunet_2023mar",
        "2dfan4",
        "mobilefacenet_68",
        "pfld_68",
        "openface_au",
        "pyfeat_xgb",
        "pyfeat_svm",
    }


@pytest.mark.parametrize("name", KNOWN)
def test_an_entry_is_complete(name):
    known = KNOWN[name]
    assert known.licence
    assert re.fullmatch(r"[a-z0-9_.]+", name)
    assert "/" not in known.file
    assert all(any(re.fullmatch(form, url) for form in PINNED) for url in known.urls)
    assert known.urls or known.note
    for sha256 in (known.sha256, known.pack and known.pack.sha256):
        assert sha256 is None or re.fullmatch(r"[0-9a-f]{64}", sha256)
    assert known.pack is None or known.sha256 is not None


@pytest.mark.parametrize("name", [name for name, known in KNOWN.items() if known.urls])
def test_only_open_licences_go_without_the_users_word(name):
    known = KNOWN[name]
    assert known.needs_word != known.licence.startswith(("MIT (", "Apache-2.0 ("))


def test_the_landmark_network_has_the_hash_that_its_file_name_begins():
    known = KNOWN["2dfan4"]
    prefix = re.search(r"-([0-9a-f]{10})\.", known.file)[1]
    assert known.sha256.startswith(prefix)


EMBEDDED = sorted(name for name, known in KNOWN.items() if known.embedded)


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_model_is_pinned_and_has_its_card(name):
    known = KNOWN[name]
    card = (MODELS / f"{name}.md").read_text()
    assert known.sha256 is not None
    assert known.size_bytes == (MODELS / known.file).stat().st_size
    headings = re.findall("^## (.*)$", card, re.MULTILINE)
    assert {"What it does", "What it learnt from", "What limits it"} <= set(headings)
    assert re.search(r"^\| .* \|$", card, re.MULTILINE), "scores stand in a table"
    assert "research only" in card.lower()


def test_the_embedded_models_stay_small():
    sizes = {name: KNOWN[name].size_bytes for name in EMBEDDED}
    assert sum(sizes.values()) < 4_000_000
    assert sizes["lite_detector"] <= 1_000_000
    assert sizes["lite_landmarker"] <= 2_000_000


def test_everything_beside_the_embedded_models_is_known():
    names = {f"{name}{suffix}" for name in EMBEDDED for suffix in (".md", ".safetensors")}
    assert {path.name for path in MODELS.iterdir()} == {*names, "WEIGHTS_LICENSE"}
