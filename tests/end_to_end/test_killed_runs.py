"""Runs that are killed, interrupted or starved of disk lose nothing."""

import random
import resource
import signal

import pytest
import trials


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return trials.make_clips(tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    return out, trials.timed(clips, out)


def test_the_undisturbed_run_fills_several_shards(undisturbed):
    names = trials.digests(undisturbed[0]).keys()
    assert names == {*(f"faces-0000{i}.h5" for i in range(2)), "manifest.json"}


@pytest.mark.parametrize("seed", range(10))
def test_kill_9_of_the_whole_tree_then_resume(undisturbed, clips, tmp_path, seed):
    want, run_s = undisturbed
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 2)):
        trials.kill_at_random(clips, tmp_path / "out", rng, run_s)
    exit_code, said = trials.finish(clips, tmp_path / "out")
    assert exit_code == 3, said
    assert trials.digests(tmp_path / "out") == trials.digests(want)
    assert trials.ledger(tmp_path / "out") == trials.ledger(want)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_folder_that_says_how_to_resume(undisturbed, clips, tmp_path, number):
    process = trials.start(clips, tmp_path / "out")
    while process.poll() is None and trials._rows(tmp_path / "out") < 3:
        trials._wait(process, 0.01)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr + stdout
    assert not (tmp_path / "out/manifest.json").exists()
    assert trials.finish(clips, tmp_path / "out")[0] == 3
    assert trials.digests(tmp_path / "out") == trials.digests(undisturbed[0])


@pytest.mark.parametrize("limit_bytes", [2_000, 100_000, 700_000, 1_500_000])
def test_a_full_disk_ends_with_74_and_the_resumed_run_is_whole(
    undisturbed, clips, tmp_path, limit_bytes
):
    def starve():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    exit_code, said = trials.finish(clips, tmp_path / "out", preexec_fn=starve)
    assert exit_code == 74, said
    assert len(said.strip().splitlines()) == 1
    assert "run the same command again" in said
    assert trials.finish(clips, tmp_path / "out")[0] == 3
    assert trials.digests(tmp_path / "out") == trials.digests(undisturbed[0])
