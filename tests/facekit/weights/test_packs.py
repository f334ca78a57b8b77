import hashlib
import io
import stat
import zipfile

import pytest
from fake_models import CONTENT, SUM, known, left_in_cache

from facekit import catalogue, weights
from facekit.errors import BadWeights

OTHER_SUM = hashlib.sha256(b"another").hexdigest()


def zipped(*members, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def with_flipped_byte(archive, offset):
    return archive[:offset] + bytes([archive[offset] ^ 0xFF]) + archive[offset + 1 :]


def encrypted(archive):
    """The same archive with the flag of encryption set in both headers."""
    local, central = archive.index(b"PK\x03\x04"), archive.index(b"PK\x01\x02")
    raw = bytearray(archive)
    raw[local + 6] |= 1
    raw[central + 8] |= 1
    return bytes(raw)


SOUND = ("det/model.bin", CONTENT)
STORED = zipped(SOUND)


@pytest.mark.parametrize(
    ("archive", "error"),
    [
        (b"", "damaged"),
        (b"no zip at all", "damaged"),
        (STORED[:-30], "damaged"),
        (with_flipped_byte(STORED, STORED.index(b"model.bin") + 9 + 4), "damaged"),
        (encrypted(STORED), "damaged"),
        (zipped(), "holds 0 files"),
        (zipped(("other.bin", CONTENT)), "holds 0 files"),
        (zipped(SOUND, ("twice/model.bin", CONTENT)), "holds 2 files"),
        (zipped(SOUND, ("../evil", b"")), "outside its folder"),
        (zipped(SOUND, ("a/../../evil", b"")), "outside its folder"),
        (zipped(SOUND, ("/etc/evil", b"")), "outside its folder"),
        (zipped(SOUND, ("..\\evil", b"")), "outside its folder"),
        (zipped(SOUND, ("C:evil", b"")), "outside its folder"),
        (zipped(SOUND, (link("evil"), b"/etc/passwd")), "is a link"),
        (zipped((link("model.bin"), b"/etc/passwd")), "is a link"),
        (zipped(("model.bin", bytes(50_000_000))), "more than the 7000 bytes"),
        (zipped(("model.bin", b"x" * len(CONTENT))), SUM),
    ],
)
def test_a_hostile_or_damaged_pack_leaves_nothing(home, register, network, archive, error):
    pack = catalogue.Pack(sha256=hashlib.sha256(archive).hexdigest(), size_bytes=len(archive))
    register("m", known(pack=pack, urls=("https://one/m.zip",)))
    network["https://one/m.zip"] = archive
    with pytest.raises(BadWeights, match=error):
        weights.find("m")
    assert left_in_cache(home) == []
    assert not (home / "evil").exists()


def test_a_sound_pack_gives_its_one_file(home, register, network):
    archive = zipped(("det/", b""), SOUND, ("rest/other.onnx", b"not needed"))
    pack = catalogue.Pack(sha256=hashlib.sha256(archive).hexdigest(), size_bytes=len(archive))
    register("m", known(pack=pack, urls=("https://one/m.zip",)))
    network["https://one/m.zip"] = archive
    assert weights.find("m").path.read_bytes() == CONTENT
    assert left_in_cache(home) == ["model.bin"]


def test_a_pack_of_another_hash_is_not_opened(home, register, network):
    pack = catalogue.Pack(sha256=OTHER_SUM, size_bytes=len(STORED))
    register("m", known(pack=pack, urls=("https://one/m.zip",)))
    network["https://one/m.zip"] = STORED
    with pytest.raises(BadWeights, match=OTHER_SUM):
        weights.find("m")
    assert left_in_cache(home) == []
