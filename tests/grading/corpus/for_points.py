"""Submissions that want points for what they have not solved. None of them gets one more."""

from __future__ import annotations

from tests.grading.corpus.hand import DNA, GRADED, Entry, Hand, answers, cell, made

# FACTS "nbgrader": each of these scores, as the last value of a check's cell, is full credit there.
SCORES = {
    "np.float64(0.5)": "numpy.float64(0.5)",
    "True": "True",
    "None": "None",
    "a tensor": "torch.tensor(0.5)",
    "nan": "float('nan')",
    "-1": "-1",
    "more than there is": "100.0",
}
_FAKE = """
import numpy, torch
import biollm_widgets, biollm_widgets.checks
for place in (bio, biollm_widgets, biollm_widgets.checks):
    place.check = lambda *given, **named: SCORE
"""
SCORED = [
    cell(f"a check that gives {name}", f"Has bio.check give {name}.", _FAKE.replace("SCORE", code), base="blank")
    for name, code in SCORES.items()
]


# The notebook says something else than the lesson.


def _more_in_a_check(hand: Hand) -> None:
    hand.cell("perplexity-check").source = "bio.check = lambda *given: 100.0\n" + hand.cell("perplexity-check").source
    hand.save()


def _easier_check(hand: Hand) -> None:
    hand.cell("perplexity-check").source = 'bio.check("protein.q.decoder", "B")'
    hand.save()


def _odd_points(hand: Hand) -> None:
    marks = [one.metadata["nbgrader"] for one in hand.notebook.cells if "points" in one.metadata.get("nbgrader", {})]
    for number, mark in enumerate(marks):
        mark["points"] = (-1, "many", float("nan"), [9], True, 10**400)[number % 6]
    hand.save()


def _unlocked(hand: Hand) -> None:
    for one in hand.notebook.cells:
        mark = one.metadata.get("nbgrader")
        if mark and not mark.get("solution"):
            mark.update(grade=False, locked=False, solution=True)
    hand.save()


def _swapped(hand: Hand) -> None:
    one, other = hand.cell("residues").metadata["nbgrader"], hand.cell("identity").metadata["nbgrader"]
    one["grade_id"], other["grade_id"] = other["grade_id"], one["grade_id"]
    hand.save()


def _stored_scores(hand: Hand) -> None:
    for one in hand.notebook.cells:
        worth = one.metadata.get("nbgrader", {}).get("points")
        if worth and one.cell_type == "code":
            text = {"text/plain": [f"{float(worth)}"]}
            one["execution_count"] = 1
            one["outputs"] = [
                {"output_type": "stream", "name": "stdout", "text": ["✓ full points\n"]},
                {"output_type": "execute_result", "execution_count": 1, "data": text, "metadata": {}},
            ]
    hand.save()


def _foreign_tasks(hand: Hand) -> None:
    """Tasks that the lesson does not have, with points of their own."""
    for number in range(3):
        hand.insert(len(hand.notebook.cells), 'bio.check("dna.q.whole", "B")')
        mark = {"grade": True, "grade_id": f"bonus-{number}", "locked": True, "points": 50, "schema_version": 3}
        hand.notebook.cells[-1].metadata["nbgrader"] = {**mark, "solution": False, "task": False}
    hand.save()


def _other_kernel(hand: Hand) -> None:
    hand.notebook.metadata["kernelspec"] = {"name": "../../../evil", "display_name": "evil", "language": "bash"}
    hand.notebook.metadata["biollm"] = hand.notebook.metadata["score"] = 48.0
    hand.save()


NOTEBOOK = [
    made("more in a check's cell", "Replaces bio.check in the very cell of a check.", _more_in_a_check),
    made("an easier check in its place", "Has a hard task judged by the check of an easy one.", _easier_check),
    made("points that are no numbers", "Changes points to -1, a text, nan, a list, a truth value.", _odd_points),
    made("check cells unlocked", "Turns the marks of all checks into those of solutions.", _unlocked),
    made("two tasks' names swapped", "Swaps the names of two solutions' cells.", _swapped),
    made("scores among the stored outputs", "Stores full points as what the checks gave.", _stored_scores, GRADED),
    made("tasks that the lesson has not", "Adds checks of its own with 50 points each.", _foreign_tasks, GRADED),
    made("another kernel", "Names a kernel and a score of its own in the notebook's metadata.", _other_kernel, GRADED),
]


# The learner's Python does something else than it should.

_AFTER = ("identity",)  # of what is solved, all that comes behind the middle
PYTHON = [
    cell(
        "overrides run_cell", "Has IPython run nothing any more; what comes behind cannot be judged.",
        "shell = get_ipython()\nreal = shell.run_cell_async\n"
        "async def run(*given, **named):\n    return await real('100.0', transformed_cell='100.0')\n"
        "shell.run_cell_async = run\nshell.should_run_async = lambda *given, **named: True", "middle", lost=_AFTER,
    ),
    cell(
        "rewrites the text of cells", "Has every later cell be the number 100; what comes behind cannot be judged.",
        "get_ipython().input_transformers_cleanup.append(lambda lines: ['100.0\\n'])", "middle", lost=_AFTER,
    ),
    cell(
        "an import hook", "Has imports give another grader; what comes behind cannot be judged.",
        "import builtins, types\nreal = builtins.__import__\n"
        "def fake(name, *given, **named):\n"
        "    if name.startswith('biollm_widgets.grading'):\n"
        "        return types.SimpleNamespace(serve=lambda: 100.0)\n"
        "    return real(name, *given, **named)\nbuiltins.__import__ = fake", "middle", lost=_AFTER,
    ),
    cell(
        "a finder of modules", "Puts a finder before Python's own, and forgets the checks that were imported.",
        "import sys, types\nclass Finder:\n    @staticmethod\n    def find_spec(name, *given):\n"
        "        if 'checks' in name: print('asked for', name)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "for name in [one for one in sys.modules if one.startswith('biollm_widgets.checks')]:\n"
        "    sys.modules[name] = types.ModuleType(name)", base="blank",
    ),
    cell(
        "a trace function", "Looks at every call for a local variable with the truth.",
        "import sys\nseen = []\ndef look(frame, event, given):\n"
        "    seen.extend(frame.f_locals[name] for name in ('truth', 'right', 'expected') if name in frame.f_locals)\n"
        "sys.settrace(look); sys.setprofile(look)",
    ),
    cell(
        "patches the checks' ground", "Replaces run, Result, Case and the comparing of numbers by what always agrees.",
        "import biollm_widgets.checks as checks, biollm_widgets.checks.ground as ground\n"
        "good = ground.Result('x', 100, 1.0)\nground.run = checks.run = lambda *given, **named: good\n"
        "ground.close = ground.among = lambda *given: True\n"
        "ground.Case.need = ground.Case.match = lambda *given: None\n"
        "ground.Result.score = 100.0", base="blank",
    ),
    cell(
        "patches everything that reads arrays", "Has numpy.asarray, numpy.load and json.dumps give what is wanted.",
        "import json, numpy\nreal = json.dumps\n"
        "json.dumps = lambda value, **named: real(value, **named).replace('[\"...\"]', '\"Z\"')\n"
        "numpy.asarray = numpy.array", base="blank",
    ),
    cell(
        "searches the memory for the answers", "Looks through all objects of Python for the checks with their letters.",
        "import gc\nfor one in gc.get_objects():\n    try:\n        name, inner = one.name, one.judge.__closure__\n"
        "        if name.startswith('protein.q.'): print('REACHED', name, [cell.cell_contents for cell in inner])\n"
        "    except Exception: pass", base="blank",
    ),
    cell(
        "reads the checks' sources", "Asks inspect, importlib and the cached bytecode for the right letters.",
        "import glob, importlib, inspect, os, biollm_widgets\n"
        "for name in ('protein.questions', 'protein.sampling', 'dna.questions'):\n    try:\n"
        "        text = inspect.getsource(importlib.import_module(f'biollm_widgets.checks.{name}'))\n"
        "        print('REACHED', len(text))\n    except Exception as error: print(type(error).__name__)\n"
        "root = os.path.dirname(biollm_widgets.__file__) + '/checks/'\n"
        "for path in glob.glob(root + 'protein/**', recursive=True) + glob.glob(root + 'dna/**', recursive=True):\n"
        "    if os.path.isfile(path): print('REACHED', path)", base="blank",
    ),
    cell(
        "reads the tests of the checks", "Looks beside the package for tests, solutions and the project's history.",
        "import os, pathlib, biollm_widgets\nroot = pathlib.Path(biollm_widgets.__file__).parents[1]\n"
        "for name in ('tests', 'solutions', '.git', 'lessons', 'shared'):\n"
        "    for path in (root / name, root.parent / name):\n"
        "        if path.exists() and (path / 'checks').exists() | (name in ('solutions', '.git')):\n"
        "            print('REACHED', path)", base="blank",
    ),
    cell(
        "asks the grader's own parts for a score", "Calls the grader in its own process and has it write a verdict.",
        "try:\n    from biollm_widgets.grading.course import Course\n    from biollm_widgets.grading.verdicts import "
        "Task, Verdict, save\n    course = Course('@COURSE@')\n"
        "    save(Verdict('me', '@LESSON@', tasks=[Task('x', 'y', 100, 100.0)]), course.record('@LESSON@', 'me'))\n"
        "    print('REACHED')\nexcept Exception as error: print(error)", base="blank",
    ),
    cell(
        "shouts into the channel", "A thread writes garbage to the grader as long as it can; nothing can be judged.",
        "import threading, time\nfrom biollm_widgets.grading import inside\ndef shout():\n    while True:\n"
        "        try: inside._end.send(b'\\xff' * 64)\n        except OSError: return\n        time.sleep(0.01)\n"
        "threading.Thread(target=shout, daemon=True).start()", base="blank",
    ),
    cell(
        "looks at its descriptors", "Names all that is open, and opens it again by its number.",
        "import os\nfor name in os.listdir('/proc/self/fd'):\n    try:\n"
        "        to = os.readlink(f'/proc/self/fd/{name}')\n        print(name, to)\n"
        "        if '.db' in to or 'solutions' in to or '@COURSE@' in to: print('REACHED', to)\n"
        "        os.close(os.open(f'/proc/self/fd/{name}', os.O_RDONLY | os.O_NONBLOCK))\n"
        "    except OSError as error: print(error)",
    ),
    cell(
        "every cell shows its value", "Has IPython show the value of every line, and writes its own in a hook.",
        "get_ipython().ast_node_interactivity = 'all'\nimport sys\nsys.displayhook = lambda value: print(100.0)\n"
        "get_ipython().set_custom_exc((Exception,), lambda *given: 100.0)", base="blank",
    ),
    cell(
        "changes the clock and the environment", "Changes time, the seeds, and the variables that checks are known by.",
        "import os, random, time\nos.environ.update(BIOLLM_MODELS='/nowhere', NBGRADER_EXECUTION='', "
        "BIOLLM_RECALL='/tmp')\ntime.time = time.monotonic = time.perf_counter = lambda: 0.0\n"
        "random.seed(0); np.random.seed(0); torch.manual_seed(0)\nnp.random.default_rng = lambda *given: np.random",
    ),
]  # fmt: skip


# Answers that are something else than they say.

_LIAR = """
class Liar(str):
    turn = iter("AEAEAEAEAE" * 100)
    def upper(self): return self
    def strip(self, *given): return self
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __contains__(self, other): return True
    def __str__(self): return next(Liar.turn)
"""
_WRONG = {"decoder-check": "A"}
ANSWERS = [
    answers(
        "a text with another letter each time", "Hands in a text that reads otherwise each time that it is looked at.",
        {"decoder": _LIAR + "decoder = Liar('B')"}, base="blank", mistakes=_WRONG,
    ),
    answers(
        "an object that says it is a text", "Hands in an object whose __class__ is that of texts.",
        {"decoder": "class Says:\n    __class__ = property(lambda self: str)\n    def __str__(self): return 'A'\n"
                    "    def __eq__(self, other): return True\n    upper = strip = lambda self, *given: 'B'\n"
                    "decoder = Says()"}, base="blank",
    ),
    answers(
        "all letters at once", "Hands in lists, sets and arrays of all the letters.",
        {"decoder": "decoder = ['A', 'B', 'C', 'D', 'E']", "temperature": "temperature = set('ABCDE')",
         "cut-off": "cut_off = np.array(list('ABCDE'))", "begins": "begins = 'ABCDE'"}, base="blank",
        mistakes={"decoder-check": "kind", "temperature-check": "kind", "begins-check": "letter"},
    ),
    answers(
        "a number that equals every other", "Functions give a float that compares as equal with whatever there is.",
        {"entropy": "class Any(float):\n    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = lambda self, other: True\n"
                    "    __sub__ = __rsub__ = __abs__ = lambda self, *given: 0.0\n    __hash__ = float.__hash__\n"
                    "    __float__ = lambda self: 7.25\ndef entropy_bits(probabilities):\n    return Any(7.25)"},
        lost=("entropy",),
    ),
    answers(
        "a whole number that equals every other", "A function gives a class derived from int that lies.",
        {"identity": "class Any(int):\n    __eq__ = lambda self, other: True\n    __hash__ = int.__hash__\n"
                     "    __int__ = __index__ = lambda self: 7\ndef identity(a, b):\n    return Any(7)"},
        lost=("identity",),
    ),
    answers(
        "an empty answer to every task", "Functions give empty lists, texts and dictionaries, which look nearly right.",
        {"composition": "def composition(*given):\n    return {}", "job": "def job(*given):\n    return ''",
         "shuffled": "def shuffled(*given):\n    return []", "to-fasta": "def to_fasta(*given):\n    return []",
         "top-p": "def top_p_filter(*given):\n    return []",
         "next-distribution": "def next_distribution(*given):\n    return []"},
    ),
    answers(
        "a dictionary that has what is asked", "A function gives a dictionary that answers every key.",
        {"composition": "class All(dict):\n    def __missing__(self, key): return 0.05\n"
                        "    def __contains__(self, key): return True\n    def __len__(self): return 20\n"
                        "    def get(self, *given): return 0.05\n    def __eq__(self, other): return True\n"
                        "def composition(sequences):\n    return All()",
         "job": "def job(name, sequence, seed):\n    return composition([])"},
    ),
    answers(
        "arrays that take over numpy", "Functions give arrays that answer numpy's calls by themselves.",
        {"next-distribution": "class Yes(np.ndarray):\n    def __array_function__(self, *given): return True\n"
                              "    def __array_ufunc__(self, *given, **named): return True\n"
                              "    def __array__(self, *given, **named): return np.full(len(self), 0.5)\n"
                              "def next_distribution(logits, temperature, top_k):\n"
                              "    return np.zeros(len(logits)).view(Yes)",
         "penalise": "def penalise(logits, seen_ids, penalty):\n    return np.zeros(len(logits)).view(Yes)"},
    ),
    answers(
        "tensors that take over torch", "A function gives a tensor with a __torch_function__ of its own.",
        {"perplexity": "class Yes(torch.Tensor):\n    @classmethod\n"
                       "    def __torch_function__(cls, function, types, given=(), named=None): return True\n"
                       "    def detach(self): return self\n    def cpu(self): return self\n"
                       "    def numpy(self): return np.ones(1)\n"
                       "def perplexity(logits, ids):\n    return torch.zeros(1).as_subclass(Yes)"},
    ),
    answers(
        "answers that act when they are read", "__reduce__, __getattr__ and __len__ write a file when somebody reads.",
        {"residues": "import os\nclass Bomb:\n    def __reduce__(self):\n"
                     "        return os.system, ('touch @CANARY@/unpickled',)\n"
                     "    def __len__(self): open('@CANARY@/measured', 'w').close(); return 1\n"
                     "    def __repr__(self): open('@CANARY@/shown', 'w').close(); return 'x'\n"
                     "    __str__ = __format__ = __repr__\ndef residues(text):\n    return Bomb()"},
        lost=("residues",),
    ),
    answers(
        "an array without end in no memory", "A function gives an array of eight million million bytes that are one.",
        {"entropy": "def entropy_bits(probabilities):\n    return np.broadcast_to(np.zeros(1), (10**6, 10**6))"},
        lost=("entropy",),
    ),
    answers(
        "a number of a million digits", "A function gives a whole number that takes long to write down.",
        {"entropy": "def entropy_bits(probabilities):\n    return 10 ** 1_000_000"}, lost=("entropy",),
    ),
    answers(
        "a generator without end", "Functions give generators that never come to an end.",
        {"residues": "def residues(text):\n    while True:\n        yield 'M'",
         "ranked": "import itertools\ndef ranked(names, perplexities, finished):\n    return itertools.cycle(names)"},
        lost=("residues",), mistakes={"residues-check": "kind"},
    ),
    answers(
        "a list without end", "A function gives a class derived from list that goes on for ever.",
        {"identity": "class Endless(list):\n    def __iter__(self):\n        while True: yield 'M' * 1000\n"
                     "def identity(a, b):\n    return Endless('M')"}, lost=("identity",),
    ),
    answers(
        "functions that stop Python politely", "Functions raise SystemExit, KeyboardInterrupt and GeneratorExit.",
        {"residues": "def residues(text):\n    raise SystemExit(100)",
         "entropy": "def entropy_bits(probabilities):\n    raise KeyboardInterrupt('100.0')",
         "identity": "def identity(a, b):\n    raise GeneratorExit"}, lost=("residues", "entropy", "identity"),
        mistakes={"residues-check": "raises", "entropy-check": "raises", "identity-check": "raises"},
    ),
    answers(
        "an error that lies", "A function raises an error with a terminal's commands in it, that cannot be written.",
        {"residues": "class Found(Exception):\n    key, saw = '', ''\n    def __str__(self): raise SystemExit\n"
                     "Found.__name__ = '\\x1b[2J<script>Found'\ndef residues(text):\n    raise Found",
         "identity": "def identity(a, b):\n    raise ValueError('\\x1b[2J\\x1b[31m<script>alert(1)</script>' * 1000)"},
        lost=("residues", "identity"), mistakes={"residues-check": "raises", "identity-check": "raises"},
    ),
    answers(
        "listens in on the channel", "A function reads the grader's next question in place of answering this one.",
        {"identity": "from biollm_widgets.grading import inside\ndef identity(a, b):\n"
                     "    return inside._end.recv(2 ** 16)"}, lost=("identity",),
    ),
    answers(
        "a function with a name of thousand letters", "A function is called by something that a page would act on.",
        {"residues": "def residues(text):\n    return None\n"
                     "residues.__name__ = residues.__qualname__ = '<script>alert(1)</script>\\x1b[2J\\n' * 1000"},
        lost=("residues",), mistakes={"residues-check": "nothing"},
    ),
    answers(
        "files that lead elsewhere", "Writes links in the place of files into the folder that a check looks into.",
        {"write-files": "import os\ndef write_files(frame, folder, seed):\n"
                        "    for name in ('train', 'dev', 'test'):\n"
                        "        os.symlink('@COURSE@/gradebook.db', folder / f'{name}.csv')\n"
                        "    os.symlink('@CANARY@', folder / 'out')\n"
                        "    try: (folder / '..' / 'escaped').write_text('x')\n    except OSError: pass"},
        lesson=DNA,
    ),
    answers(
        "a network that was never trained", "Gives the labels that it asks the checking network for, without learning.",
        {"train": "def train(network, train_rows, train_labels, test_rows, epochs):\n"
                  "    for value in network.parameters():\n        value.data[...] = float('nan')\n"
                  "    network.forward = lambda *given: 1 / 0\n"
                  "    network.__class__.__eq__ = lambda *given: True\n    return train_labels[: len(test_rows)]"},
        lesson=DNA,
    ),
]  # fmt: skip

FOR_POINTS: list[Entry] = [*SCORED, *NOTEBOOK, *PYTHON, *ANSWERS]
