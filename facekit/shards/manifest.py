"""`manifest.json`: which shards make a dataset. Written last, so it marks the dataset complete."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from facekit import schema
from facekit.errors import BadInput, BadShard
from facekit.shards.disk import damaged, publishing
from facekit.shards.file import ShardFile
from facekit.shards.layout import Header
from facekit.shards.seal import check_seal

MANIFEST_NAME: Final = "manifest.json"
_SHARD_NAME: Final = re.compile(r"faces-(\d{5,9})\.h5")
_MANIFEST_BYTES: Final = 256 << 20


def shard_name(index: int) -> str:
    """File name of a shard.

    >>> shard_name(7)
    'faces-00007.h5'
    """
    return f"faces-{index:05d}.h5"


def shard_paths(folder: Path) -> list[Path]:
    """The shards that lie in a folder, in order."""
    numbers = {
        int(match[1]): path
        for path in folder.iterdir()
        if (match := _SHARD_NAME.fullmatch(path.name))
    }
    return [path for _, path in sorted(numbers.items())]


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """A shard's line in the manifest.

    Args:
        name: file name.
        bytes: length of the file.
        rows: faces.
        videos: videos, failed ones included.
        statuses: status -> videos that ended so.
        sha256: of the whole file, as `sha256sum` prints it.
    """

    name: str
    bytes: int
    rows: int
    videos: int
    statuses: Mapping[str, int]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a dataset consists of.

    Args:
        header: what all of its shards were measured with.
        shards: one entry a shard, `faces-00000.h5` first.
    """

    header: Header
    shards: tuple[ShardEntry, ...]

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.shards]
        if names != [shard_name(i) for i in range(len(names))]:
            raise BadInput(
                f"shards must be {shard_name(0)}, {shard_name(1)} and so on: {names[:9]}"
            )

    @property
    def rows(self) -> int:
        """Faces in all shards."""
        return sum(entry.rows for entry in self.shards)

    @property
    def videos(self) -> int:
        """Videos in all shards, failed ones included."""
        return sum(entry.videos for entry in self.shards)

    @property
    def statuses(self) -> dict[str, int]:
        """Status -> number of videos that ended so."""
        totals: Counter[str] = Counter()
        for entry in self.shards:
            totals.update(entry.statuses)
        return dict(sorted(totals.items()))

    def render(self) -> str:
        """The one text that is this manifest; its own digest stands in it, so no bit is free."""
        provenance = asdict(self.header.provenance)
        content: dict[str, Any] = {
            "facekit_format": schema.FORMAT,
            "header": {
                "provenance": provenance,
                "size_px": self.header.size_px,
                "images": self.header.images,
            },
            "shards": [asdict(entry) for entry in self.shards],
            "totals": {"rows": self.rows, "videos": self.videos, "statuses": self.statuses},
        }
        digest = hashlib.sha256(_dump(content).encode()).hexdigest()
        return _dump({**content, "sha256": digest})


def _dump(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n"


def describe(path: Path) -> ShardEntry:
    """Read a shard's line in the manifest off the shard, every byte of it.

    Args:
        path: the shard.

    Raises:
        BadShard: it is damaged.
    """
    sha256 = check_seal(path)
    with ShardFile(path) as shard:
        statuses = Counter(status.decode() for status in shard.videos()["status"].tolist())
        rows, videos = shard.rows, shard.video_rows
    return ShardEntry(
        name=path.name,
        bytes=path.stat().st_size,
        rows=rows,
        videos=videos,
        statuses=dict(sorted(statuses.items())),
        sha256=sha256,
    )


def write_manifest(folder: Path) -> Manifest:
    """Mark the shards in a folder as a complete dataset.

    Args:
        folder: where the shards lie, all of them.

    Returns:
        The manifest that was written.

    Raises:
        BadInput: there is none, a number is missing, or they were measured differently.
        BadShard: one is damaged; found by its digest, at the price of reading all bytes.
        DiskFull: the disk ran out.

    >>> import tempfile
    >>> from facekit import schema
    >>> from facekit.faces import VideoRecord
    >>> from facekit.shards import Header, pack
    >>> from facekit.video import Video
    >>> told = schema.Provenance(measurement={}, au_names=(), au_mode="none", backends={})
    >>> video = Video(key="a", path=Path("a.mp4"), relative_path="a.mp4")
    >>> failed = VideoRecord(video=video, status="timeout")
    >>> header = Header(provenance=told, size_px=224, images=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pack([failed], Path(folder) / "faces-00000.h5", header=header)
    ...     manifest = write_manifest(Path(folder))
    ...     (manifest.statuses, read_manifest(Path(folder)) == manifest)
    ({'timeout': 1}, True)
    """
    paths = shard_paths(folder)
    if not paths:
        raise BadInput(f"{folder}: no shard is there that a manifest could list")
    entries = tuple(describe(path) for path in paths)
    header = _header(paths[0])
    for path in paths[1:]:
        if differs := header.same_as(_header(path)):
            raise BadInput(f"{path}: measured otherwise than {paths[0].name}: {differs} differs")
    manifest = Manifest(header=header, shards=entries)
    with publishing(folder / MANIFEST_NAME) as draft:
        draft.write_text(manifest.render(), encoding="ascii", newline="\n")
    return manifest


def _header(path: Path) -> Header:
    with ShardFile(path) as shard:
        return shard.header


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a dataset.

    Args:
        folder: where it lies, with the shards.

    Raises:
        BadShard: there is none, or any bit of it is not as written.

    >>> read_manifest(Path("nowhere"))
    Traceback (most recent call last):
    ...
    facekit.errors.BadShard: nowhere/manifest.json is missing: finish extracting or verify --rebuild
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise BadShard(f"{path} is missing: finish extracting or verify --rebuild")
    with damaged(path):
        if path.stat().st_size > _MANIFEST_BYTES:
            raise ValueError("too long for a manifest")
        text = path.read_bytes().decode("ascii")
        manifest = _parse(text)
        if manifest.render() != text:
            raise ValueError("its digest does not match; rebuild it with facekit verify --rebuild")
    return manifest


def _parse(text: str) -> Manifest:
    try:
        content = json.loads(text)
        told = content["header"]
        header = Header.of_json(told["provenance"], size_px=told["size_px"], images=told["images"])
        return Manifest(header=header, shards=tuple(_entry(entry) for entry in content["shards"]))
    except (BadInput, AttributeError) as error:
        raise ValueError(f"not a manifest: {error}") from error


def _entry(told: Mapping[str, Any]) -> ShardEntry:
    entry = ShardEntry(**told)
    counts = (entry.bytes, entry.rows, entry.videos, *entry.statuses.values())
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError(f"{entry.name} has counts that are no counts")
    return entry
