"""Whether the file around a video is whole by its own account.

libav plays what it finds and stops without a word where a Matroska, fragmented MP4 or transport
stream ends early. These containers count no frames, so only their structure tells of a cut.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

_SEGMENT: Final = 0x18538067
_CLUSTER: Final = 0x1F43B675
_EBML_TOP: Final = frozenset(
    {0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770, 0x1254C367, 0x1941A469}
)
"""Elements beside the clusters (RFC 9559, section 5)."""

_EBML_IN_CLUSTER: Final = frozenset({0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF})
_EBML_ANYWHERE: Final = frozenset({0xEC, 0xBF})
"""Void and CRC-32."""

_AFTER_FRAGMENTS: Final = b"mfra"
_TS_SYNC: Final = 0x47
_TS_PACKETS_A_READ: Final = 4096
_TS_LAYOUTS: Final = ((188, 0), (192, 4), (204, 0))
"""Packet size and place of the sync byte: plain, with time stamps, with error correction."""


def is_whole(path: Path, container: str) -> bool:
    """Whether a file's elements follow one another without a gap up to its end.

    Args:
        path: the file.
        container: libav's name of the format, such as `matroska,webm`.

    Returns:
        False for a file that is cut or whose structure is damaged; True for a whole one and for
        a container that this function does not know.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(bytes(188 * 3 + 7)) + (file.flush() or 0)
    ...     is_whole(Path(file.name), "mpegts")
    False
    """
    for name, check in _CHECKS.items():
        if name in container.split(","):
            with path.open("rb") as file:
                return check(file, os.fstat(file.fileno()).st_size)
    return True


def _is_whole_ts(file: BinaryIO, file_bytes: int) -> bool:
    """Packets of one size, each with its sync byte (ISO/IEC 13818-1, section 2.4.3.2)."""
    head = file.read(1024)
    packet_bytes, sync_at = next(
        (layout for layout in _TS_LAYOUTS if {*head[layout[1] :: layout[0]]} == {_TS_SYNC}),
        _TS_LAYOUTS[0],
    )
    file.seek(0)
    while chunk := file.read(packet_bytes * _TS_PACKETS_A_READ):
        if {*chunk[sync_at::packet_bytes]} != {_TS_SYNC}:
            return False
    return file_bytes % packet_bytes == 0


def _is_whole_iso(file: BinaryIO, file_bytes: int) -> bool:
    """Top-level boxes tile the file (ISO/IEC 14496-12, section 4.2)."""
    position = 0
    while position < file_bytes:
        file.seek(position)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if len(head) < 8 or not (kind.isascii() and kind.decode("ascii").isprintable()):
            return False
        if size == 0 or kind == _AFTER_FRAGMENTS:
            return True
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if size < 8:
            return False
        position += size
    return position == file_bytes


def _is_whole_ebml(file: BinaryIO, file_bytes: int) -> bool:
    """Elements tile the file down to the blocks of a cluster (RFC 8794, section 6)."""
    position = segment_end = cluster_end = 0
    while position < file_bytes:
        file.seek(position)
        element, head_bytes, size = _ebml_head(file.read(12))
        begin, data = position, position + head_bytes
        position = data + (size or 0)
        if element == _SEGMENT:
            segment_end, position = position, data
        elif element == _CLUSTER and begin >= cluster_end:
            cluster_end, position = position, data
        elif size is None:
            return False
        elif element in _EBML_IN_CLUSTER:
            # A cluster of unknown size, as live streams have, ends where it begins.
            if begin < cluster_end < position:
                return False
        elif element not in _EBML_ANYWHERE and (element not in _EBML_TOP or begin < cluster_end):
            return False
    return max(position, segment_end) == file_bytes


def _ebml_head(data: bytes) -> tuple[int, int, int | None]:
    """Element, bytes of its head, bytes of its content: None where unknown; element 0 if none."""
    id_bytes = _vint_bytes(data)
    size_bytes = _vint_bytes(data[id_bytes:]) if id_bytes else 0
    if not size_bytes:
        return 0, 1, None
    head_bytes = id_bytes + size_bytes
    all_ones = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(data[id_bytes:head_bytes], "big") & all_ones
    element = int.from_bytes(data[:id_bytes], "big")
    return element, head_bytes, None if size == all_ones else size


def _vint_bytes(data: bytes) -> int:
    """Length of the EBML number that these bytes begin with; 0 where they hold none."""
    count = 9 - data[0].bit_length() if data else 9
    return count if count <= min(8, len(data)) else 0


_CHECKS: Final[Mapping[str, Callable[[BinaryIO, int], bool]]] = {
    "matroska": _is_whole_ebml,
    "mov": _is_whole_iso,
    "mpegts": _is_whole_ts,
}
