"""Which Jupyter servers there are, and in which folders each of them looks for front-end extensions.

The kernel may live in another environment than the server that shows its notebook (on a cluster: in a container), so
nothing that this Python can import says what the page has. What does is files: the server's runtime file
(`jpserver-<pid>.json`), its environment, and the folders of jupyter_core.paths.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.diagnosis.person import home
from biollm_widgets.diagnosis.probing import ask

PROC = Path("/proc")
SYSTEM_DATA = ("/usr/local/share/jupyter", "/usr/share/jupyter")
SYSTEM_CONFIG = ("/usr/local/etc/jupyter", "/etc/jupyter")
_SECONDS = 1.0  # for an answer of a server on this machine


@dataclass(frozen=True)
class Server:
    """One environment from which JupyterLab is or would be started.

    Attributes
    ----------
    prefix : Path
        Its `sys.prefix`; a folder with `share/jupyter` in it.
    how : str
        How it was found, as a noun for a sentence.
    environ : mapping
        The environment variables it runs with.
    url, token : str
        Where it listens; empty when it does not run.
    """

    prefix: Path
    how: str
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    url: str = ""
    token: str = field(default="", repr=False)

    @property
    def runs(self) -> bool:
        return bool(self.url)

    @property
    def own_data(self) -> Path:
        """Where its environment holds what pip brought for Jupyter."""
        return self.prefix / "share" / "jupyter"

    @cached_property
    def user_data(self) -> Path:
        """Where its user holds files for Jupyter (`jupyter_core.paths.jupyter_data_dir`)."""
        if self.environ.get("JUPYTER_DATA_DIR"):
            return Path(self.environ["JUPYTER_DATA_DIR"])
        if sys.platform == "darwin":
            return self._home / "Library" / "Jupyter"
        if os.name == "nt":
            return Path(self.environ.get("APPDATA") or self._home) / "jupyter"
        return Path(self.environ.get("XDG_DATA_HOME") or self._home / ".local" / "share") / "jupyter"

    @property
    def data_paths(self) -> list[Path]:
        """The folders with data for Jupyter, the first wins (`jupyter_core.paths.jupyter_path`)."""
        user = [self.user_data]
        if self._user_site:
            user.append(self._user_base / "share" / "jupyter")
        return self._ordered("JUPYTER_PATH", user, self.own_data, SYSTEM_DATA)

    @property
    def config_paths(self) -> list[Path]:
        """The folders with settings for Jupyter, the first wins (`jupyter_core.paths.jupyter_config_path`)."""
        user = [Path(self.environ.get("JUPYTER_CONFIG_DIR") or self._home / ".jupyter")]
        if self._user_site:
            user.append(self._user_base / "etc" / "jupyter")
        return self._ordered("JUPYTER_CONFIG_PATH", user, self.prefix / "etc" / "jupyter", SYSTEM_CONFIG)

    @property
    def python(self) -> Path:
        """The Python of its environment, there or not."""
        return self.prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def program(self) -> Path:
        """The command `jupyter` of its environment, there or not."""
        return self.python.with_name("jupyter")

    def version_of(self, package: str) -> Optional[str]:
        """The version of a Python package there, read off its folders: nothing of that environment is run."""
        places = sorted({str(one) for one in self.prefix.glob("lib*/python3*/*-packages")})
        if self.prefix == Path(sys.prefix):
            places = list(sys.path)
        elif self._user_site:
            places += [str(one) for one in self._user_base.glob("lib/python3*/site-packages")]
        found = next(iter(metadata.distributions(name=package, path=places)), None) if places else None
        return found.version if found is not None else None

    def serves(self, extension: str) -> Optional[str]:
        """The version of an extension that it answers with when asked; "" when it has none, None when it is silent.

        What the server itself says counts more than what its folders look like: settings may name other folders.
        """
        if not self.url:
            return None
        page = self._get(f"lab/extensions/{extension}/package.json")
        if isinstance(page, int):
            return "" if page == 404 and self._get("api/status") != 404 else None
        try:
            return str(json.loads(page)["version"])
        except (ValueError, KeyError, TypeError):
            return None  # a login page, most likely

    def _get(self, path: str) -> Any:
        """The text of a page, or the status that it was refused with; 0 without an answer."""
        request = urllib.request.Request(f"{self.url.rstrip('/')}/{path}")
        if self.token:
            request.add_header("Authorization", f"token {self.token}")
        try:
            # Never through a proxy: it is this machine.
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_SECONDS) as page:
                return page.read(1_000_000).decode("utf-8", "replace")
        except urllib.error.HTTPError as refused:
            return refused.code
        except (OSError, ValueError):
            return 0

    @property
    def _home(self) -> Path:
        return Path(self.environ.get("HOME") or home())

    @property
    def _user_base(self) -> Path:
        return Path(self.environ.get("PYTHONUSERBASE") or self._home / ".local")

    @cached_property
    def _in_venv(self) -> bool:
        return (self.prefix / "pyvenv.cfg").is_file()

    @property
    def _user_site(self) -> bool:
        if self.environ.get("PYTHONNOUSERSITE"):
            return False
        if not self._in_venv:
            return True
        text = (self.prefix / "pyvenv.cfg").read_text(errors="replace")
        return re.search(r"include-system-site-packages\s*=\s*true", text) is not None

    @property
    def _environment_first(self) -> bool:
        """As jupyter_core.paths.prefer_environment_over_user: asked for, or a virtual environment of one's own."""
        asked = self.environ.get("JUPYTER_PREFER_ENV_PATH")
        if asked is not None:
            return asked.lower() not in ("no", "n", "false", "off", "0", "0.0")
        conda = self.environ.get("CONDA_PREFIX")
        in_conda = (
            conda is not None
            and str(self.prefix).startswith(conda)
            and self.environ.get("CONDA_DEFAULT_ENV", "base") != "base"
        )
        return (self._in_venv or in_conda) and self._is_mine

    @property
    def _is_mine(self) -> bool:
        try:
            mine = not hasattr(os, "geteuid") or self.prefix.stat().st_uid == os.geteuid()
        except OSError:
            return False
        return mine and os.access(self.prefix, os.W_OK)

    def _ordered(self, variable: str, user: list[Path], own: Path, system: tuple[str, ...]) -> list[Path]:
        first = [Path(one) for one in self.environ.get(variable, "").split(os.pathsep) if one]
        mine = [own] if str(own) not in system else []
        middle = [*mine, *user] if self._environment_first else [*user, *mine]
        rest = [Path(one) for one in system] if os.name != "nt" else []
        return list(dict.fromkeys([*first, *middle, *rest]))


def all_servers() -> list[Server]:
    """Those that run, then this environment if JupyterLab is in it, then the one that `jupyter` on PATH is from."""
    found = list(running())
    here = Path(sys.prefix)
    if Server(here, "").version_of("jupyterlab") or Server(here, "").version_of("notebook"):
        found.append(Server(here, "the JupyterLab of this environment"))
    program = shutil.which("jupyter-lab") or shutil.which("jupyter")
    if program and (prefix := prefix_of(Path(program))) is not None:
        server = Server(prefix, f"the Jupyter that PATH finds ({program})")
        if server.version_of("jupyterlab") or server.version_of("notebook"):
            found.append(server)
    kept: dict[Any, Server] = {}
    for one in found:
        same = next((key for key in kept if key[0] == one.prefix), None)
        if same is None or one.runs:
            kept[(one.prefix, one.url)] = one
    return list(kept.values())


def running() -> Iterator[Server]:
    """The servers that this person runs, as their runtime files tell; a file whose process is gone is passed over."""
    from jupyter_core.paths import jupyter_runtime_dir

    for file in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            told = json.loads(file.read_text())
            pid, url = int(told["pid"]), str(told["url"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written
        if not url.startswith(("http://", "https://")) or not _alive(pid):
            continue
        words = _listed(pid, "cmdline") or (ask(["ps", "-p", str(pid), "-o", "command="]) or "").split()
        prefix = _prefix_of_python(words[0]) if words else None
        if prefix is None:
            continue
        environ = dict(entry.split("=", 1) for entry in _listed(pid, "environ") if "=" in entry) or dict(os.environ)
        yield Server(prefix, f"the JupyterLab that runs at {url}", environ, url, str(told.get("token") or ""))


def prefix_of(program: Path) -> Optional[Path]:
    """The environment of a script such as `jupyter`: its first line names the Python; else the folder above bin."""
    try:
        with program.open("rb") as opened:
            first = opened.readline(500).decode(errors="replace").strip()
    except OSError:
        return None
    named = first.removeprefix("#!").split()[0] if first.startswith("#!/") else ""
    if "python" in Path(named).name and Path(named).exists():
        return _prefix_of_python(named)
    return program.parent.parent


def _prefix_of_python(python: str) -> Optional[Path]:
    """`/venv` of `/venv/bin/python3`; the name is looked up on PATH where it is no path."""
    place = python if os.sep in python else shutil.which(python)
    if not place or not Path(place).is_absolute():
        return None
    return Path(os.path.normpath(place)).parent.parent


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0) if os.name != "nt" else None
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _listed(pid: int, what: str) -> list[str]:
    """A list of /proc: the command or the environment of a process; empty where there is none or it is another's."""
    try:
        text = (PROC / str(pid) / what).read_bytes().decode(errors="replace")
    except OSError:
        return []
    return [one for one in text.split("\0") if one]
