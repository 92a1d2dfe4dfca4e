"""docs/reference/: a page a theme, made from the docstrings of the public names and from `biollm VERB --help`.

    python -m docs.reference          write the pages
    python -m docs.reference --check  exit with 1 when one is not what the docstrings say

The package is read, not run (griffe), so that the pages say what the source says on every computer; the commands are
asked for their help at a width of their own.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import griffe

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"
PACKAGE = "biollm_widgets"
WIDTH = 100  # of the help of a command
LONGEST = 96  # of a signature on one line

# Page -> title, a sentence, and its names; a test says which public name is on none.
THEMES = {
    "sequences": (
        "Sequences and tokens",
        "From a text or a file to checked letters, and from letters to tokens.",
        ["read_fasta", "clean_dna", "clean_protein", "tokenize", "KmerTokenizer", "CharTokenizer"],
    ),
    "models": (
        "Models",
        "Where a model comes from, which there are, and DNABERT-2 itself.",
        [
            *("locate", "known_models", "load_encoder", "load_generator", "random_twin", "DNABert2Config"),
            *("DNABert2Model", "DNABert2ForMaskedLM", "DNABert2ForSequenceClassification"),
        ],
    ),
    "dna": (
        "DNA: data, embeddings, classification, fine-tuning",
        "The first example, in the order of its steps.",
        ["load_coding_dataset", "split_dataset", "write_splits", "embed", "classify", "finetune"],
    ),
    "proteins": (
        "Proteins: generation and judging",
        "The second example.",
        ["generate", "generate_again", "explore", "perplexity", "judge"],
    ),
    "widgets": (
        "Widgets",
        "The three views. What they are for is shown with pictures in the [README](../../README.md).",
        ["TokenView", "TrainingProgress", "ProteinPanel"],
    ),
    "lessons": (
        "In the lessons",
        "What a lesson's cells call, what says whether all is in order here, and the error that a person can cause.",
        ["check", "predict", "outcome", "picture", "doctor", "InputError"],
    ),
}
NOTE = "<!-- Made by `make docs` from the docstrings; edit those. -->"


class Source:
    """The package as its source says, without running it."""

    def __init__(self) -> None:
        self.tree = griffe.load(PACKAGE, search_paths=[str(ROOT)])
        self.homes: dict[str, str] = import_module(PACKAGE)._HOMES
        self.classes: dict[str, Any] = {}
        for found in self._walk(self.tree):
            self.classes.setdefault(found.name, found)

    def _walk(self, place: Any) -> Iterator[Any]:
        for member in place.members.values():
            if member.is_alias or member.name.startswith("_"):
                continue
            if member.is_module:
                yield from self._walk(member)
            elif member.is_class:
                yield member

    def public(self, name: str) -> Any:
        """What stands behind a public name."""
        found = self.tree[f"{self.homes[name]}.{name}"]
        return found.final_target if found.is_alias else found


def sections(text: str) -> dict[str, list[str]]:
    """A numpydoc docstring as heading -> lines; what comes before the first heading is under ""."""
    found: dict[str, list[str]] = {"": []}
    here, lines = "", text.splitlines()
    number = 0
    while number < len(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if lines[number] and re.fullmatch(r"-{3,}", below.strip()) and len(below.strip()) >= len(lines[number]):
            here = lines[number].strip()
            found[here] = []
            number += 2
            continue
        found[here].append(lines[number])
        number += 1
    return found


def items(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The entries of a section that lists things: the line at the margin, and what is indented below it."""
    head, below = "", []
    for line in lines:
        if line and not line.startswith(" "):
            if head:
                yield head, textwrap.dedent("\n".join(below)).strip()
            head, below = line, []
        else:
            below.append(line)
    if head:
        yield head, textwrap.dedent("\n".join(below)).strip()


def plain(text: str) -> str:
    """Prose for Markdown: letters that would become HTML or emphasis are written as letters, outside of code."""
    parts = re.split(r"(`[^`]*`|^(?: {4}.*)$)", text, flags=re.MULTILINE)
    for number in range(0, len(parts), 2):
        parts[number] = re.sub(r"[<*]", r"\\\g<0>", parts[number])
    return "".join(parts)


def listed(lines: list[str]) -> list[str]:
    """A list of parameters, attributes or errors."""
    made = []
    for head, text in items(lines):
        names, _, kind = head.partition(" : ")
        entry = f"- {', '.join(f'`{name}`' for name in names.split(', '))}" + (f" ({plain(kind)})" if kind else "")
        if text:
            entry += f"\n{textwrap.indent(plain(text), '  ')}" if "\n\n" in text or "\n- " in text else f": {one(text)}"
            if "\n\n" in text or text.startswith("- "):
                entry = entry.replace("\n", "\n\n", 1)
        made.append(entry)
    return made


def one(text: str) -> str:
    """A paragraph as one line, which is what Markdown makes of it."""
    return plain(" ".join(text.split()))


def body(text: str) -> Iterator[str]:
    """A docstring as pieces of Markdown."""
    for heading, lines in sections(text).items():
        told = "\n".join(lines).strip()
        if not told:
            continue
        if heading == "":
            yield plain(told)
        elif heading in ("Parameters", "Attributes", "Raises", "Other Parameters", "Warns"):
            yield f"**{heading}**"
            yield "\n".join(listed(lines))
        elif heading in ("Returns", "Yields"):
            whole = list(items(lines))
            head, below = whole[0]
            if len(whole) == 1 and below:
                yield (
                    f"**{heading}** {plain(head)}: {one(below)}"
                    if "\n\n" not in below
                    else (f"**{heading}** {plain(head)}\n\n{plain(below)}")
                )
            else:
                yield f"**{heading}** {one(told)}"
        else:
            yield f"**{heading}**\n\n{plain(told)}"


def signature(found: Any, name: str) -> str:
    """How it is called, on one line or a parameter a line."""
    if found.is_class:
        made = found.members.get("__init__")
        if made is None and "dataclass" in found.labels:
            fields = [one for one in found.members.values() if one.is_attribute and "property" not in one.labels]
            shown = [f"{one.name}: {one.annotation}" + (f" = {one.value}" if one.value else "") for one in fields]
            return _laid_out(name, shown, "")
        if made is None:
            return f"{name}"
        return _laid_out(name, _parameters(made), "")
    return _laid_out(name, _parameters(found), f" -> {found.returns}" if found.returns else "")


def _parameters(function: Any) -> list[str]:
    shown: list[str] = []
    starred = False
    for each in function.parameters:
        if each.name in ("self", "cls"):
            continue
        kind = each.kind.value
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        starred |= stars == "*"
        if kind == "keyword-only" and not starred:
            shown.append("*")
            starred = True
        text = f"{stars}{each.name}" + (f": {each.annotation}" if each.annotation else "")
        if each.default is not None and not stars:
            text += f" = {each.default}" if each.annotation else f"={each.default}"
        shown.append(text)
    return shown


def _laid_out(name: str, shown: list[str], returns: str) -> str:
    line = f"{name}({', '.join(shown)}){returns}"
    if len(line) <= LONGEST:
        return line
    return f"{name}(\n" + "".join(f"    {text},\n" for text in shown) + f"){returns}"


def entry(found: Any, name: str, level: int) -> Iterator[str]:
    """A function or a class with its public methods and properties."""
    short = name.rpartition(".")[2]
    yield f"{'#' * level} {short}"
    yield f"```python\n{signature(found, name)}\n```"
    yield from body(found.docstring.value if found.docstring else "")
    if not found.is_class:
        return
    members = [one for one in found.members.values() if not one.name.startswith("_") and not one.is_alias]
    facts = [one for one in members if one.is_attribute and "property" in one.labels and one.docstring]
    if facts:
        yield "**Properties**"
        yield "\n".join(f"- `{one.name}`: {globals()['one'](one.docstring.value)}" for one in facts)
    for method in members:
        if method.is_function and method.docstring:
            owner = f"{short}." if {"classmethod", "staticmethod"} & method.labels else "."
            yield f"{'#' * (level + 1)} {short}.{method.name}"
            waits = "await " if "async" in method.labels else ""
            yield f"```python\n{waits}{signature(method, owner + method.name)}\n```"
            yield from body(method.docstring.value)


def what_comes_back(source: Source, names: list[str]) -> list[str]:
    """The classes of the package that the functions of a page say they return, which have no public name."""
    found = []
    for name in names:
        thing = source.public(name)
        texts = [thing] if thing.is_function else [one for one in thing.members.values() if one.is_function]
        for function in texts:
            if function.name.startswith("_"):
                continue
            told = sections(function.docstring.value).get("Returns", []) if function.docstring else []
            for word in re.findall(r"\b[A-Z]\w+", f"{function.returns} " + " ".join(told)):
                if word in source.classes and word not in source.homes and word not in found:
                    found.append(word)
    return found


def page(source: Source, theme: str) -> str:
    title, sentence, names = THEMES[theme]
    pieces = [f"# {title}", NOTE, sentence]
    pieces.append("`import biollm_widgets as bio` gives these names.")
    for name in names:
        pieces += entry(source.public(name), f"bio.{name}", 2)
    back = what_comes_back(source, names)
    homes = {name: other for other in reversed(THEMES) for name in what_comes_back(source, THEMES[other][2])}
    if back:
        pieces += ["## What comes back", "Classes of what is returned; they are not made by hand."]
        away = [f"[{name}]({homes[name]}.md#{name.lower()})" for name in back if homes[name] != theme]
        if away:
            pieces.append(f"On other pages: {', '.join(away)}.")
        for name in [name for name in back if homes[name] == theme]:
            pieces += entry(source.classes[name], name, 3)
    return finished(pieces)


def commands() -> str:
    """Every verb's help, as it is printed."""
    from biollm_widgets.cli import main

    pieces = ["# The command `biollm`", NOTE]
    pieces.append("What a person gets wrong is one sentence and exit status 2; Ctrl-C ends with 130.")
    pieces.append(f"```text\n{help_of(main, 'biollm', None)}\n```")
    pieces += _verbs(main, "biollm", None)
    return finished(pieces)


def _verbs(group: click.Group, name: str, above: Any) -> Iterator[str]:
    context = click.Context(group, info_name=name if above is None else name.rpartition(" ")[2], parent=above)
    for verb in group.list_commands(context):
        command = group.get_command(context, verb)
        assert command is not None, verb
        yield f"## {name} {verb}"
        yield f"```text\n{help_of(command, verb, context)}\n```"
        if isinstance(command, click.Group):
            yield from _verbs(command, f"{name} {verb}", context)


def help_of(command: click.Command, name: str, above: Any) -> str:
    """What `--help` prints, at our width whatever the terminal's."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    with click.Context(command, info_name=name, parent=above, **settings) as context:
        return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def index(source: Source) -> str:
    pieces = ["# Reference", NOTE, "The public names of `biollm_widgets`, and [the command `biollm`](commands.md)."]
    for theme, (title, _, names) in THEMES.items():
        pieces.append(f"## [{title}]({theme}.md)")
        rows = ["| | |", "|---|---|"]
        for name in names:
            found = source.public(name)
            first = sections(found.docstring.value)[""] if found.docstring else [""]
            told = one("\n".join(first).split("\n\n")[0]).replace("|", "\\|")
            rows.append(f"| [`{name}`]({theme}.md#{name.lower()}) | {told} |")
        pieces.append("\n".join(rows))
    return finished(pieces)


def finished(pieces: list[str]) -> str:
    return "\n\n".join(piece.rstrip() for piece in pieces if piece.strip()) + "\n"


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    source = Source()
    made = {f"{theme}.md": page(source, theme) for theme in THEMES}
    return {"README.md": index(source), **made, "commands.md": commands()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/reference from the docstrings.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is not up to date")
    check = parser.parse_args().check
    made = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    if check:
        for name in stale:
            print(f"docs/reference/{name} is not what the docstrings say; make docs writes it anew.")
        return 1 if stale else 0
    PAGES.mkdir(exist_ok=True)
    for name in stale:
        if name in made:
            (PAGES / name).write_text(made[name], encoding="utf-8")
        else:
            (PAGES / name).unlink()
        print(f"docs/reference/{name}: {'written' if name in made else 'removed'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
