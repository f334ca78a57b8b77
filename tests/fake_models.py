"""A model that does not exist, as the catalogue would name it, and folders to put it into."""

import dataclasses
import hashlib

from facekit import catalogue

CONTENT = b"a model" * 1000
SUM = hashlib.sha256(CONTENT).hexdigest()


def known(**changes):
    entry = catalogue.Known(
        file="model.bin",
        licence="a licence",
        sha256=SUM,
        size_bytes=len(CONTENT),
        urls=("https://one/model.bin", "https://two/model.bin"),
        needs_word=False,
    )
    return dataclasses.replace(entry, **changes)


def put(home, where, content, name="m", file="model.bin"):
    folder = home / where / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    return folder / file


def left_in_cache(home):
    return sorted(path.name for path in (home / "cache").rglob("*") if path.is_file())
