"""Jupyter servers of our own: home, settings and kernels that are nobody's, and a front end of anywidget to choose."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DAY4 = ROOT / ".venv-day4" / "bin" / "python"
OLDER_FRONT_END = ROOT / ".venv" / "anywidget-0.9.21" / "share" / "jupyter" / "labextensions" / "anywidget"
# The newest of everything, as on a laptop, and the versions of the learners' cluster.
KERNELS = {"newest": Path(sys.executable), "day4": DAY4}
# What the server holds of anywidget: what this Python has, nothing, or another version than the kernel's.
FRONT_ENDS = ("same", "none", "older")
_START = 120  # seconds; two cores may be busy with other tests


def chromium() -> str | None:
    """A Chromium that is already on this machine; none is ever downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    there = [found for name in names if (found := shutil.which(name))]
    apple = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    return there[0] if there else str(apple) if apple.exists() else None


def surroundings(home: Path) -> dict[str, str]:
    """Environment variables with which Jupyter finds nothing of the person who runs the tests."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    return own | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONNOUSERSITE": "1",
        "BIOLLM_MODELS": "embedded",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


class Server:
    """One server that has JupyterLab under /lab and Notebook 7 under /notebooks.

    Parameters
    ----------
    home : Path
        An empty folder: the server's home, settings, kernels and, in `home/work`, its notebooks.
    front_end : {"same", "none", "older"}
        Which front end of anywidget it holds.
    """

    def __init__(self, home: Path, front_end: str = "same"):
        self.work = home / "work"
        self.work.mkdir(parents=True)
        self._log = home / "log.txt"
        config = home / "config"
        for name, python in KERNELS.items():
            argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            spec = {"argv": argv, "display_name": name, "language": "python"}
            _write(home / "data" / "kernels" / name / "kernel.json", spec)
        # What keeps the server busy while a notebook opens, and no test is about: news, updates, the list of export
        # formats, whether JupyterLab should be built anew, language servers.
        formats = ("notebook-extension:export", "notebook-extension:update-raw-mimetype")
        busy = ("apputils-extension:announcements", "extensionmanager-extension", "lsp-extension", *formats)
        disabled = {f"@jupyterlab/{name}": True for name in busy}
        page = {"disabledExtensions": disabled, "buildCheck": False, "buildAvailable": False}
        _write(config / "labconfig" / "page_config.json", page)
        extensions = [str(_extensions(home / "labextensions", front_end))]
        app = {"expose_app_in_browser": True, "labextensions_path": extensions, "extra_labextensions_path": []}
        unused = {"jupyter_lsp": False, "jupyter_server_terminals": False}
        settings = {
            "ServerApp": {"root_dir": str(self.work), "open_browser": False, "allow_root": True, "port": 0}
            | {"jpserver_extensions": unused},
            "IdentityProvider": {"token": ""},
            "LabApp": app,
            "JupyterNotebookApp": app,
        }
        _write(config / "jupyter_server_config.json", settings)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab"], env=surroundings(home), stdout=log, stderr=log
            )
        self._runtime = home / "runtime"

    @cached_property
    def url(self) -> str:
        """Where it listens, as it writes itself; the first to ask waits until it does."""
        end = time.monotonic() + _START
        while time.monotonic() < end and self._process.poll() is None:
            for file in self._runtime.glob("jpserver-*.json"):
                try:
                    port = json.loads(file.read_text())["port"]
                    socket.create_connection(("127.0.0.1", port), 5).close()
                except (ValueError, OSError):  # half written, or written before it listens
                    continue
                return f"http://127.0.0.1:{port}"
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"No Jupyter server within {_START} s:\n{self._log.read_text()[-3000:]}")

    def end(self) -> None:
        """Ask it to stop; `stop` waits until it has."""
        self._process.terminate()

    def stop(self) -> None:
        self.end()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _extensions(folder: Path, front_end: str) -> Path:
    """A folder of links to this Python's front-end extensions, with the chosen anywidget among them or none."""
    folder.mkdir()
    for extension in (Path(sys.prefix) / "share" / "jupyter" / "labextensions").iterdir():
        if extension.name == "@jupyter":
            (folder / extension.name).mkdir()
            for one in extension.iterdir():
                if one.name != "nbgrader":  # instructors have it, learners' servers do not
                    (folder / extension.name / one.name).symlink_to(one)
        elif extension.name != "anywidget":
            (folder / extension.name).symlink_to(extension)
        elif front_end == "same":
            (folder / "anywidget").symlink_to(extension)
    if front_end == "older":
        (folder / "anywidget").symlink_to(OLDER_FRONT_END)
    return folder
