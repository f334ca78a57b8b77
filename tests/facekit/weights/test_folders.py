"""A model that is a folder of files: fetched whole or not at all, refused by the member's name."""

import hashlib
import io
from urllib.error import URLError

import pytest
from click.testing import CliRunner
from fake_models import known, left_in_cache

from facekit import arrivals, weight_folders, weights
from facekit.catalogue import KNOWN
from facekit.cli import cli
from facekit.errors import BadInput, BadWeights, DiskFull, MissingWeights
from facekit.openface_members import MEMBERS, Member

FILES = {"main.txt": b"list", "one/a.dat": b"first" * 9, "two/a.dat": b"second" * 9}
BASE = "https://one/models/"
OPENFACE = (
    "https://raw.githubusercontent.com/TadasBaltrusaitis/OpenFace/OpenFace_2.2.0/"
    "lib/local/FaceAnalyser/AU_predictors/"
)


def members(files):
    return tuple(
        Member(path=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for name, content in files.items()
    )


@pytest.fixture
def of_files(register):
    """A model of three files, and its registry entry."""
    parts = members(FILES)
    entry = known(
        file="",
        members=parts,
        sha256=weight_folders.sha256_of(parts),
        size_bytes=sum(part.size_bytes for part in parts),
        urls=(BASE,),
        needs_word=True,
    )
    register("a_model", entry)
    return entry


@pytest.fixture
def upstream(network):
    network |= {BASE + name: content for name, content in FILES.items()}
    return network


def lay(folder, files=FILES):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_of_nothing_has_no_fault(tmp_path):
    assert weight_folders.fault(tmp_path, ()) == ""
    assert weight_folders.sha256_of(()) == hashlib.sha256(b"").hexdigest()


def test_the_sum_of_members_is_that_of_their_folder(tmp_path):
    assert weight_folders.sha256_of(members(FILES)) == weights.sha256_of(lay(tmp_path / "a"))


@pytest.mark.parametrize("name", ["a_model", "a-model"])
def test_fetch_brings_every_file(home, of_files, upstream, name):
    found = weights.fetch(name, accept_licence=True)
    assert found.name == "a_model"
    assert found.path == home / "cache/weights/a_model"
    assert found.sha256 == of_files.sha256 == weights.sha256_of(found.path)
    assert {n: (found.path / n).read_bytes() for n in FILES} == FILES
    assert left_in_cache(home) == ["a.dat", "a.dat", "main.txt"]
    assert [path.name for path in (home / "cache/weights").iterdir()] == ["a_model"]
    assert upstream["asked"] == [BASE + name for name in FILES]
    assert weights.find("a_model") == weights.fetch(name) == found
    assert len(upstream["asked"]) == 3


def test_nothing_comes_without_the_users_word(home, of_files, upstream):
    assert weights.licence_to_accept("a-model") == of_files.licence
    with pytest.raises(BadInput, match="--accept-licence"):
        weights.fetch("a-model")
    with pytest.raises(MissingWeights, match="facekit weights fetch a_model --accept-licence"):
        weights.find("a_model")
    assert upstream["asked"] == []


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"", BadWeights, r"a\.dat: what came has the sha256"),
        (b"x" * 54, BadWeights, r"a\.dat: what came has the sha256"),
        (b"x" * 55, BadWeights, r"a\.dat: more than the 54 bytes"),
        (URLError("no such host"), MissingWeights, "no such host"),
    ],
)
def test_a_bad_member_leaves_nothing(home, of_files, upstream, answer, error, said):
    upstream[BASE + "two/a.dat"] = answer
    with pytest.raises(error, match=said):
        weights.fetch("a_model", accept_licence=True)
    assert left_in_cache(home) == []


def test_a_full_disk_leaves_nothing(home, of_files, upstream, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrivals.os, "fsync", full)
    with pytest.raises(DiskFull, match=r"main\.txt"):
        weights.fetch("a_model", accept_licence=True)
    assert left_in_cache(home) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "changed", "longer"])
def test_each_member_is_refused_by_its_name(home, of_files, name, damage):
    folder = lay(home / "given/a_model")
    content = {"changed": b"x" * len(FILES[name]), "longer": FILES[name] + b"x"}
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content[damage])
    with pytest.raises(BadWeights, match=name):
        weights.find("a_model")
    held = {one.name: one for one in weights.verify()}
    assert held["a_model"].state == "damaged"


def test_files_that_are_no_members_do_not_count(home, of_files):
    folder = lay(home / "given/a_model", {**FILES, "three/b.dat": b"from another release"})
    assert weights.find("a_model").sha256 == of_files.sha256
    assert {one.name: one.state for one in weights.verify()}["a_model"] == "ok"
    assert folder.is_dir()


def test_fetch_replaces_a_damaged_folder_of_its_own(home, of_files, upstream):
    folder = lay(home / "cache/weights/a_model", {"main.txt": b"damaged", "stale": b""})
    assert weights.licence_to_accept("a_model") == of_files.licence
    assert weights.fetch("a_model", accept_licence=True).path == folder
    assert left_in_cache(home) == ["a.dat", "a.dat", "main.txt"]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_folder_stays(home, of_files, upstream, kind):
    place = home / "cache/weights/a_model"
    place.parent.mkdir(parents=True, exist_ok=True)
    mine = home / "mine"
    lay(mine, {"main.txt": b"mine"})
    place.symlink_to(mine) if kind == "link" else place.write_bytes(b"mine")
    with pytest.raises(BadWeights, match="a_model is no folder: move it away"):
        weights.fetch("a_model", accept_licence=True)
    assert place.is_symlink() or place.read_bytes() == b"mine"
    assert (mine / "main.txt").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("arguments", "typed", "code"),
    [((), "n\n", 1), ((), "y\n", 0), (("--accept-licence",), "", 0)],
)
def test_the_command_shows_the_licence_and_asks(home, of_files, upstream, arguments, typed, code):
    ran = CliRunner().invoke(cli, ["weights", "fetch", "a-model", *arguments], input=typed)
    assert ran.exit_code == code
    assert ("a licence" in ran.output) == (not arguments)
    assert bool(left_in_cache(home)) == (code == 0)


def test_openfaces_members_are_asked_for_where_upstream_has_them(home, network):
    def answer(url):
        network["asked"].append(url)
        return io.BytesIO()

    with pytest.raises(BadWeights, match=r"AU_all_best\.txt"):
        weight_folders.receive(MEMBERS, KNOWN["openface_au"].urls[0], home / "a", answer)
    assert network["asked"] == [OPENFACE + "AU_all_best.txt"]


def test_openfaces_members_are_those_it_was_verified_with(weights_dir):
    folder = weights_dir / "openface_au"
    if not folder.is_dir():
        pytest.skip("FACEKIT_WEIGHTS holds no openface_au")
    entry = KNOWN["openface_au"]
    assert len(entry.members) == 62
    assert sum(member.size_bytes for member in entry.members) == entry.size_bytes
    assert weight_folders.sha256_of(entry.members) == entry.sha256 == weights.sha256_of(folder)
    for member in entry.members:
        assert (folder / member.path).stat().st_size == member.size_bytes
