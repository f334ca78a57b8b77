"""Faces on the disk, format 1: parts, shards, their manifest. See the README beside this file.

A part holds one video and is streamed; `pack` makes shards of parts; `write_manifest` marks them
complete; `open_shards` reads; `verify` tells whether they are what they were.

>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> from facekit import schema
>>> from facekit.faces import VideoFaces, VideoRecord
>>> from facekit.video import Video
>>> told = schema.Provenance(measurement={}, au_names=("AU12",), au_mode="static", backends={})
>>> shapes = Header(provenance=told, size_px=32, images=True).shapes()
>>> block = {name: np.zeros((2, *shapes[name]), schema.COLUMNS[name].dtype) for name in shapes}
>>> block["frame_index"][:] = [0, 10]
>>> video = Video(key="ffpp/youtube/c23/000", path=Path("000.mp4"), relative_path="000.mp4")
>>> record = VideoRecord(video=video, status="ok", frames_sampled=2, frames_with_face=2)
>>> with tempfile.TemporaryDirectory() as folder:
...     part, shard = Path(folder) / "part.h5", Path(folder) / shard_name(0)
...     with PartWriter(part, told, size_px=32, images=True) as writer:
...         writer.append(VideoFaces(columns=block))
...         faces = writer.close(record)
...     faces = pack([(part, video.key)], shard)
...     manifest = write_manifest(Path(folder))
...     with open_shards(folder) as shards:
...         print(len(shards), shards[1]["frame_index"], shards.videos["key"][0])
...     print(verify(folder, deep=True).lines()[-1])
2 10 ffpp/youtube/c23/000
1 shards, 0 problems; 2 faces of 1 videos are sound (every byte read)
"""

from facekit.shards.disk import disk_full as disk_full
from facekit.shards.disk import free_bytes as free_bytes
from facekit.shards.disk import publishing as publishing
from facekit.shards.disk import require_free as require_free
from facekit.shards.layout import Header as Header
from facekit.shards.layout import bytes_per_face as bytes_per_face
from facekit.shards.manifest import MANIFEST_NAME as MANIFEST_NAME
from facekit.shards.manifest import Manifest as Manifest
from facekit.shards.manifest import ShardEntry as ShardEntry
from facekit.shards.manifest import read_manifest as read_manifest
from facekit.shards.manifest import shard_name as shard_name
from facekit.shards.manifest import write_manifest as write_manifest
from facekit.shards.packing import assign as assign
from facekit.shards.packing import pack as pack
from facekit.shards.part import PartWriter as PartWriter
from facekit.shards.read import Shards as Shards
from facekit.shards.read import open_shards as open_shards
from facekit.shards.verifying import Problem as Problem
from facekit.shards.verifying import VerifyReport as VerifyReport
from facekit.shards.verifying import rebuild_manifest as rebuild_manifest
from facekit.shards.verifying import verify as verify
