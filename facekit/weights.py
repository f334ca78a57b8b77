"""Model files: where they come from, what they must hash to, under which licence they stand.

A model is named as in `KNOWN`, or by the path of a file or folder. An embedded one lies in the
package and nowhere else. Any other name is looked for in `$FACEKIT_WEIGHTS/NAME/FILE`, then in the
cache (`$FACEKIT_CACHE/weights/NAME/FILE`, by default below `$XDG_CACHE_HOME/facekit` or
`~/.cache/facekit`), then downloaded where its licence lets us. This is the only module that knows
the network; `FACEKIT_OFFLINE=1` keeps it from using it.
"""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from facekit import arrivals, weight_folders
from facekit.catalogue import KNOWN, Known
from facekit.errors import BadInput, BadWeights, MissingWeights

log = logging.getLogger(__name__)

SILENCE_S: Final = 30.0
"""Seconds without a byte after which a download is given up."""

_EMBEDDED: Final = Path(__file__).parent / "models"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file at hand.

    Args:
        name: its name in `KNOWN`, or the file name of a path that was given.
        path: the file or folder on this machine; never stored.
        sha256: of its bytes; of a folder, see `sha256_of`.
    """

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One line of `listing` or `verify`.

    Args:
        name: name in `KNOWN`.
        state: `found` (not hashed), `ok` (hash agrees), `unproven` (no published hash to compare
            with), `damaged` (hash or size differ) or `missing`.
        path: where it lies; None where it is missing.
        size_bytes: on the disk; where it is missing, what a download brings, 0 if unknown.
        known: what the registry says.
    """

    name: str
    state: Literal["found", "ok", "unproven", "damaged", "missing"]
    path: Path | None
    size_bytes: int
    known: Known

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return self.state != "damaged"

    def __str__(self) -> str:
        size = f"{self.size_bytes / 1e6:.1f} MB" if self.size_bytes else "? MB"
        where = self.path or self.known.note or f"facekit weights fetch {self.name}"
        return f"{self.name:<18} {self.state:<8} {size:>8}  {where}  ({self.known.licence})"


def sha256_of(path: Path) -> str:
    """Hash a file, or a folder by the names and hashes of its files.

    Args:
        path: a file; or a folder, of which hidden files and `PROVENANCE.txt` do not count.

    Returns:
        64 hexadecimal digits.

    Raises:
        MissingWeights: there is nothing that can be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "model").write_bytes(b"")
    ...     sha256_of(Path(folder) / "model")[:16]
    'e3b0c44298fc1c14'
    """
    try:
        if path.is_dir():
            lines = (f"{n.as_posix()}\0{sha256_of(path / n)}\n" for n in _files_in(path))
            return hashlib.sha256("".join(lines).encode()).hexdigest()
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MissingWeights(f"cannot read the model {path}: {error.strerror}") from error


def find(name_or_path: str) -> ModelFile:
    """A model at hand, downloaded if need be.

    Args:
        name_or_path: a name in `KNOWN`, else the path of an existing file or folder.

    Raises:
        BadWeights: the file there does not hash to what its name promises; it is never used.
        MissingWeights: neither at hand nor to be had; the message says where it was looked for.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix="my.onnx") as mine:
    ...     find(mine.name).sha256[:16]
    'e3b0c44298fc1c14'
    """
    known = KNOWN.get(name_or_path)
    if known is None:
        return _by_path(name_or_path)
    path = _at_hand(name_or_path, known)
    if path is not None:
        return _checked(name_or_path, known, path)
    if not known.urls or known.needs_word or offline():
        raise MissingWeights(_how_to_get(name_or_path, known))
    return _download(name_or_path, known)


def fetch(name: str, *, accept_licence: bool = False) -> ModelFile:
    """Put a model into the cache unless a sound copy is at hand.

    Args:
        name: a name in `KNOWN`; `-` may stand for `_`.
        accept_licence: the user's word that the licence was read and is kept.

    Raises:
        BadInput: no model of that name, or its licence needs the user's word.
        BadWeights: what came does not hash to what it should; nothing of it is kept.
        MissingWeights: it cannot be downloaded.
        DiskFull: no room for it.
    """
    name, known = _known(name)
    path = _to_keep(name, known)
    if path is not None:
        return _checked(name, known, path)
    if not known.urls or offline():
        raise MissingWeights(_how_to_get(name, known))
    if known.needs_word and not accept_licence:
        raise BadInput(f"{name} needs --accept-licence; its terms: {known.licence}")
    return _download(name, known)


def listing(*, hashed: bool = False) -> list[Holding]:
    """Every known model and where it lies; hashed and compared only where asked for."""
    return [_holding(name, known, hashed=hashed) for name, known in KNOWN.items()]


def lines() -> list[str]:
    """`listing` as one line of text a model."""
    return [str(holding) for holding in listing()]


def licence_to_accept(name: str) -> str | None:
    """The licence that the user has to accept before `fetch` downloads this model, or None.

    Raises:
        BadInput: no model of that name.

    >>> licence_to_accept("yunet_2023mar") is None
    True
    """
    name, known = _known(name)
    return known.licence if known.needs_word and _to_keep(name, known) is None else None


def verify() -> list[Holding]:
    """Every known model that is at hand, hashed and compared."""
    return [holding for holding in listing(hashed=True) if holding.path is not None]


def cache_folder() -> Path:
    """Where downloads go: `weights` below `$FACEKIT_CACHE` or below the user's cache folder."""
    xdg = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = os.environ.get("FACEKIT_CACHE") or Path(xdg) / "facekit"
    return Path(cache).expanduser() / "weights"


def offline() -> bool:
    """Whether `FACEKIT_OFFLINE` forbids downloads."""
    return os.environ.get("FACEKIT_OFFLINE", "0") not in ("", "0")


def _known(name: str) -> tuple[str, Known]:
    mine = name if name in KNOWN else name.replace("-", "_")
    if mine not in KNOWN:
        raise BadInput(f"no model is called {name!r}; there are {', '.join(KNOWN)}")
    return mine, KNOWN[mine]


def _files_in(folder: Path) -> list[Path]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(n for n in names if n.name[0] != "." and n.as_posix() != "PROVENANCE.txt")


def _by_path(name_or_path: str) -> ModelFile:
    path = Path(name_or_path).expanduser()
    if not name_or_path or not path.exists():
        names = ", ".join(KNOWN)
        raise MissingWeights(f"{name_or_path!r} is neither a file nor one of the models {names}")
    return ModelFile(name=path.name, path=path, sha256=sha256_of(path))


def _cached(name: str, known: Known) -> Path:
    return cache_folder() / name / known.file


def _places(name: str, known: Known) -> list[Path]:
    if known.embedded:
        return [_EMBEDDED / known.file]
    given = os.environ.get("FACEKIT_WEIGHTS")
    first = [Path(given).expanduser() / name / known.file] if given else []
    return [*first, _cached(name, known)]


def _at_hand(name: str, known: Known) -> Path | None:
    return next((path for path in _places(name, known) if path.exists()), None)


def _to_keep(name: str, known: Known) -> Path | None:
    """What `fetch` leaves as it is: anything at hand but a damaged copy in the cache."""
    path = _at_hand(name, known)
    return None if path == _cached(name, known) and _differs(known, path) else path


def _differs(known: Known, path: Path) -> bool:
    if known.members:
        return bool(weight_folders.fault(path, known.members))
    return known.sha256 not in (None, sha256_of(path))


def _checked(name: str, known: Known, path: Path) -> ModelFile:
    remedy = known.note if known.embedded else "delete it and fetch it again"
    if known.members:
        fault = weight_folders.fault(path, known.members)
        if fault:
            raise BadWeights(f"{path} is not {name}: {fault}; {remedy}")
        return ModelFile(name=name, path=path, sha256=weight_folders.sha256_of(known.members))
    sha256 = sha256_of(path)
    if known.sha256 not in (None, sha256):
        raise BadWeights(
            f"{path} is not {name}: its sha256 is {sha256}, it should be {known.sha256}; {remedy}"
        )
    return ModelFile(name=name, path=path, sha256=sha256)


def _how_to_get(name: str, known: Known) -> str:
    places = _places(name, known)
    if known.embedded:
        return f"model {name} is not at {places[0]}: {known.note}"
    if not known.urls:
        fetch_it = known.note
    else:
        word = " --accept-licence" if known.needs_word else ""
        online = " without FACEKIT_OFFLINE" if offline() else ""
        fetch_it = f"run `facekit weights fetch {name}{word}`{online}"
    return (
        f"model {name} is not at {' or '.join(map(str, places))}: {fetch_it}, "
        f"or put it into FACEKIT_WEIGHTS as {name}/{known.file} ({known.licence})"
    )


def _holding(name: str, known: Known, *, hashed: bool) -> Holding:
    path = _at_hand(name, known)
    size_bytes = known.pack.size_bytes if known.pack else known.size_bytes
    if path is None:
        return Holding(name=name, state="missing", path=None, size_bytes=size_bytes, known=known)
    names = [Path(m.path) for m in known.members] or _files_in(path)
    files = [path / n for n in names] if path.is_dir() else [path]
    size_bytes = sum(file.stat().st_size for file in files if file.is_file())
    state: Literal["found", "ok", "unproven", "damaged"] = "found"
    if known.size_bytes not in (0, size_bytes) or (hashed and _differs(known, path)):
        state = "damaged"
    elif hashed:
        state = "unproven" if known.sha256 is None else "ok"
    return Holding(name=name, state=state, path=path, size_bytes=size_bytes, known=known)


def _open(url: str) -> IO[bytes]:
    """An opener that has no handler but https: other schemes are refused, after redirects too."""
    from urllib import request

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.UnknownHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
        request.HTTPSHandler,
    ):
        opener.add_handler(handler())
    asked = request.Request(url, headers={"User-Agent": "facekit"})  # noqa: S310 - see above
    stream: IO[bytes] = opener.open(asked, timeout=SILENCE_S)
    return stream


def _download(name: str, known: Known) -> ModelFile:
    from http.client import HTTPException

    target = _cached(name, known)
    reasons = []
    for url in known.urls:
        log.info("downloading %s from %s", name, url)
        try:
            if known.members:
                weight_folders.receive(known.members, url, target, _open)
                return _checked(name, known, target)
            with _open(url) as stream:
                return _receive(name, known, stream, target)
        except (OSError, HTTPException) as error:
            reasons.append(f"{url}: {error}")
    raise MissingWeights(f"{_how_to_get(name, known)} ({'; '.join(reasons)})")


def _receive(name: str, known: Known, stream: IO[bytes], target: Path) -> ModelFile:
    if known.pack is None:
        sha256 = arrivals.receive(stream, target, known.sha256, known.size_bytes)
        return ModelFile(name=name, path=target, sha256=sha256)
    pack, zip_path = known.pack, target.with_name(f"{name}.zip")
    with arrivals.arriving(stream, zip_path, pack.sha256, pack.size_bytes) as (part, _):
        sha256 = arrivals.unpack(part, target, known.sha256, known.size_bytes, pack=name)
    return ModelFile(name=name, path=target, sha256=sha256)
