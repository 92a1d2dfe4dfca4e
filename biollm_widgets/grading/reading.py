"""The bytes handed in as a notebook, read into plain cells, whatever shape they have; or why they cannot be."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass, field
from typing import Any, Optional

CELLS = 5_000  # more than any lesson has, by far
LARGE = 10 * 2**20  # bytes of a file whose outputs are worth a word
PICTURES = 5 * 2**20  # bytes of base64 of the pictures pasted into one cell
_PICTURE = re.compile(r"image/(png|jpeg|gif|webp)")
_ASK = "Ask for the .ipynb file itself, saved in JupyterLab (File, Save Notebook)."


@dataclass
class Cell:
    """A cell as somebody left it.

    Attributes
    ----------
    kind : str
        "code", "markdown" or "raw".
    text : str
    id : str
        Empty for none.
    mark : dict
        What stands under `metadata.nbgrader`; empty for nothing.
    tags : list of str
    attachments : dict
        Pictures pasted into it.
    """

    kind: str
    text: str
    id: str = ""
    mark: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def grade_id(self) -> str:
        """The name that nbgrader gave it; empty for none."""
        name = self.mark.get("grade_id")
        return name if isinstance(name, str) else ""


@dataclass
class Read:
    """What came of reading: cells with what was mended, or why not and what to ask for."""

    cells: list[Cell] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    why: str = ""
    ask: str = ""


def read(data: bytes) -> Read:
    """Read a notebook. Raises nothing.

    Returns
    -------
    Read
        `why` is empty when the cells could be read.
    """
    if not data.strip(b" \t\r\n\0"):
        kind = "is empty" if not data else "holds nothing but blanks"
        return Read(why=f"The file {kind}.", ask=f"The upload may have failed. {_ASK}")
    other = _another_kind(data)
    if other:
        return Read(why=f"The file is {other}, not a notebook.", ask=_ASK)
    repairs: list[str] = []
    text = _decoded(data, repairs)
    try:
        whole = _parsed(text, repairs)
    except _Broken as problem:
        return Read(why=str(problem), ask=problem.ask)
    except (RecursionError, MemoryError):
        return Read(why="The file holds lists inside lists without end and cannot be read as a notebook.", ask=_ASK)
    cells = _listed(whole, repairs)
    if isinstance(cells, str):
        return Read(why=cells, ask=_ASK)
    if len(cells) > CELLS:
        return Read(
            why=f"The notebook has {len(cells):,} cells, more than {CELLS:,}.",
            ask="Ask for the notebook with the answers alone, without copies.",
        )
    if len(data) > LARGE:
        repairs.append(
            f"The file was large ({len(data) / 2**20:.0f} MB); what its cells had printed and drawn was left out."
        )
    return Read(_cells(cells, repairs), repairs)


# What kind of file it is.


def _another_kind(data: bytes) -> str:
    """What a file is that is plainly no notebook, with its article; empty for all others."""
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    low = head[:600].lower()
    if head.startswith(b"%PDF"):
        return "a PDF"
    if head.startswith(b"PK\x03\x04"):
        word = b"word/" in data[:4096] or b"[Content_Types].xml" in data[:4096]
        return "an Office document" if word else "a zip archive without a notebook in it"
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")):
        return "a picture"
    if head.startswith(b"{\\rtf"):
        return "a text document (RTF)"
    if low.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        what = data[:200_000].lower()
        if b"jp-notebook" in what or b"jupyter-widgets" in what or b"nbconvert" in what:
            return "a web page (an HTML export of a notebook)"
        return "a web page (perhaps an error page or a page of the site that it was downloaded from)"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer that Git LFS left in place of the file"
    return ""


def _decoded(data: bytes, repairs: list[str]) -> str:
    """The text, in whatever encoding it is."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    ):  # fmt: skip
        if data.startswith(mark):
            if encoding != "utf-8-sig":
                repairs.append(f"The file was saved as {encoding.upper()} and was read as that.")
            return data.decode(encoding, "replace")
    if len(data) > 3 and 0 in data[:2]:  # a brace or a blank, and its other half
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
        repairs.append("The file was saved as UTF-16 and was read as that.")
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        repairs.append("The file was not saved as UTF-8; letters beyond the English ones may be wrong.")
        return data.decode("cp1252", "replace")


# JSON.


class _Broken(Exception):
    """It is no JSON; the text is a sentence."""

    def __init__(self, why: str, ask: str = _ASK) -> None:
        super().__init__(why)
        self.ask = ask


def _parsed(text: str, repairs: list[str]) -> Any:
    text = text.strip("\0 \t\r\n\ufeff")
    decoder = json.JSONDecoder(strict=False)  # a real tab in a text is no reason to lose an answer
    try:
        found, end = decoder.raw_decode(text)
    except json.JSONDecodeError as problem:
        if re.search(r"^(<{7}|>{7})( |$)", text, re.M):
            return _unconflicted(text, repairs)
        raise _Broken(*_where(text, problem)) from None
    except ValueError:  # a number of many thousand digits
        raise _Broken("The file holds a number without end and cannot be read as a notebook.") from None
    rest = text[end:].strip("\0 \t\r\n")
    if rest:
        if not isinstance(found, dict):
            raise _Broken(f"The file is plain text that begins with “{_line(text)}”, not a notebook.")
        repairs.append(f"After the end of the notebook stood something else in the file (“{_line(rest)}”); left out.")
    return found


def _where(text: str, problem: json.JSONDecodeError) -> tuple[str, str]:
    """Where it breaks, and what to ask for."""
    lines = text.count("\n") + 1
    if not text.startswith(("{", "[")):
        return f"The file is plain text that begins with “{_line(text)}”, not a notebook.", _ASK
    if problem.pos >= len(text.rstrip()) - 1 or "Unterminated string" in problem.msg:
        return (
            f"The notebook breaks off at line {problem.lineno} of {lines}: the rest of the file is missing.",
            "The upload or the saving was cut short. Ask for the file again.",
        )
    return (
        f"The file is damaged at line {problem.lineno} of {lines}, column {problem.colno}, where it reads "
        f"“{_line(text[max(0, problem.pos - 20) : problem.pos + 20])}”.",
        "Ask for the file again, saved in JupyterLab and not edited as text.",
    )


def _unconflicted(text: str, repairs: list[str]) -> Any:
    """A notebook in which git left both sides of a merge, when they differ only in what cells had printed.

    Raises
    ------
    _Broken
        The sides differ in what somebody wrote: nobody but the learner knows which is right.
    """
    first = text[: text.index("<<<<<<<") + 1].count("\n") + 1
    sides: tuple[list[str], list[str]] = ([], [])
    inside: Optional[int] = None
    for line in text.split("\n"):
        if re.match(r"<{7}( |$)", line):
            inside = 0
        elif inside is not None and re.match(r"\|{7}( |$)", line):
            inside = 2  # what both came from, in git's longer style
        elif inside is not None and re.match(r"={7}\r?$", line):
            inside = 1
        elif re.match(r">{7}( |$)", line):
            inside = None
        elif inside is None:
            sides[0].append(line)
            sides[1].append(line)
        elif inside < 2:
            sides[inside].append(line)
    try:
        ours, theirs = (json.loads("\n".join(side), strict=False) for side in sides)
        same = [_written(side) for side in (ours, theirs)]
        assert same[0] == same[1]
    except (ValueError, AssertionError):
        raise _Broken(
            f"Git left both sides of a merge in the file (the first at line {first}), and they differ in the answers.",
            "Ask which side is right: the conflict has to be settled (git mergetool, nbdime) and the file sent again.",
        ) from None
    repairs.append("Git had left both sides of a merge in the file; they differ only in outputs, so either will do.")
    return ours


def _written(whole: Any) -> list[tuple[str, str]]:
    cells = _listed(whole, [])
    return [] if isinstance(cells, str) else [(one.kind, one.text) for one in _cells(cells, [])]


# Cells.


def _listed(whole: Any, repairs: list[str]) -> Any:
    """The list of cells of any version of the format; a sentence for what has none."""
    if not isinstance(whole, dict):
        return "The file holds JSON, but not a notebook."
    cells, version = whole.get("cells"), whole.get("nbformat")
    if cells is None and isinstance(whole.get("worksheets"), list):
        sheets = [sheet.get("cells") for sheet in whole["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if isinstance(cells, dict):  # numbered instead of listed
        repairs.append("The list of cells was damaged and was put right.")
        cells = list(cells.values())
    if not isinstance(cells, list):
        return "The file holds JSON, but not a notebook: it has no list of cells."
    if isinstance(version, (int, float)) and not isinstance(version, bool) and version != 4:
        age = "an old" if version < 4 else "a newer"
        repairs.append(f"The notebook was saved in {age} format ({version:.6g}) and was brought to the usual one.")
    return cells


def _cells(cells: list[Any], repairs: list[str]) -> list[Cell]:
    made, damaged, pictures = [], [], []
    for number, one in enumerate(cells, 1):
        if not isinstance(one, dict):
            damaged.append(number)
            if isinstance(one, str) and one.strip():
                made.append(Cell("raw", _clean(one)))
            continue
        text = next((one[key] for key in ("source", "input", "code", "text") if key in one), "")
        kind = one.get("cell_type")
        if kind == "heading":  # of the third version
            level = one.get("level")
            text = "#" * (level if level in (1, 2, 3, 4, 5, 6) else 1) + " " + _joined(text)
        joined = _joined(text)
        good = isinstance(text, str) or (isinstance(text, list) and all(isinstance(line, str) for line in text))
        if not good or not isinstance(kind, str):
            damaged.append(number)
        known = {"code": "code", "raw": "raw", "plaintext": "raw"}
        about = one.get("metadata")
        about = about if isinstance(about, dict) else {}
        mark, tags, name = about.get("nbgrader"), about.get("tags"), one.get("id")
        kept, dropped = _pictures(one.get("attachments"))
        pictures += [number] * dropped
        made.append(
            Cell(
                known.get(kind, "markdown") if isinstance(kind, str) else "code" if "outputs" in one else "markdown",
                joined,
                name if isinstance(name, str) else "",
                mark if isinstance(mark, dict) else {},
                [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
                kept,
            )
        )
    if damaged:
        repairs.append(f"{_numbered(damaged)} damaged in the file; what could be read of it was kept.")
    if pictures:
        repairs.append(
            f"{_numbered(sorted(set(pictures)))} pasted with pictures that are too large or of an unusual kind; "
            "those were left out."
        )
    return made


def _joined(text: Any) -> str:
    if isinstance(text, list):
        text = "".join(line for line in text if isinstance(line, str))
    elif not isinstance(text, str):
        text = str(text) if type(text) in (int, float) else ""
    return _clean(text)


def _clean(text: str) -> str:
    """Text that can be written as UTF-8: halves of letters come from broken copies, and stop every writer."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _pictures(given: Any) -> tuple[dict[str, dict[str, str]], int]:
    """The pictures pasted into a cell that are kept, and how many are not."""
    if not isinstance(given, dict):
        return {}, 0
    kept: dict[str, dict[str, str]] = {}
    left = PICTURES
    for name, kinds in given.items():
        for kind, value in kinds.items() if isinstance(kinds, dict) else ():
            if isinstance(value, list):
                value = "".join(part for part in value if isinstance(part, str))
            if not isinstance(value, str) or len(value) > left or not _PICTURE.fullmatch(kind):
                continue
            value = re.sub(r"\s+", "", value)
            if re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", value) and re.fullmatch(r"[^<>\"'\n]{1,200}", name):
                left -= len(value)
                kept[_clean(name)] = {kind: value}
                break
    return kept, len(given) - len(kept)


def _numbered(numbers: list[int]) -> str:
    """`Cell 3 was`, or `Cells 3, 5 and 9 were`."""
    if len(numbers) == 1:
        return f"Cell {numbers[0]} was"
    shown = [str(number) for number in numbers[:8]]
    last = f"{len(numbers) - 8} more" if len(numbers) > 8 else shown.pop()
    return f"Cells {', '.join(shown)} and {last} were"


def _line(text: str) -> str:
    """The beginning of a text, as one line that can be shown."""
    shown = " ".join(text[:200].split())
    return "".join(letter for letter in shown if letter.isprintable())[:40]
