"""What the package says it runs on: Python 3.10 and the cluster's versions, asked of whatever is here to answer."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Optional

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ["biollm_widgets", "training", "benchmarks", "docs"]
VERSIONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

# For a Python that may have none of our packages: what it can compile, which names of its library there are not, and
# what each of our modules says when it is imported.
QUESTIONS = r"""
import ast, importlib, json, sys
asked = json.load(sys.stdin)
sys.path.insert(0, asked["root"])
found = {"syntax": [], "names": [], "imported": [], "needs": {}, "broken": {}}
for path in asked["files"]:
    try:
        compile(open(path, encoding="utf-8").read(), path, "exec", dont_inherit=True)
    except SyntaxError as problem:
        found["syntax"].append(f"{path}:{problem.lineno} {problem.msg}")
for module, name, place in asked["names"]:
    try:
        home = importlib.import_module(module)
        if name and not hasattr(home, name):
            importlib.import_module(f"{module}.{name}")
    except ImportError:
        found["names"].append(f"{place}: there is no {module}{'.' * bool(name)}{name}")
for module in asked["modules"]:
    try:
        importlib.import_module(module)
        found["imported"].append(module)
    except ModuleNotFoundError as problem:
        if problem.name.split(".")[0] in sys.stdlib_module_names or problem.name.startswith("biollm_widgets"):
            found["broken"][module] = str(problem)
        else:
            found["needs"][module] = problem.name
    except Exception as problem:
        found["broken"][module] = f"{type(problem).__name__}: {problem}"
print(json.dumps(found))
"""


def sources(folders: list[str]) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def library_names(path: Path) -> list[tuple[str, str, str]]:
    """Each module of Python's library that a file imports, with each name that it takes from it and the place.

    What stands in a `try` may be missing, and what only another system has (msvcrt) is not asked for.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [part for node in ast.walk(tree) if isinstance(node, ast.Try) for part in node.body]
    tried = {inner for part in blocks for inner in ast.walk(part)}
    found: list[tuple[str, str, str]] = []
    called: dict[str, str] = {}
    for node in ast.walk(tree):
        if node in tried:
            continue
        place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            for alias in node.names:
                if ours(alias.name):
                    found.append((alias.name, "", place))
                    top = alias.name.split(".")[0]
                    called[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module and ours(node.module):
            found += [(node.module, alias.name, place) for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in called:
            found.append((called[node.value.id], node.attr, f"{path.relative_to(ROOT)}:{node.lineno}"))
    return found


def ours(module: str) -> bool:
    top = module.split(".")[0]
    return top in sys.stdlib_module_names and top not in {"msvcrt", "winreg", "_winapi", "__future__"}


@cache
def interpreter(version: str) -> Optional[str]:
    """A Python of this version: this one, one on the path, or one that pyenv has."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    places = [shutil.which(f"python{version}")]
    places += [str(path) for path in sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))]
    for place in filter(None, places):
        said = subprocess.run([place, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
        if said.stdout.strip() == str(tuple(map(int, version.split(".")))):  # a shim may stand for none
            return place
    return None


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_a_python_of_each_version_reads_every_module_and_has_what_it_takes_from_the_library(version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"There is no Python {version} here; vermin answers for 3.10 without it.")
    files = sources([*FOLDERS, "tests"])
    names = {(module, name): place for path in sources(FOLDERS) for module, name, place in library_names(path)}
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources(["biollm_widgets"])]
    asked = {
        "root": str(ROOT),
        "files": [str(path) for path in files],
        "names": [(module, name, place) for (module, name), place in names.items()],
        "modules": [name.removesuffix(".__init__") for name in modules],
    }
    # Without its packages: what is asked about is the source and Python's own library.
    done = subprocess.run(
        [python, "-I", "-S", "-c", QUESTIONS], input=json.dumps(asked), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(names) > 200 and len(files) > 200
    assert found["syntax"] == [] and found["names"] == [] and found["broken"] == {}
    assert {"biollm_widgets", "biollm_widgets.errors", "biollm_widgets.files"} <= set(found["imported"])


@pytest.mark.slow
def test_nothing_asks_for_more_than_python_3_10() -> None:
    program = shutil.which("vermin", path=str(Path(sys.executable).parent)) or shutil.which("vermin")
    if program is None:
        pytest.skip("vermin is not here (make test installs it).")
    # Of the package and what makes it; in tests it takes names of ours for Python 2's.
    done = subprocess.run(
        [program, "--no-tips", "--target=3.10-", "--violations", "--no-parse-comments", *FOLDERS[:2]],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


CLUSTER = {
    "transformers": "4.50.3",
    "ipykernel": "6.29.5",
    "scikit-learn": "1.6.1",
    "pandas": "2.2.3",
    "matplotlib": "3.10.1",
    "accelerate": "1.6.0",
    "jupyter": "1.1.1",
    "click": "8.1.8",
    "rich": "14.0.0",
}


def test_the_matrix_has_the_versions_of_the_cluster_and_the_package_allows_them() -> None:
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints-day4.txt").read_text(), re.MULTILINE))
    assert {name: pins.get(name) for name in CLUSTER} == CLUSTER
    text = (ROOT / "pyproject.toml").read_text()
    bounds = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', text))
    for name, pin in pins.items():
        if name in bounds:
            assert version_of(bounds[name]) <= version_of(pin), f"{name}: {bounds[name]} is asked for, {pin} is there"
    assert {"transformers", "accelerate", "scikit-learn"} <= bounds.keys()
    assert not re.search(r'"[\w-]+[^"]*(<|==|~=)', text.split("dependencies = [")[1].split("]")[0])  # no upper bounds


def version_of(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def test_a_name_that_3_10_does_not_have_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = interpreter("3.10")
    if old is None:
        pytest.skip("There is no Python 3.10 here.")
    (tmp_path / "new.py").write_text("import tomllib\nimport itertools\nfrom enum import StrEnum\nitertools.batched\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    names = library_names(tmp_path / "new.py")
    asked = {"root": str(tmp_path), "files": [], "names": names, "modules": []}
    done = subprocess.run([old, "-I", "-S", "-c", QUESTIONS], input=json.dumps(asked), capture_output=True, text=True)
    found = json.loads(done.stdout)["names"]
    assert [line.split("there is no ")[1] for line in found] == ["tomllib", "enum.StrEnum", "itertools.batched"]
