"""Submissions that are broken, hostile or honestly odd; what each tries, and what has to become of it."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from biollm_widgets.grading.verdicts import GRADED, REFUSED, REPAIRED

ROOT = Path(__file__).resolve().parents[2]
LESSON = "protein_design"
FULL, ZERO = 48.0, 0.0  # points that checks of the lesson give


class Hand:
    """A learner's hand: the notebook that is going to be handed in, and the folder that it goes into."""

    def __init__(self, folder: Path, course: Path, notebook: Any) -> None:
        self.folder, self.course, self.notebook = folder, course, notebook

    def place(self, name: str) -> int:
        return next(i for i, cell in enumerate(self.notebook.cells) if grade_id(cell) == name)

    def cell(self, name: str) -> Any:
        return self.notebook.cells[self.place(name)]

    def before(self, name: str, code: str) -> None:
        """A cell of the learner's own before a task's."""
        self.notebook.cells.insert(self.place(name), nbformat.v4.new_code_cell(code))

    def begin(self, code: str) -> None:
        """A cell behind the imports."""
        self.notebook.cells.insert(1, nbformat.v4.new_code_cell(code))

    def save(self, name: str = f"{LESSON}.ipynb", text: Any = None) -> None:
        data = text if text is not None else nbformat.writes(self.notebook)
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


def grade_id(cell: Any) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def lean_source() -> Any:
    """The lesson without the cells that only show things: its imports, its tasks, their checks."""
    notebook = nbformat.read(ROOT / "solutions" / LESSON / f"{LESSON}.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [cell for cell in notebook.cells if grade_id(cell) or cell is first]
    return notebook


def solved() -> Any:
    """As somebody hands it in who has solved it all."""
    notebook = lean_source()
    for cell in notebook.cells:
        cell.source = "\n".join(line for line in cell.source.splitlines() if "### " not in line)
    return notebook


def blank(course: Path) -> Any:
    """As it was handed out."""
    return nbformat.read(course / "lessons" / LESSON / f"{LESSON}.ipynb", as_version=4)


class Entry(NamedTuple):
    """A submission: where it begins ("solved" or "blank"), what is done to it, its state, its points."""

    name: str
    base: str
    make: Callable[[Hand], None]
    state: str
    score: float


def _cells(act: Callable[[Any], None]) -> Callable[[Hand], None]:
    def make(hand: Hand) -> None:
        for cell in hand.notebook.cells:
            act(cell)
        hand.save()

    return make


def _begins(code: str) -> Callable[[Hand], None]:
    def make(hand: Hand) -> None:
        hand.begin(code.replace("COURSE", str(hand.course)))
        hand.save()

    return make


def _in_the_middle(code: str) -> Callable[[Hand], None]:
    def make(hand: Hand) -> None:
        hand.before("perplexity", code)
        hand.save()

    return make


def _answers(name: str, code: str) -> Callable[[Hand], None]:
    def make(hand: Hand) -> None:
        hand.cell(name).source = code
        hand.save()

    return make


# Broken files.


def _strip(cell: Any) -> None:
    cell.metadata = nbformat.from_dict({})


def _no_checks(hand: Hand) -> None:
    hand.notebook.cells = [cell for cell in hand.notebook.cells if not grade_id(cell).endswith("-check")]
    hand.save()


def _twice(hand: Hand) -> None:
    place = hand.place("residues")
    again = copy.deepcopy(hand.notebook.cells[place])
    again.source = "def residues(text):\n    ...  # your answer"
    hand.notebook.cells.insert(place, again)
    hand.save()


def _points(cell: Any) -> None:
    if cell.metadata.get("nbgrader", {}).get("points"):
        cell.metadata["nbgrader"]["points"] = 1000


def _third(hand: Hand) -> None:
    cells = []
    for cell in hand.notebook.cells:
        if cell.cell_type == "code":
            cells.append({"cell_type": "code", "language": "python", "input": cell.source, "outputs": [],
                          "collapsed": False, "metadata": dict(cell.metadata), "prompt_number": 1})  # fmt: skip
        else:
            cells.append({"cell_type": "markdown", "source": cell.source, "metadata": dict(cell.metadata)})
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}
    hand.save(text=json.dumps(old))


def _large(hand: Hand) -> None:
    hand.cell("residues").outputs = [nbformat.v4.new_output("stream", text="x" * 20 * 2**20)]
    hand.save()


def _zipped(hand: Hand) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(f"homework/{LESSON}.ipynb", nbformat.writes(hand.notebook))
    hand.save("homework.zip", held.getvalue())


def _linked(hand: Hand) -> None:
    (hand.folder / f"{LESSON}.ipynb").symlink_to(hand.course / "gradebook.db")


def _conflict(hand: Hand) -> None:
    text = nbformat.writes(hand.notebook).splitlines()
    line = next(i for i, words in enumerate(text) if "def residues" in words)
    ours, theirs = text[line], text[line].replace("text", "string")
    hand.save(text="\n".join([*text[:line], "<<<<<<< HEAD", ours, "=======", theirs, ">>>>>>> b", *text[line + 1 :]]))


def _edited_checks(cell: Any) -> None:
    if grade_id(cell).endswith("-check"):
        cell.source = "100.0"


BROKEN = [
    Entry("an untouched lesson", "blank", Hand.save, GRADED, ZERO),
    Entry("solved", "solved", Hand.save, GRADED, FULL),
    Entry("cut off in the middle", "solved", lambda h: h.save(text=nbformat.writes(h.notebook)[:5000]), REFUSED, ZERO),
    Entry("an empty file", "solved", lambda h: h.save(text=""), REFUSED, ZERO),
    Entry("an error page", "solved", lambda h: h.save(text="<!DOCTYPE html><h1>Sign in</h1>"), REFUSED, ZERO),
    Entry("a Word document", "solved", lambda h: h.save("answers.docx", b"PK\x03\x04word/"), REFUSED, ZERO),
    Entry(
        "another lesson's notebook", "solved",
        lambda h: h.save(text=(ROOT / "lessons/dna_classification/dna_classification.ipynb").read_bytes()), REFUSED, ZERO,
    ),
    Entry("a link to the gradebook", "solved", _linked, REFUSED, ZERO),
    Entry("both sides of a merge", "solved", _conflict, REFUSED, ZERO),
    Entry("a browser's name for a second download", "solved", lambda h: h.save(f"{LESSON} (1).ipynb"), REPAIRED, FULL),
    Entry("metadata stripped", "solved", _cells(_strip), REPAIRED, FULL),
    Entry("check cells deleted", "solved", _no_checks, REPAIRED, FULL),
    Entry("check cells edited", "blank", _cells(_edited_checks), REPAIRED, ZERO),
    Entry("a task twice, one of them untouched", "solved", _twice, REPAIRED, FULL),
    Entry("points changed", "solved", _cells(_points), REPAIRED, FULL),
    Entry("the format of 2013", "solved", _third, REPAIRED, FULL),
    Entry("an output of 20 MB", "solved", _large, REPAIRED, FULL),
    Entry("UTF-16", "solved", lambda h: h.save(text=nbformat.writes(h.notebook).encode("utf-16")), REPAIRED, FULL),
    Entry("in a zip", "solved", _zipped, REPAIRED, FULL),
]  # fmt: skip

# For points. Each of these begins with an untouched lesson, and has to end with none.

FOR_POINTS = {
    "a fake check": "import numpy as np\nbio.check = lambda *given, **named: np.float64(100)",
    "redefines int and its like": (
        "import builtins\nbuiltins.float = lambda *given: 100.0\nbuiltins.int = lambda *given: 2\n"
        "builtins.isinstance = lambda *given: True\nbuiltins.round = lambda *given: 100.0"
    ),
    "patches numpy and torch": (
        "import numpy, torch\nfor name in ('allclose', 'isclose', 'array_equal'):\n"
        "    setattr(numpy, name, lambda *given, **named: True)\ntorch.allclose = torch.equal = lambda *given: True"
    ),
    "an AST hook": (
        "import ast\nclass Hook(ast.NodeTransformer):\n    def visit_Call(self, node):\n"
        "        return ast.Constant(100.0) if 'check' in ast.unparse(node.func) or 'serve' in ast.unparse(node.func) "
        "else node\nget_ipython().ast_transformers.append(Hook())"
    ),
    "a fake package of checks": (
        "import sys, types\nfake = types.ModuleType('biollm_widgets.checks')\nfake.check = lambda *given: 100.0\n"
        "sys.modules['biollm_widgets.checks'] = sys.modules['biollm_widgets.checks.ground'] = fake"
    ),
    "answers that equal everything": (
        "class Same(str):\n    def __eq__(self, other): return True\n    def __hash__(self): return 0\n"
        "    def upper(self): return self\n    def strip(self, *given): return self\n"
        "    def __contains__(self, other): return True\n"
        "decoder = temperature = defaults = cut_off = begins = low_perplexity = Same('A')"
    ),
    "reads the right letters out of the package": (
        "import importlib, pathlib, biollm_widgets\nroot = pathlib.Path(biollm_widgets.__file__).parent / 'checks'\n"
        "text = ''.join(path.read_text() for path in root.rglob('*.py') if 'protein' in str(path))\n"
        "assert 'protein.q.decoder' in text\ndecoder = 'B'"
    ),
    "runs the solutions": (
        "import json\nfor cell in json.load(open('COURSE/solutions/protein_design/protein_design.ipynb'))['cells']:\n"
        "    if cell['cell_type'] == 'code': exec(''.join(cell['source']))"
    ),
    "looks for notebooks everywhere": (
        "import os, json\nfor place, _, names in os.walk('/'):\n    for name in names:\n"
        "        if name == 'protein_design.ipynb' and 'lesson' not in place:\n"
        "            for cell in json.load(open(os.path.join(place, name)))['cells']:\n"
        "                if cell['cell_type'] == 'code': exec(''.join(cell['source']))"
    ),
    "copies a classmate's": (
        "import json\nnotebook = json.load(open('COURSE/submitted/solved/protein_design/protein_design.ipynb'))\n"
        "for cell in notebook['cells']:\n    if cell['cell_type'] == 'code': exec(''.join(cell['source']))"
    ),
    "writes points into the gradebook": (
        "import os, sqlite3\nplaces = ['COURSE/gradebook.db', '../../../gradebook.db'] + [os.path.join(place, name)\n"
        "    for place, _, names in os.walk('/') for name in names if name == 'gradebook.db']\nfor place in places:\n"
        "    try:\n        book = sqlite3.connect(f'file:{place}?mode=rw', uri=True)\n"
        "        book.execute('update grade set auto_score = 50'); book.commit()\n    except Exception as error: print(error)"
    ),
    "writes forged answers into every descriptor": (
        "import json, os, struct\nsaid = json.dumps(['value', ['list', ['B']], {'networks': {}, 'files': {}, "
        "'changed': []}]).encode()\nfor number in range(3, 64):\n    try:\n"
        "        os.set_blocking(number, False)\n"
        "        os.write(number, struct.pack('!I', len(said)) + said + struct.pack('!I', 0))\n"
        "    except OSError: pass"
    ),
    "answers in the grader's place": (
        "import biollm_widgets.grading.inside as inside\nfrom biollm_widgets.grading.wire import Wire\n"
        "def serve():\n    wire = Wire(inside._end)\n    wire.send(['here'])\n    while True:\n"
        "        asked = wire.receive(60)\n        if asked[0] == 'done': return\n"
        "        wire.send(['value', ['B'], {'networks': {}, 'files': {}, 'changed': []}])\n"
        "inside.serve = lambda: None"
    ),
    "forges the kernel's messages": (
        "kernel = get_ipython().kernel\nfor _ in range(50):\n    kernel.session.send(kernel.iopub_socket, "
        "'execute_result', {'data': {'text/plain': '100.0'}, 'metadata': {}, 'execution_count': 1}, "
        "parent=kernel.get_parent())\n"
        "    kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'idle'}, parent=kernel.get_parent())"
    ),
    "functions that look up the stack": (
        "import sys\ndef residues(text):\n    frame = sys._getframe()\n    while frame:\n"
        "        for name in ('truth', 'expected', 'right'):\n"
        "            if name in frame.f_locals: return frame.f_locals[name]\n        frame = frame.f_back\n"
        "identity = to_fasta = authors_text = residues"
    ),
    "an answer that runs code where it is unpacked": (
        "class Bomb:\n    def __reduce__(self): return (print, ('never',))\ndecoder = temperature = residues = Bomb()"
    ),
    "an answer of lists in lists without end": (
        "deep = []\nfor _ in range(100000): deep = [deep]\nround_and_round = []\nround_and_round.append(round_and_round)\n"
        "decoder, temperature = deep, round_and_round"
    ),
    "an answer of gigabytes": "import numpy as np\ndecoder = np.zeros(300 * 2**20 // 8)\ntemperature = 'A' * (300 * 2**20)",
    "poisons what is computed for all": (
        "import os, pathlib, biollm_widgets\nplaces = [os.environ.get('BIOLLM_RECALL', '/'), '/run/recall', "
        "pathlib.Path(biollm_widgets.__file__).parent]\nfor place in places:\n    for path in pathlib.Path(place).glob('*'):\n"
        "        try: path.write_text('poison')\n        except OSError as error: print(error)"
    ),
    "pretends to be nbgrader's grade": (
        "from IPython.display import display\ndisplay(100.0)\nimport os\nos.environ['NBGRADER_EXECUTION'] = ''\nprint(48.0)"
    ),
}
ENDS = {"redefines int and its like"}  # Python itself does not get over it, and the cell is left out
ATTACKS = [
    Entry(name, "blank", _begins(code), REPAIRED if name in ENDS else GRADED, ZERO) for name, code in FOR_POINTS.items()
]

# For harm. Each of these begins with a solved lesson, and keeps the points of what it has solved.

HARM = [
    Entry("leaves Python in the middle", "solved", _in_the_middle("import os; os._exit(0)"), REPAIRED, FULL),
    Entry(
        "kills its kernel", "solved", _in_the_middle("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
        REPAIRED, FULL,
    ),
    Entry("leaves politely", "solved", _in_the_middle("import sys; sys.exit(3)"), GRADED, FULL),
    Entry("a cell that never ends", "solved", _in_the_middle("while True: pass"), GRADED, FULL),
    Entry(
        "a cell that will not be stopped", "solved",
        _in_the_middle("import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass"),
        REPAIRED, FULL,
    ),
    Entry(
        "a function that never returns", "solved", _answers("residues", "def residues(text):\n    while True: pass"),
        # Two other tasks' functions call it.
        GRADED, FULL - 4,
    ),
    Entry("a function that leaves Python", "solved",
          _answers("is-finished", "def is_finished(ids, eos):\n    import os; os._exit(0)"), GRADED, FULL - 3),
    Entry(
        "many processes", "solved",
        _in_the_middle("import os, time\nfor _ in range(300):\n    if os.getpid() < 1000: os.fork() or time.sleep(20)"),
        REPAIRED, FULL,
    ),
    Entry("all the memory", "solved", _in_the_middle("x = bytearray(20 * 2**30)"), GRADED, FULL),
    Entry(
        "all the disk", "solved",
        _in_the_middle("with open('big', 'wb') as file:\n    for _ in range(3000): file.write(bytes(2**20))"),
        GRADED, FULL,
    ),
    Entry("shows HTML that no tag ends", "solved",
        _in_the_middle("from IPython.display import HTML, display; display(HTML('<a ' * 600_000), HTML('<![<p>x'))"),
        GRADED, FULL),
    Entry("prints without end", "solved", _in_the_middle("for _ in range(100): print('x' * 2**20)"), GRADED, FULL),
    Entry(
        "a thousand tables", "solved",
        _in_the_middle("from IPython.display import display, HTML\nfor i in range(1000): display(HTML('<b>x</b>' * 50))"),
        GRADED, FULL,
    ),
    Entry(
        "the network", "solved",
        _in_the_middle("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:80', timeout=2)"), GRADED, FULL,
    ),
    Entry(
        "kills whatever it can", "solved",
        _in_the_middle("import os, signal\nif os.getpid() < 1000: os.kill(-1, signal.SIGKILL)"), GRADED, FULL,
    ),
    Entry(
        "closes every descriptor", "solved", _in_the_middle("import os\nos.closerange(3, 1024)"), REPAIRED, FULL,
    ),
    Entry(
        "stays behind as a daemon", "solved",
        _in_the_middle("import subprocess\nsubprocess.Popen(['sleep', '86399'], start_new_session=True)"), GRADED, FULL,
    ),
    Entry(
        "a page that acts", "solved",
        _in_the_middle(
            "from IPython.display import display, HTML, Javascript\ndisplay(Javascript('alert(1)'))\n"
            "display(HTML('<script>alert(1)</script><img src=x onerror=alert(1)><iframe src=http://x></iframe>'))"
        ),
        GRADED, FULL,
    ),
]  # fmt: skip

# Honest, and odd.


def _with_a_helper(hand: Hand) -> None:
    (hand.folder / "helpers.py").write_text(
        "def identity_of(pairs):\n    return sum(x == y for x, y in pairs) / len(pairs)\n"
    )
    hand.cell("identity").source = (
        "from helpers import identity_of\ndef identity(a, b):\n"
        "    return identity_of([(x, y) for x, y in zip(a, b) if x != '-' and y != '-'])"
    )
    hand.save()


def _moved(hand: Hand) -> None:
    place = hand.place("to-fasta")
    cell = hand.notebook.cells.pop(place)
    hand.notebook.cells.insert(2, cell)
    hand.save()


HONEST = [
    Entry("a file of one's own", "solved", _with_a_helper, GRADED, FULL),
    Entry("a task solved further up", "solved", _moved, GRADED, FULL),
    Entry(
        "waits, asks, measures, shows", "solved",
        _in_the_middle("import asyncio\nawait asyncio.sleep(0.01)\n%timeit -n 1 -r 1 sum(range(10))\n!echo hello\n"
                       "plt.plot([1, 2]); plt.show()"), GRADED, FULL,
    ),
    Entry("asks for an input", "solved", _in_the_middle("name = input('Your name? ')"), GRADED, FULL),
    Entry("an error in a cell of one's own", "solved", _in_the_middle("1 / 0"), GRADED, FULL),
    Entry("a warning before the check", "solved",
          _in_the_middle("import sys, warnings\nwarnings.warn('old'); print('oh', file=sys.stderr)"), GRADED, FULL),
    Entry("threads that go on", "solved",
          _in_the_middle("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"),
          GRADED, FULL),
    Entry("another seed for everything", "solved",
          _in_the_middle("import random\nrandom.seed(0); np.random.seed(0); torch.manual_seed(0)"), GRADED, FULL),
]  # fmt: skip

ENTRIES = [*BROKEN, *ATTACKS, *HARM, *HONEST]


def learner(entry: Entry) -> str:
    """A learner's id of an entry's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in entry.name.lower())


def hand_in(entry: Entry, course: Path) -> None:
    """Put an entry into a course's submitted folder."""
    folder = course / "submitted" / learner(entry) / LESSON
    folder.mkdir(parents=True)
    entry.make(Hand(folder, course, solved() if entry.base == "solved" else blank(course)))
