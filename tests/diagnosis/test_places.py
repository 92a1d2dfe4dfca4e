"""Variables, folders, disks and quotas that are wrong, and right after the line that is printed."""

from __future__ import annotations

import getpass
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from biollm_widgets.diagnosis import findings, models, places
from biollm_widgets.diagnosis.servers import Server

from .rooms import look, surroundings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="The commands are for a POSIX shell.")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_an_ordinary_laptop_has_nothing_to_be_told(home):
    found = look("places", surroundings(home))
    assert {one["state"] for one in found.values()} == {"fine"}
    assert found["scratch"]["sentence"] == "SCRATCH is not set (only a cluster has it)"


@pytest.mark.parametrize("missing", [KeyError, OSError])
def test_whoever_is_in_no_list_of_users_and_has_no_home_is_answered(home, monkeypatch, missing):
    import pwd

    def nobody(uid):
        raise KeyError("getpwuid(): uid not found")

    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "SCRATCH", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    if missing is OSError:  # as getpass says it from Python 3.13 on
        monkeypatch.setattr(getpass, "getuser", lambda: (_ for _ in ()).throw(OSError("No username set")))
    monkeypatch.setenv("TACC_SYSTEM", "vista")
    monkeypatch.chdir(home)
    asked = []
    monkeypatch.setattr(places, "ask_all", lambda commands, seconds: asked.extend(commands) or [None] * len(commands))
    found = {one.id: one for one in places.look()}
    assert found["scratch"].state == "broken" and "Log in anew" in found["scratch"].remedy
    assert "writable" in found and "disk" in found
    assert asked[-1] == ["quota", "-w", "-u", str(os.getuid())]
    monkeypatch.setenv("HF_HOME", "~/models")
    assert places.hf_home().state == "broken"  # it is no full path where nobody knows what ~ is
    models._larger(1)
    assert Server(home, "").user_data is not None


def test_scratch_unset_on_the_cluster_is_broken_until_it_is_set(home, tmp_path, monkeypatch):
    # As TACC lays it out, on a disk of ours: /scratch/<group>/<user>.
    (tmp_path / "scratch" / "01234" / "ann").mkdir(parents=True)
    monkeypatch.setattr(places, "SCRATCHES", tmp_path / "scratch")
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    monkeypatch.setenv("TACC_SYSTEM", "vista")
    monkeypatch.delenv("SCRATCH", raising=False)
    found = places.scratch()
    assert found.state == "broken" and "SCRATCH is not set" in found.sentence
    assert found.command == f"export SCRATCH={tmp_path}/scratch/01234/ann"
    environ = surroundings(home, TACC_SYSTEM="vista")
    assert look("places", environ)["scratch"]["state"] == "broken"
    after = look("places", environ, found.command)
    assert after["scratch"]["state"] == "fine"
    assert after["hf-home"]["state"] == "note"  # models would go to the small home
    assert look("places", environ, found.command, after["hf-home"]["command"])["hf-home"]["state"] == "fine"


def test_on_the_cluster_no_folder_is_made_up(home):
    found = look("places", surroundings(home, TACC_SYSTEM="vista", LOGNAME="nobody-of-this-name"))["scratch"]
    assert found["command"] is None and "Log in anew" in found["remedy"]


def test_a_scratch_that_is_not_there_is_a_note_on_a_laptop_and_the_line_mends_it(home):
    environ = surroundings(home, SCRATCH="/no/such/disk")
    found = look("places", environ)["scratch"]
    assert found["state"] == "note" and "/no/such/disk, which is not there" in found["sentence"]
    assert look("places", environ, found["command"])["scratch"]["state"] == "fine"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("$SCRATCH/cache", "a variable that nobody has filled in"),
        ("None/cache", "made of a variable that was not set"),
        ("cache", "no full path"),
        ("/cache", "made of SCRATCH while that was not set"),
    ],
)
def test_an_hf_home_that_leads_to_nowhere_is_broken_until_it_is_named_for_good(home, value, words):
    environ = surroundings(home, HF_HOME=value, SCRATCH="/no/such/disk")  # which the line may not build upon
    found = look("places", environ)["hf-home"]
    assert found["state"] == "broken" and words in found["sentence"]
    after = look("places", environ, found["command"])["hf-home"]
    assert (after["state"], after["sentence"]) == ("fine", "models in ~/.cache/huggingface/hub (HF_HOME)")


def test_a_read_only_home_is_broken_until_its_folders_are_named_elsewhere(home, tmp_path, may_mount):
    (tmp_path / "tmp").mkdir()
    environ = surroundings(home, TMPDIR=tmp_path / "tmp")
    shut = {"wrapped_in": ("unshare", "-m"), "first": f"mount --bind {home} {home} && mount -o remount,ro,bind {home}"}
    found = look("places", environ, **shut)
    wrong = {key: one for key, one in found.items() if key.startswith("unwritable")}
    assert set(wrong) == {f"unwritable-{name}" for name in ("jupyter", "cache", "matplotlib", "ipython")}
    assert wrong["unwritable-jupyter"]["state"] == "broken"
    assert "~/.local/share/jupyter cannot be written (read-only file system)" in wrong["unwritable-jupyter"]["sentence"]
    after = look("places", environ, *(one["command"] for one in wrong.values()), **shut)
    assert not any(key.startswith("unwritable") for key in after)


def test_the_folder_that_is_named_instead_is_new_and_nobody_elses(home, tmp_path, monkeypatch):
    # What Jupyter and IPython find in these folders they run, so no name that another could guess and make first.
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("SCRATCH", raising=False)
    monkeypatch.setattr(places, "why_not_writable", lambda folder: "read-only file system")
    (tmp_path / "tmp").mkdir(mode=0o777)
    for in_cell in (False, True):
        monkeypatch.setattr(findings, "_in_notebook", in_cell)
        named = []
        for found in places.writable():
            name = {"unwritable-cache": "HF_HOME", "unwritable-matplotlib": "MPLCONFIGDIR"}.get(found.id)
            name = name or {"unwritable-ipython": "IPYTHONDIR", "unwritable-jupyter": "JUPYTER_DATA_DIR"}[found.id]
            assert "bashrc" not in found.remedy
            script = [sys.executable, "-c", f"{found.command}\nprint(os.environ[{name!r}])"]
            script = script if in_cell else ["bash", "-c", f'{found.command}\necho "${name}"']
            done = subprocess.run(script, capture_output=True, text=True, check=True)
            named.append(Path(done.stdout.strip()))
        assert len(set(named)) == 4 and all(one.parent == tmp_path / "tmp" for one in named)
        assert all(one.is_dir() and stat.S_IMODE(one.stat().st_mode) == 0o700 for one in named)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_without_the_right_to_write_is_told_as_well(home):
    environ = surroundings(home)
    home.chmod(0o555)
    try:
        found = look("places", environ)
        assert "permission denied" in found["unwritable-jupyter"]["sentence"]
    finally:
        home.chmod(0o755)


def test_a_full_disk_is_broken_until_something_is_deleted(home, may_mount):
    environ = surroundings(home)
    # A disk in memory with room for no notebook; what fills it is named by the line that is printed.
    fill = f"mount -t tmpfs -o size=80m tmpfs {home} && mkdir {home}/old && head -c 79m /dev/zero > {home}/old/film"
    shut = {"wrapped_in": ("unshare", "-m"), "first": fill}
    found = look("places", environ, **shut)["disk-full"]
    assert found["state"] == "broken" and "The disk of ~ is full" in found["sentence"]
    listed = f"{found['command']} | cut -f2 | grep -qx {home}/old"
    after = look("places", environ, listed, f"rm -r {home}/old", **shut)
    assert "disk-full" not in after and "disk" in after


def test_a_disk_without_a_free_byte_is_found_by_writing_and_a_folder_elsewhere_mends_it(home, tmp_path, may_mount):
    (tmp_path / "tmp").mkdir()
    environ = surroundings(home, TMPDIR=tmp_path / "tmp")
    fill = f"mount -t tmpfs -o size=1m tmpfs {home} && (head -c 2m /dev/zero > {home}/film; true)"
    shut = {"wrapped_in": ("unshare", "-m"), "first": fill}
    found = look("places", environ, **shut)["unwritable-jupyter"]
    assert found["state"] == "broken" and "the disk or your quota is full" in found["sentence"]
    assert "unwritable-jupyter" not in look("places", environ, found["command"], **shut)


LFS = """Disk quotas for usr alice (uid 1000):
      Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
        {disk} {used}  23000000 25000000       -  120000  200000  300000       -
uid 1000 is using default file quota setting
"""


@pytest.mark.parametrize(("used", "state"), [("1000000", "fine"), ("22500000", "note"), ("24990000*", "broken")])
def test_a_quota_is_read_and_told_when_it_is_nearly_used(home, used, state):
    environ = surroundings(home)
    program = home / "bin" / "lfs"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{LFS.format(disk=home, used=used)}END\n")
    program.chmod(0o755)
    found = look("places", environ)[f"quota-{home}"]
    assert found["state"] == state
    assert "of your 23.55 GB" in found["sentence"]
    if state != "fine":
        program.write_text(program.read_text().replace(used, "1000"))  # something was deleted
        assert look("places", environ)[f"quota-{home}"]["state"] == "fine"


def test_programs_for_quotas_that_hang_leave_time_for_the_rest(home, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_QUOTA_SECONDS", 0.3)
    (home / "lfs").write_text("#!/bin/sh\nexec sleep 20\n")
    (home / "lfs").chmod(0o755)
    (home / "quota").symlink_to("lfs")
    monkeypatch.setenv("PATH", str(home), prepend=os.pathsep)
    began = time.monotonic()
    assert places.quotas(home, tmp_path, Path("/proc")) == []
    assert time.monotonic() - began < 2  # and not 0.3 for each program and folder, which is more with each of them


def test_a_disk_is_asked_for_its_quota_once(home, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(places, "ask_all", lambda commands, seconds: asked.extend(commands) or [None] * len(commands))
    places.quotas(home, tmp_path, home / "not" / "yet")
    assert [command[0] for command in asked] == ["lfs", "quota"]


def test_rows_of_quota_are_read_with_long_names_stars_and_no_limits():
    text = """Disk quotas for user alice (uid 1000):
     Filesystem   blocks   quota   limit   grace   files   quota   limit   grace
/dev/sda1         9000*   8000   10000   6days      10       0       0
nfs.example.edu:/export/home/a/very/long/name/of/a/disk
                   500     1000    2000              10       0       0
/dev/sdb1         77      0       0                 1        0       0
"""
    first, second = places.parse_quota(text)
    assert (first.disk, first.used, first.limit, first.left) == ("/dev/sda1", 9000 * 1024, 8000 * 1024, 0)
    assert second.disk.endswith("/of/a/disk") and second.left == 500 * 1024
    assert places.parse_quota("") == [] and places.parse_quota("quota: not found\n") == []
