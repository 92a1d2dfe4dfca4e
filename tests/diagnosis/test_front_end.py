"""Servers of which one half of a widget is missing, old or switched off; the printed line mends each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from biollm_widgets.diagnosis import front_end
from biollm_widgets.diagnosis.servers import Server, prefix_of

from .rooms import look, shell, surroundings

MANAGER = "@jupyter-widgets/jupyterlab-manager"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="The commands are for a POSIX shell.")


def extension(data: Path, name: str, version: str) -> Path:
    folder = data / "labextensions" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version, "jupyterlab": {}}))
    return folder


class Running:
    """A server that seems to run: a process of that Python's name, its runtime file, and an environment of files."""

    def __init__(self, home: Path, venv: bool = False) -> None:
        self.home, self.prefix = home, home / "host" / "env"
        self.environ = surroundings(home)
        self.data = self.prefix / "share" / "jupyter"
        site = self.prefix / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        info = site / "jupyterlab-4.4.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: jupyterlab\nVersion: 4.4.1\n")
        (self.prefix / "bin").mkdir()
        if venv:
            (self.prefix / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
        self.user = home / ".local" / "share" / "jupyter"
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self, **more: str) -> None:
        self.stop()
        words = [str(self.prefix / "bin" / "python3"), "60"]
        self.process = subprocess.Popen(words, executable="/bin/sleep", env=self.environ | more)
        runtime = self.user / "runtime"
        runtime.mkdir(parents=True, exist_ok=True)
        told = {"pid": self.process.pid, "url": "http://127.0.0.1:9/", "token": "x"}
        (runtime / f"jpserver-{self.process.pid}.json").write_text(json.dumps(told))

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def look(self) -> dict:
        return look("front_end", self.environ)


@pytest.fixture
def running(tmp_path: Path) -> Iterator:
    pytest.importorskip("jupyter_core")
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("A server's environment is read off /proc here.")
    made: list[Running] = []

    def make(**options: bool) -> Running:
        made.append(Running(tmp_path / "home", **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_a_missing_front_end_is_mended_by_the_copy_that_is_printed(running):
    server = running()
    found = server.look()
    for name in ("anywidget", "jupyterlab_widgets"):
        one = found[f"front-end-{name}"]
        assert one["state"] == "broken"
        assert "The JupyterLab that runs at http://127.0.0.1:9/ has no front end" in one["sentence"]
        assert "reload the page" in one["remedy"]
    shell(found["front-end-anywidget"]["command"], server.environ)
    after = server.look()
    assert "front-end-anywidget" not in after and "front-end-jupyterlab_widgets" in after
    shell(found["front-end-jupyterlab_widgets"]["command"], server.environ)
    assert {one["state"] for one in server.look().values()} == {"fine"}
    # What was copied is a front end and not a link into an environment that the server may not see.
    copied = server.user / "labextensions" / "anywidget"
    assert list((copied / "static").glob("*.js")) and not copied.is_symlink()


def test_an_old_copy_in_the_users_folder_that_goes_first_is_replaced(running):
    server = running()
    extension(server.data, "anywidget", "0.9.21")
    extension(server.data, MANAGER, "5.0.15")
    assert "front-end-anywidget" not in server.look()  # another version than the kernel's, and it goes with it
    old = extension(server.user, "anywidget", "0.8.1")
    (old / "rubbish.js").write_text("")
    found = server.look()["front-end-anywidget"]
    assert found["state"] == "broken"
    assert "0.8.1 in ~/.local/share/jupyter/labextensions/anywidget; >=0.9.0, <1 is needed" in found["sentence"]
    shell(found["command"], server.environ)
    assert "front-end-anywidget" not in server.look()
    assert not (old / "rubbish.js").exists()


def test_where_the_servers_own_copy_goes_first_and_is_old_a_users_copy_wins_only_through_jupyter_path(running):
    server = running(venv=True)
    extension(server.data, MANAGER, "5.0.15")
    extension(server.data, "anywidget", "0.8.1")
    extension(server.user, "anywidget", "0.11.0")  # the copy of the documentation: here it changes nothing
    found = server.look()["front-end-anywidget"]
    assert found["state"] == "broken" and "0.8.1 in ~/host/env/share" in found["sentence"]
    assert f"JUPYTER_PATH={server.user}" in found["remedy"]
    shell(found["command"], server.environ)
    assert "front-end-anywidget" in server.look()
    server.start(JUPYTER_PATH=str(server.user))
    assert "front-end-anywidget" not in server.look()


def test_where_a_server_prefers_the_users_folder_the_copy_is_enough(running):
    server = running(venv=True)
    extension(server.data, MANAGER, "5.0.15")
    extension(server.data, "anywidget", "0.8.1")
    extension(server.user, "anywidget", "0.11.0")
    server.start(JUPYTER_PREFER_ENV_PATH="0")
    assert "front-end-anywidget" not in server.look()


def test_the_versions_are_those_that_the_widgets_ask_the_page_for():
    from biollm_widgets.diagnosis.front_end import wanted
    from biollm_widgets.widgets.base import FRONT_END

    assert wanted()[0].versions.split(",") == FRONT_END.split()


def test_a_server_that_is_gone_is_not_spoken_of(running):
    server = running()
    assert "front-end-anywidget" in server.look()
    server.stop()
    assert not any("127.0.0.1:9" in one["sentence"] for one in server.look().values())


def test_a_server_in_an_environment_out_of_sight_is_a_note(running):
    import shutil

    server = running()
    shutil.rmtree(server.prefix)
    found = server.look()["front-end-anywidget-unseen"]
    assert found["state"] == "note" and "cannot be seen from here" in found["sentence"]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["anywidget", "anywidget:plugin"])
def test_an_extension_that_page_config_switches_off_is_switched_on_again(key, tmp_path):
    pytest.importorskip("jupyterlab")
    environ = surroundings(tmp_path / "home")
    file = tmp_path / "home" / ".jupyter" / "labconfig" / "page_config.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"disabledExtensions": {key: True}}))
    found = look("front_end", environ)["front-end-anywidget-disabled"]
    assert found["state"] == "broken"
    assert "switched off in ~/.jupyter/labconfig/page_config.json" in found["sentence"]
    shell(found["command"], environ)
    assert "front-end-anywidget-disabled" not in look("front_end", environ)


@pytest.mark.parametrize("key", ["anywidget", "anywidget:plugin"])
def test_a_list_of_what_is_switched_off_is_read_and_its_file_is_named_since_no_command_edits_it(key, tmp_path):
    environ = {"HOME": str(tmp_path), "PYTHONNOUSERSITE": "1"}
    server = Server(tmp_path / "env", "the server", environ)
    server.program.parent.mkdir(parents=True)
    server.program.write_text("")
    file = tmp_path / ".jupyter" / "labconfig" / "page_config.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"disabledExtensions": ["other", key]}))
    [anywidget] = [one for one in front_end.wanted() if one.name == "anywidget"]
    assert front_end.disabled_in(server, "anywidget") == file
    # "jupyter labextension enable" stops with: 'list' object has no attribute 'get'
    remedy, command = front_end.how_to_enable(server, anywidget, file)
    assert remedy == f"Remove {key} from disabledExtensions in {file}, then reload the page." and command == ""
    file.write_text(json.dumps({"disabledExtensions": {"anywidget:on": False, key: True}}))
    assert front_end.how_to_enable(server, anywidget, file)[1].endswith(f" {key}")
    file.write_text(json.dumps({"disabledExtensions": "anywidget"}))
    assert front_end.disabled_in(server, "anywidget") is None


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A package in a file, for a pip that may ask nobody."""
    info = f"{name}-{version}.dist-info"
    content = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **files,
    }
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*content, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)


def lent_environment(folder: Path) -> Path:
    """A virtual environment of its own that also sees the packages of this one; its Python."""
    import sysconfig

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    [site] = folder.glob("lib/python3*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.mark.slow
def test_an_old_front_end_in_the_servers_own_environment_is_renewed_by_the_pip_line_that_is_printed(running):
    server = running(venv=True)
    lent_environment(server.prefix)
    extension(server.data, MANAGER, "5.0.15")
    extension(server.data, "anywidget", "0.8.1")
    found = server.look()["front-end-anywidget"]
    assert found["command"].startswith(f"{server.prefix}/bin/python -m pip install --upgrade")
    described = json.dumps({"name": "anywidget", "version": "0.99.0", "jupyterlab": {}})
    place = "anywidget-0.99.0.data/data/share/jupyter/labextensions/anywidget/package.json"
    wheel(server.home / "wheels", "anywidget", "0.99.0", {place: described})
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(server.home / "wheels"), "PIP_NO_DEPS": "1"}
    shell(found["command"], server.environ | own)
    assert json.loads((server.data / "labextensions/anywidget/package.json").read_text())["version"] == "0.99.0"
    assert "front-end-anywidget" not in server.look()


@pytest.mark.slow
def test_a_running_servers_own_word_counts_more_than_what_its_folders_look_like(tmp_path):
    pytest.importorskip("jupyterlab")
    from tests.browser.servers import Server as RealServer
    from tests.browser.servers import surroundings as of_server

    home = tmp_path / "home"
    # Its settings name a folder without anywidget; in its environment, which looks first-rate, there is one.
    server = RealServer(home, "none")
    try:
        assert server.url
        environ = of_server(home) | {"PYTHONPATH": surroundings(tmp_path / "x")["PYTHONPATH"]}
        found = look("front_end", environ)
        assert found["front-end-anywidget"]["state"] == "broken"
        port = server.url.rpartition(":")[2]
        assert f":{port}/ does not give its pages the front end" in found["front-end-anywidget"]["sentence"]
        assert "labextensions_path" in found["front-end-anywidget"]["remedy"]
        assert "front-end-jupyterlab_widgets" not in found
    finally:
        server.stop()


PLACES = {
    "plain": {},
    "path": {"JUPYTER_PATH": "/a:/b", "JUPYTER_CONFIG_PATH": "/c"},
    "own folders": {"JUPYTER_DATA_DIR": "/d", "JUPYTER_CONFIG_DIR": "/e"},
    "environment first": {"JUPYTER_PREFER_ENV_PATH": "1"},
    "user first": {"JUPYTER_PREFER_ENV_PATH": "0"},
    "no user site": {"PYTHONNOUSERSITE": "1"},
    "desktop": {"XDG_DATA_HOME": "/x"},
}


@pytest.mark.parametrize("case", PLACES)
def test_the_folders_are_those_of_jupyter_core(case, tmp_path):
    pytest.importorskip("jupyter_core")
    environ = surroundings(tmp_path / "home") | PLACES[case]
    code = "import json; from jupyter_core.paths import *; print(json.dumps([jupyter_path(), jupyter_config_path()]))"
    for python in (sys.executable, "/usr/bin/python3"):
        if not Path(python).exists():
            continue
        import sysconfig

        lent = {"PYTHONPATH": sysconfig.get_path("purelib")} if python != sys.executable else {}
        done = subprocess.run([python, "-c", code], env=environ | lent, capture_output=True, text=True)
        if done.returncode:
            continue  # a Python of another version, which cannot import this one's packages
        data, config = json.loads(done.stdout)
        prefix = Path(sys.prefix) if python == sys.executable else Path("/usr")
        server = Server(prefix, "", environ)
        assert [str(one) for one in server.data_paths] == data
        assert [str(one) for one in server.config_paths] == config


def test_the_environment_of_a_command_is_that_of_its_first_line(tmp_path):
    (tmp_path / "env" / "bin").mkdir(parents=True)
    python = tmp_path / "env" / "bin" / "python3.12"
    python.write_text("")
    script = tmp_path / "local" / "bin" / "jupyter"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!{python}\nprint()\n")
    assert prefix_of(script) == tmp_path / "env"
    script.write_text("#!/bin/sh\nexec something\n")
    assert prefix_of(script) == tmp_path / "local"
    assert prefix_of(tmp_path / "nothing") is None
