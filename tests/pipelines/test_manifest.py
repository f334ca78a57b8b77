import logging
import os
import random
import subprocess
import sys
import unicodedata

import pytest

from facekit.errors import BadInput
from facekit.video import Video
from pipelines.manifest import part_of, videos_of


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, with some of everything."""
    make(
        tmp_path,
        *("set/a.mp4", "set/sub/b.MKV", "set/notes.txt", "set/.hidden.mp4"),
        *("wild/fake/7/0.png", "wild/fake/7/1.png", "wild/real/7/0.png"),
        *("lone.dat", "clip [1].mp4", "empty/notes.txt"),
    )
    (tmp_path / "list.csv").write_text("path,label\nset/a.mp4,real\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys_of(*inputs, **options):
    return [video.key for video in videos_of(list(inputs), **options)]


@pytest.mark.parametrize(
    ("inputs", "keys"),
    [
        (["set"], ["set/a.mp4", "set/sub/b.MKV"]),
        (["./set/"], ["set/a.mp4", "set/sub/b.MKV"]),
        (["set/sub/.."], ["set/a.mp4", "set/sub/b.MKV"]),
        (["set", "set"], ["set/a.mp4", "set/sub/b.MKV"]),
        (["wild"], ["wild/fake/7", "wild/real/7"]),
        (["wild/fake/7"], ["files/7"]),
        (["wild/fake/7/0.png"], ["files/0.png"]),
        (["lone.dat"], ["files/lone.dat"]),
        (["clip [1].mp4"], ["files/clip [1].mp4"]),
        (["set/a.mp4", "set/./a.mp4"], ["files/a.mp4"]),
        (["set/*.mp4"], ["files/a.mp4"]),
        (["set/.*.mp4"], ["files/.hidden.mp4"]),
        (["set/*"], ["files/a.mp4", "files/sub/b.MKV"]),
        (["set/**/*"], ["files/a.mp4", "files/sub/b.MKV"]),
        (["set/**"], ["files/a.mp4", "files/sub/b.MKV"]),
        (["*.dat"], ["files/lone.dat"]),
        (["se?/sub/*.[mM]*"], ["files/set/sub/b.MKV"]),
        (["set/*.txt"], ["files/notes.txt"]),
        (["wild/*/*"], ["files/fake/7", "files/real/7"]),
        (["wild/fake/7/**"], ["files/7"]),
        (["list.csv"], ["list/set/a.mp4"]),
        (["lis?.csv"], ["list/set/a.mp4"]),
        (["set/sub", "lone.dat"], ["files/lone.dat", "sub/b.MKV"]),
    ],
)
def test_keys(here, inputs, keys):
    assert keys_of(*inputs) == keys
    assert keys_of(*(here / one for one in inputs)) == keys


def test_the_working_folder_is_called_by_its_name(here):
    assert keys_of(".")[0] == f"{here.name}/clip [1].mp4"
    assert keys_of(".") == keys_of(here)


def test_one_input_need_not_be_a_list(here):
    assert videos_of("set") == videos_of(here / "set") == videos_of(["set"])


def test_nothing_of_the_machine_is_stored(here):
    for video in videos_of([here / "set", here / "set/*", here / "lone.dat", here / "list.csv"]):
        stored = {name: value for name, value in vars(video).items() if name != "path"}
        assert str(here) not in str(stored)
        assert video.path.is_absolute()
        assert video.path.exists()


@pytest.mark.parametrize(
    ("inputs", "options", "error"),
    [
        ([], {}, r"no inputs: give"),
        ([""], {}, r"an input is empty"),
        (["empty"], {}, r"no videos in empty; ignored 1 file that is no video: .txt 1"),
        (["sett"], {}, r"sett is not there; did you mean set\?"),
        (["set/a.mp3"], {}, r"set/a.mp3 is not there; did you mean set/a.mp4\?"),
        (["xyz/q/a.mp4"], {}, r"xyz is not there; nothing there has a name like it"),
        (["set/*.avi"], {}, r"no videos match set/\*.avi; ignored nothing"),
        (["*.d?t"], {}, r"no videos match \*.d\?t; ignored 1 file that is no video: .dat 1"),
        (["none/*.mp4"], {}, r"no videos match none/\*.mp4"),
        (["set/**a.mp4"], {}, r"set/\*\*a.mp4 is no glob: Invalid pattern"),
        (["set/a.mp4/b"], {}, r"cannot read folder set/a.mp4: Not a directory"),
        (["x" * 300], {}, r"cannot look up x+: .*File name too long"),
        (["a\0b"], {}, r"cannot look up 'a\\x00b': embedded null"),
        (["pipe"], {}, r"pipe is neither a file nor a folder"),
        (["dangling"], {}, r"dangling is a link that leads nowhere"),
        (["mixed"], {}, r"no videos in mixed; ignored 2 .*; images count as a video only in"),
        (["set"], {"dataset": "imagenet"}, r"no dataset is called 'imagenet'; there are ffpp"),
        (["set"], {"dataset": "ffpp"}, r"no FaceForensics\+\+ in set; the layout is original_seq"),
        (["set/a.mp4"], {"dataset": "ffpp"}, r"set/a.mp4 is no folder; a dataset is given by"),
        (["sett"], {"dataset": "ffpp"}, r"did you mean set\?"),
        (["set/a.mp4", "other/a.mp4"], {}, r"other/a.mp4 and .*set/a.mp4 are both called files/a"),
        (["set", "other/set"], {}, r"are both called set/a.mp4; give one folder that holds both"),
        (["twice.csv"], {}, r"are one file, called twice/set/a.mp4 and described in two ways"),
    ],
)
def test_refused_at_the_door(here, inputs, options, error):
    make(here, "other/a.mp4", "other/set/a.mp4", "mixed/0.png", "mixed/labels.txt")
    (here / "twice.csv").write_text("path,label\nset/a.mp4,real\nset/a.mp4,fake\n")
    (here / "dangling").symlink_to("nowhere")
    os.mkfifo(here / "pipe")
    with pytest.raises(BadInput, match=error):
        videos_of(inputs, **options)


def test_order_of_inputs_does_not_matter(here):
    inputs = ["set", "wild", "lone.dat", "list.csv", "clip*"]
    want = videos_of(inputs)
    assert len(want) == 7
    assert [video.key for video in want] == sorted(video.key for video in want)
    for seed in range(5):
        assert videos_of(random.Random(seed).sample(inputs, len(inputs))) == want


def test_a_row_listed_twice_alike_counts_once(here):
    (here / "twice.csv").write_text("path,label\nset/a.mp4,real\n./set/a.mp4,0\n")
    assert keys_of("twice.csv") == ["twice/set/a.mp4"]


def test_one_file_under_two_keys_is_said(here, caplog):
    assert keys_of("set", "set/a.mp4") == ["files/a.mp4", "set/a.mp4", "set/sub/b.MKV"]
    assert "1 files are taken more than once under different keys, such as" in caplog.text
    assert "files/a.mp4 and set/a.mp4" in caplog.text


def test_missing_rows_are_not_taken_for_doubles(here, caplog):
    (here / "gone.csv").write_text("path\nset/a.mp4\nx.mp4\ny.mp4\n")
    assert len(keys_of("gone.csv", "lone.dat")) == 4
    assert "more than once" not in caplog.text


def test_what_is_ignored_is_logged(here, caplog):
    caplog.set_level(logging.INFO)
    videos_of("set")
    assert "set: 2 videos, ignored 2 files that are no videos: .txt 1, hidden 1" in caplog.text


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("with space.mp4", "set/with space.mp4"),
        ("日本語.mp4", "set/日本語.mp4"),
        ("e\u0301.mp4", "set/\u00e9.mp4"),
        ("a\\b.mp4", "set/a\\b.mp4"),
        ("x" * 251 + ".mp4", "set/" + "x" * 251 + ".mp4"),
        ("nl\n.mp4", None),
        ("tab\t.mp4", None),
        ("del\x7f.mp4", None),
        ("sep\u2028.mp4", None),
        (os.fsdecode(b"latin\xe9.mp4"), None),
        ("x" * 200 + "/" + "y" * 200 + "/" + "z" * 150 + ".mp4", None),
    ],
)
def test_names_from_the_disk(tmp_path, name, key):
    make(tmp_path / "set", name)
    if key is None:
        with pytest.raises(BadInput, match=r"its key (holds a control character|is \d+ bytes)"):
            videos_of(tmp_path / "set")
        return
    (video,) = videos_of(tmp_path / "set")
    assert video.key == key == unicodedata.normalize("NFC", video.key)
    assert video.relative_path == name
    assert video.path.exists()


def test_names_that_differ_in_their_accents_alone(tmp_path):
    make(tmp_path / "set", "e\u0301.mp4", "\u00e9.mp4")
    with pytest.raises(BadInput, match=r"e\\u0301.mp4' and '.*\\xe9.mp4' are both called set/é"):
        videos_of(tmp_path / "set")


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("key", "a/b", None),
        ("key", "k" * 512, None),
        ("key", "ä" * 257, r"its key is 514 bytes long and 512 fit"),
        ("key", "/etc/passwd", r"its key '/etc/passwd' has an empty part or dots"),
        ("key", "a//b", r"has an empty part or dots"),
        ("key", "../a", r"has an empty part or dots"),
        ("group", "g" * 257, r"its group is 257 bytes long and 256 fit"),
        ("method", "m" * 65, r"its method is 65 bytes long and 64 fit"),
        ("compression", "c" * 17, r"its compression is 17 bytes long"),
        ("mask_path", "m" * 1025, r"its mask_path is 1025 bytes long"),
        ("original", "o\0", r"its original holds a control character"),
    ],
)
def test_text_that_a_shard_cannot_hold(here, column, value, error):
    (here / "t.csv").write_text(f"path,{column}\nset/a.mp4,{value}\n")
    if error is None:
        assert getattr(videos_of("t.csv")[0], column) == value
    else:
        with pytest.raises(BadInput, match=error):
            videos_of("t.csv")


def video(key):
    return Video(key=key, path=key, relative_path=key)


@pytest.mark.parametrize(
    ("keys", "index", "count", "want"),
    [
        ("", 1, 1, ""),
        ("", 2, 3, ""),
        ("cab", 1, 1, "abc"),
        ("cab", 1, 2, "ac"),
        ("cab", 2, 2, "b"),
        ("cab", 4, 4, ""),
        ("cab", 0, 2, BadInput),
        ("cab", 3, 2, BadInput),
        ("cab", 1, 0, BadInput),
    ],
)
def test_part_of(keys, index, count, want):
    videos = [video(key) for key in keys]
    if want is BadInput:
        with pytest.raises(BadInput, match=f"not {index}/{count}"):
            part_of(videos, index, count)
        return
    assert [one.key for one in part_of(videos, index, count)] == list(want)
    assert [one.key for one in videos] == list(keys)


@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_parts_add_up(count):
    videos = [video(f"{i:03d}") for i in range(50)]
    parts = [part_of(videos, index, count) for index in range(1, count + 1)]
    assert sorted((one for part in parts for one in part), key=lambda one: one.key) == videos


def test_importing_it_is_cheap():
    heavy = "{'pandas', 'pyarrow', 'torch', 'cv2', 'av', 'h5py'}"
    code = f"import sys, pipelines.manifest; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
