"""Submissions that are broken by a slip, and honest ones that are odd: what was solved keeps its points."""

from __future__ import annotations

import copy
import io
import os
import zipfile

import nbformat

from tests.grading.corpus.hand import DNA, GRADED, REFUSED, REPAIRED, Entry, Hand, answers, cell, grade_id, made

# Files.


def _one_id(hand: Hand) -> None:
    hand.insert(1, "mine = 1")
    hand.insert(1, "yours = 2")
    for one in hand.notebook.cells:
        one["id"] = "the-same"
    hand.save()


def _odd_ids(hand: Hand) -> None:
    for number, one in enumerate(hand.notebook.cells):
        one["id"] = ("a b" * number, "é" * 200, None, 7)[number % 4]
    hand.save()


def _tags(hand: Hand) -> None:
    for one in hand.notebook.cells:
        one.metadata["tags"] = ["skip-execution", "raises-exception", "remove-cell"]
    hand.save()


def _latin(hand: Hand) -> None:
    hand.cell("residues").source += "\n# fertig, größer als vorher"
    hand.save(data=hand.data().replace("\\u00f6", "ö").replace("\\u00df", "ß").encode("latin-1"))


def _two_notebooks(hand: Hand) -> None:
    hand.save("my copy.ipynb")
    hand.save(data=nbformat.writes(hand.blank))


def _bomb(hand: Hand) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(f"{hand.lesson}.ipynb", "w") as file:
        for _ in range(300):
            file.write(b" " * 2**20)
    hand.save("bomb.zip", held.getvalue())


def _climbing_zip(hand: Hand) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("../../../solutions/evil.ipynb", "{}")
        archive.writestr(f"/tmp/{hand.lesson}-evil.ipynb", "{}")
        archive.writestr(f"work/{hand.lesson}.ipynb", hand.data())
    hand.save("work.zip", held.getvalue())


def _pipe(hand: Hand) -> None:
    os.mkfifo(hand.folder / f"{hand.lesson}.ipynb")


def _pipe_beside(hand: Hand) -> None:
    os.mkfifo(hand.folder / "data.csv")
    hand.save()


def _linked_folder(hand: Hand) -> None:
    hand.folder.rmdir()
    hand.folder.symlink_to(hand.course / "solutions" / hand.lesson)


def _linked_solution(hand: Hand) -> None:
    (hand.folder / f"{hand.lesson}.ipynb").symlink_to(hand.course / "solutions" / hand.lesson / f"{hand.lesson}.ipynb")


def _newer(hand: Hand) -> None:
    hand.notebook["nbformat"] = 5
    hand.save()


def _many_cells(hand: Hand) -> None:
    hand.notebook.cells += [copy.deepcopy(hand.notebook.cells[0]) for _ in range(6000)]
    hand.save()


FILES = [
    made("cut off near its end", "The upload broke off.", lambda h: h.save(data=h.data()[:-400]), REFUSED),
    made("nothing but brackets", "Lists in lists, two hundred thousand deep.",
         lambda h: h.save(data="[" * 200_000), REFUSED),
    made("a list in place of a notebook", "Sound JSON that is no notebook.", lambda h: h.save(data="[1, 2]"), REFUSED),
    made("more cells than a lesson has", "Six thousand cells.", _many_cells, REFUSED),
    made("an archive that grows", "An archive of 300 MB of blanks.", _bomb, REFUSED),
    made("a pipe in place of a file", "Whoever opens it waits for ever.", _pipe, REFUSED),
    made("a folder that is a link", "Hands in a link to the solutions' folder.", _linked_folder, REFUSED),
    made("a link to the solution", "Hands in a link to the instructor's notebook.", _linked_solution, REFUSED),
    made("a pipe beside the notebook", "Whoever copies it waits for ever.", _pipe_beside, REPAIRED),
    made("an archive that climbs", "An archive with names that lead out of it.", _climbing_zip, REPAIRED),
    made("all ids the same", "Every cell has the same id.", _one_id, REPAIRED),
    made("ids that are none", "Ids that are too long and doubled, no texts, or not there.", _odd_ids, REPAIRED),
    made("tags on every cell", "Tags that have a notebook skip cells.", _tags, REPAIRED),
    made("not in UTF-8", "Saved in the letters of an old computer.", _latin, REPAIRED),
    made("begins with a mark of order", "Saved by an editor that puts a mark in front.",
         lambda h: h.save(data=b"\xef\xbb\xbf" + h.data().encode()), GRADED),
    made("something behind its end", "Something stands behind the notebook's end.",
         lambda h: h.save(data=h.data() + "\n{}"), REPAIRED),
    made("a newer format", "Says that it is of a format that there is not yet.",
         _newer, REPAIRED),
    made("a name that moves the cursor", "Its name holds commands for terminals.",
         lambda h: h.save(f"\x1b[2J{h.lesson}.ipynb"), REPAIRED),
    made("in capitals", "Its name is in capitals.", lambda h: h.save(f"{h.lesson.upper()}.IPYNB"), REPAIRED),
    made("in a folder of its own", "Lies in a folder in the folder.",
         lambda h: h.save(f"my homework/{h.lesson}.ipynb"), REPAIRED),
    made("two notebooks", "An untouched notebook with the right name, and one with answers.", _two_notebooks, REPAIRED),
]  # fmt: skip

# Cells.


def _no_marks_on_solutions(hand: Hand) -> None:
    for one in hand.notebook.cells:
        if one.metadata.get("nbgrader", {}).get("solution") and one.cell_type == "code":
            one.metadata.pop("nbgrader")
            one["id"] = f"new-{len(one['id'])}-{hand.notebook.cells.index(one)}"
    hand.save()


def _as_words(hand: Hand) -> None:
    one = hand.cell("residues")
    one["cell_type"] = "markdown"
    one.pop("outputs", None)
    one.pop("execution_count", None)
    hand.save()


def _merged(hand: Hand) -> None:
    one, place = hand.cell("residues"), hand.place("residues-per-token")
    one.source = f"{one.source}\n\n{hand.notebook.cells.pop(place).source}"
    hand.save()


def _merged_with_its_check(hand: Hand) -> None:
    one, place = hand.cell("residues"), hand.place("residues-check")
    one.source = f"{one.source}\n\n{hand.notebook.cells.pop(place).source}"
    hand.save()


def _checks_at_the_end(hand: Hand) -> None:
    checks = [one for one in hand.notebook.cells if grade_id(one).endswith("-check")]
    hand.notebook.cells = [one for one in hand.notebook.cells if one not in checks] + checks
    hand.save()


def _backwards(hand: Hand) -> None:
    cells = hand.notebook.cells
    solutions = [one for one in cells[1:] if one.metadata.get("nbgrader", {}).get("solution")][::-1]
    rest = [one for one in cells[1:] if not one.metadata.get("nbgrader", {}).get("solution")]
    hand.notebook.cells = [cells[0], *solutions, *rest]
    hand.save()


def _no_imports(hand: Hand) -> None:
    hand.notebook.cells.pop(0)
    hand.save()


def _broken_imports(hand: Hand) -> None:
    """The cell with the imports stops at its last line, when the imports are done."""
    hand.notebook.cells[0].source += "\nraise RuntimeError('no model here')"
    hand.save()


def _split(hand: Hand) -> None:
    hand.before("residues", "MARK = '<|endoftext|>'\ndef without_mark(words):\n    return words.replace(MARK, '')")
    hand.answer("residues", "def residues(text):\n    return ''.join(without_mark(text).split())")
    hand.save()


CELLS = [
    made("solutions without marks", "The cells of solutions were written anew.", _no_marks_on_solutions, base="solved"),
    made("a solution as words", "A solution's cell was turned into one of words.", _as_words, base="solved"),
    made("two solutions in one cell", "Two cells were merged by a slip.", _merged, base="solved"),
    made("a solution and its check in one cell", "A solution was merged with its check.", _merged_with_its_check),
    made("all checks at the end", "Moves all checks behind the last task.", _checks_at_the_end, GRADED, "solved"),
    made("tasks backwards", "Solves the last task first.", _backwards, GRADED, "solved"),
    made("no imports", "The cell with the imports was deleted.", _no_imports, base="solved"),
    made("an error in the imports", "The cell with the imports stops.", _broken_imports, GRADED, "solved"),
    made("a helper in a cell of its own", "Puts half of a solution into a new cell.", _split, GRADED, "solved"),
]

# Honest and odd.

ODD = [
    answers(
        "functions that are none by name", "A lambda, a partial, an object that can be called, a cached function.",
        {"residues": "import functools\n@functools.lru_cache\ndef residues(text):\n"
                     "    return ''.join(text.replace('<|endoftext|>', '').split())",
         "is-finished": "is_finished = lambda ids, eos: eos in list(ids)[1:]",
         "authors-text": "class Text:\n    def __call__(self, sequence):\n"
                         "        lines = [sequence[i : i + 60] for i in range(0, len(sequence), 60)]\n"
                         "        return '\\n'.join(['<|endoftext|>', *lines, '<|endoftext|>'])\nauthors_text = Text()",
         "identity": "def share(kept, a, b):\n    pairs = [(x, y) for x, y in zip(a, b) if kept(x) and kept(y)]\n"
                     "    return sum(x == y for x, y in pairs) / len(pairs)\n"
                     "identity = functools.partial(share, lambda one: one != '-')"}, base="solved",
    ),
    answers(
        "a class in place of a function", "Solves a task by a class that is called, which the notebook's check takes.",
        {"identity": "class identity(float):\n    def __new__(cls, a, b):\n"
                     "        pairs = [(x, y) for x, y in zip(a, b) if x != '-' and y != '-']\n"
                     "        return float.__new__(cls, sum(x == y for x, y in pairs) / len(pairs))"}, base="solved",
    ),
    answers(
        "letters in other ways", "Small letters, with a point, with blanks, as numpy's text.",
        {"decoder": "decoder = 'b.'", "temperature": "temperature = ' (d) '", "defaults": "defaults = np.str_('D')"},
        base="some", won=("defaults",),
    ),
    answers(
        "says a great deal", "Functions print, warn and write to stderr whenever they are called.",
        {"residues": "import sys, warnings\ndef residues(text):\n    print(text * 100)\n    warnings.warn('odd')\n"
                     "    sys.stderr.write('x' * 10000)\n"
                     "    return ''.join(text.replace('<|endoftext|>', '').split())"},
        base="solved",
    ),
    answers(
        "asks while it is judged", "A function asks for an input; nobody answers.",
        {"identity": "def identity(a, b):\n    input('Right? ')\n    return 0.5"}, lost=("identity",),
        mistakes={"identity-check": "raises"},
    ),
    answers(
        "without numpy", "Solves tasks by Python's own means alone.",
        {"entropy": "def entropy_bits(probabilities):\n    import math\n"
                    "    return -sum(float(p) * math.log2(p) for p in probabilities if p > 0)",
         "shuffled": "def shuffled(sequence, seed):\n    import random\n    rest = list(sequence[1:])\n"
                     "    random.Random(seed).shuffle(rest)\n    return sequence[0] + ''.join(rest)"}, base="solved",
    ),
    cell("names of builtins as variables", "Calls variables by the names of Python's own functions.",
         "id = 3; type = 'dna'; input = [1]; hash = None; format = 'fasta'; file = 'x'; dir = '.'", base="solved"),
    cell("warnings as errors", "Has every warning stop the code.",
         "import warnings\nwarnings.simplefilter('error')"),
    cell("another folder", "Goes to another folder and sends what it prints into a file.",
         "import os, sys\nos.chdir('/tmp')\nsys.stdout = open('log.txt', 'w')", base="solved"),
    cell("logs everything", "Turns on all logs of all packages.",
         "import logging\nlogging.basicConfig(level=logging.DEBUG, force=True)\nlogging.getLogger().setLevel(1)",
         base="solved"),
    cell("writes a helper by magic", "Writes a file by a magic; a later cell may import it.",
         "%%writefile my_helper.py\ndef twice(x):\n    return 2 * x", base="solved"),
    cell("measures and captures", "Measures time by a magic.", "%%time\n%%capture\nsum(range(1000))", base="solved"),
    cell("installs a package", "Asks for a package where there is no network.", "%pip install -q --no-input cowsay"),
    cell("bash with an error", "A cell of bash that fails.", "%%bash\nls /nowhere; exit 3", base="solved"),
    cell("a cell that is no Python", "An unfinished line.", "def unfinished(:\n    pass", base="solved"),
    cell("the lesson on DNA, solved", "Solves all tasks of the other lesson, with a cell of its own between them.",
         "view = bio.TokenView('ACGTAGCATCGG', [tokenizer, bio.KmerTokenizer(6)])\nview", "middle", "solved",
         lesson=DNA),
]  # fmt: skip

HONEST: list[Entry] = [*FILES, *CELLS, *ODD]
