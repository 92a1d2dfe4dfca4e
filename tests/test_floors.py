"""The package is built in floors, and imports run down only."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "biollm_widgets"

# From the ground up. Rooms of one floor do not know each other; a room imports from its own and from floors below.
FLOORS = [
    ["errors", "news"],
    ["files", "pictures", "recall", "scores"],
    ["kernels", "lessons", "sequences"],
    ["slurm", "tokenization"],
    ["models"],
    ["runs"],
    ["dna", "protein"],
    ["checks"],
    ["widgets", "grading"],
    ["diagnosis"],
    ["commands"],
    ["cli"],
    [""],  # the package itself: its lazy public names reach every floor, so no floor asks it for one
]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def name_of(path: Path, package: Path) -> str:
    """The dotted name below the package: "" for the package itself, "dna.splits" for dna/splits.py."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(package: Path = PACKAGE) -> dict[str, Path]:
    return {name_of(path, package): path for path in sorted(package.rglob("*.py"))}


def imported(path: Path, package: Path = PACKAGE, only_when_loaded: bool = False) -> Iterator[tuple[int, str]]:
    """Line and dotted name (below the package) of each module or public name that a file imports from the package.

    With `only_when_loaded`, what functions import when they are called, and what is there for type checkers, is left
    out.
    """
    known = modules(package)
    prefix = package.name
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    passed_over: set[ast.AST] = set()
    if only_when_loaded:
        for node in ast.walk(tree):
            later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            if later or typing_only:
                passed_over.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in passed_over:
            continue
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                here = [prefix, *path.relative_to(package).with_suffix("").parts][: -node.level]
                start = ".".join([*here, *([start] if start else [])])
            for alias in node.names:
                whole = f"{start}.{alias.name}"
                below = whole.removeprefix(f"{prefix}.")
                found.append(whole if start == prefix or below in known else start)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found = [
                text.value.rstrip(".")
                for text in ast.walk(node.args[0])
                if isinstance(text, ast.Constant) and isinstance(text.value, str)
            ]
        for name in found:
            if name == prefix:
                yield node.lineno, ""
            elif name.startswith(f"{prefix}."):
                below = name.removeprefix(f"{prefix}.")
                # A public name that the package itself hands out comes from the very top.
                yield node.lineno, below if below.split(".")[0] in HEIGHT or below in known else ""


def climbs(package: Path = PACKAGE) -> list[str]:
    """Every import that goes up, or from one room of a floor into the next, as a sentence."""
    wrong = []
    for name, path in modules(package).items():
        room = name.split(".")[0]
        if room not in HEIGHT:
            wrong.append(f"{path.name}: {room} has no floor yet; give it one in tests/test_floors.py.")
            continue
        for line, target in imported(path, package):
            other = target.split(".")[0]
            if other not in HEIGHT:
                wrong.append(f"{path.relative_to(package)}:{line} imports {target}, which has no floor yet.")
            elif other != room and HEIGHT[other] >= HEIGHT[room]:
                wrong.append(f"{path.relative_to(package)}:{line} imports {target or 'the package itself'}.")
    return wrong


def cycle(package: Path = PACKAGE) -> list[str]:
    """Modules that need each other to be loaded, in a ring; empty when there is none."""
    known = modules(package)
    graph = {}
    for name, path in known.items():
        needs = {target for _, target in imported(path, package, only_when_loaded=True) if target in known}
        graph[name] = needs - {name, ""}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as ring:
        return ring.args[1]
    return []


def test_no_import_goes_up() -> None:
    assert climbs() == []


def test_no_modules_need_each_other() -> None:
    assert cycle() == []


BROKEN = {
    "up": ("dna/a.py", "def f():\n    from biollm_widgets.commands import embed\n", "dna/a.py:2 imports commands"),
    "up, relative": ("models/a.py", "from ..dna import splits\n", "models/a.py:1 imports dna"),
    "up, by name": ("models/a.py", "import_module(f'biollm_widgets.dna.{x}')\n", "models/a.py:1 imports dna"),
    "across": ("dna/a.py", "import biollm_widgets.protein.scoring\n", "dna/a.py:1 imports protein.scoring"),
    "the lazy names": ("dna/a.py", "from biollm_widgets import locate\n", "dna/a.py:1 imports the package itself"),
    "a new room": ("attic/a.py", "", "attic has no floor yet"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_rule_sees_an_import_that_goes_wrong(case: str, tmp_path: Path) -> None:
    place, code, complaint = BROKEN[case]
    package = tmp_path / "biollm_widgets"
    file = package / place
    file.parent.mkdir(parents=True)
    file.write_text(code)
    [found] = climbs(package)
    assert complaint in found


def test_the_rule_lets_good_imports_pass_and_sees_a_ring(tmp_path: Path) -> None:
    package = tmp_path / "biollm_widgets"
    (package / "dna").mkdir(parents=True)
    (package / "dna" / "__init__.py").write_text("from biollm_widgets.dna.a import x\n")
    (package / "dna" / "a.py").write_text(
        "from ..errors import InputError\nfrom . import b\nimport biollm_widgets.models\n"
    )
    (package / "dna" / "b.py").write_text("def f():\n    from biollm_widgets.dna import a\n")
    assert climbs(package) == []
    assert cycle(package) == []
    (package / "dna" / "b.py").write_text("from biollm_widgets.dna import a\n")
    assert set(cycle(package)) >= {"dna.a", "dna.b"}


def sources() -> list[Path]:
    folders = ["biollm_widgets", "training", "benchmarks", "tests"]
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_module_is_written_for_python_3_10() -> None:
    paths = sources()
    assert len(paths) > 20
    for path in paths:
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 10))


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after running the code."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


HEAVY = {"torch", "transformers", "tokenizers", "pandas", "sklearn", "matplotlib", "IPython", "ipywidgets"}
HELP = "import biollm_widgets.cli\ntry: biollm_widgets.cli.run(['--help'])\nexcept SystemExit: pass"
LIGHT = {
    "the package": ("import biollm_widgets", HEAVY | {"numpy"}),
    "sequences": ("import biollm_widgets.sequences", HEAVY),
    "biollm --help": (HELP, HEAVY | {"numpy"}),
}


@pytest.mark.parametrize("case", LIGHT)
def test_loads_nothing_heavy(case: str) -> None:
    code, heavy = LIGHT[case]
    loaded = loaded_by(code)
    assert "biollm_widgets" in loaded
    assert loaded & heavy == set()


@pytest.mark.slow
def test_everything_below_the_widgets_loads_without_jupyter() -> None:
    names = [
        "biollm_widgets" + (f".{name}" if name else "")
        for name in modules()
        if HEIGHT[name.split(".")[0]] < HEIGHT["widgets"] or name.split(".")[0] in ("diagnosis", "commands", "cli", "")
    ]
    code = "import sys\nfrom importlib import import_module\n"
    code += "for name in ('IPython', 'ipywidgets', 'anywidget', 'jupyterlab', 'notebook', 'nbgrader'):\n"
    code += "    sys.modules[name] = None  # importing it now fails, as where it is not installed\n"
    code += f"for name in {names}: import_module(name)"
    assert "torch" in loaded_by(code)
