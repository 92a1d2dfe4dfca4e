"""What was mended in a submission, as few plain sentences that name the tasks."""

from __future__ import annotations

from collections.abc import Callable

_SHOWN = 8  # names in a sentence, before it says how many more

# One for a kind of repair, with the names of the tasks in it.

_SENTENCES: dict[str, Callable[[str, bool], str]] = {
    "by text": lambda names, many: (
        f"{_cells(names, many)} lost {'their marks' if many else 'its mark'} for grading and "
        f"{'were' if many else 'was'} recognised by what {'they hold' if many else 'it holds'}."
    ),
    "renamed": lambda names, many: (
        f"{_cells(names, many)} had been given {'other names' if many else 'another name'}; "
        f"the lesson's {'names were' if many else 'name was'} put back."
    ),
    "points": lambda names, many: (
        f"The points of {_cells(names, many, 'the')} had been changed; the lesson's own were put back."
    ),
    "settings": lambda names, many: (
        f"The settings of {_cells(names, many, 'the')} had been changed; the lesson's own were put back."
    ),
    "moved out": lambda names, many: (
        f"{_cells(names, many)} had been changed; the check is the lesson's own again, and what else "
        f"was written there stands in a cell before it."
    ),
    "changed": lambda names, many: f"{_cells(names, many)} had been changed; the lesson's own text was put back.",
    "kind": lambda names, many: (
        f"{_cells(names, many)} had been turned into another type of cell; "
        f"{'they are' if many else 'it is'} again what the lesson has."
    ),
    "copies": lambda names, many: (
        f"Of {_cells(names, many, 'the')} there were several; the last one with an answer counts, "
        "and the others stay in the notebook without points."
    ),
    "dropped": lambda names, many: f"Of {_cells(names, many, 'the')} there were several; copies without an answer are left out.",  # noqa: E501
    "needed": lambda names, many: (
        f"{_cells(names, many)} of the lesson {'were' if many else 'was'} missing though later cells use what "
        f"{'they define' if many else 'it defines'}; put back."
    ),
    "no solution": lambda names, many: (
        f"{_cells(names, many)} {'were' if many else 'was'} missing and {'were' if many else 'was'} put back without an answer."  # noqa: E501
    ),
    "merged": lambda names, many: (
        f"{_cells(names, many)} {'were' if many else 'was'} missing, with what belongs there in another cell; "
        f"{'they were' if many else 'it was'} put back before that, which counts."
    ),
    "no check": lambda names, many: (
        f"{_cells(names, many)} {'were' if many else 'was'} missing and {'were' if many else 'was'} put back."
    ),
    "no text": lambda names, many: (
        f"{_cells(names, many)} {'were' if many else 'was'} missing and {'were' if many else 'was'} put back."
    ),
    "order": lambda names, many: (
        f"{_cells(names, many)} stood before the {'answers' if many else 'answer'} that {'they check' if many else 'it checks'} "  # noqa: E501
        f"and {'were' if many else 'was'} moved behind {'them' if many else 'it'}."
    ),
}  # fmt: skip


def _cells(names: str, many: bool, article: str = "The") -> str:
    return f"{article} cell{'s' if many else ''} {names}"


def quoted(name: str) -> str:
    """A `grade_id` in words."""
    return f"“{name.replace('-', ' ').replace('_', ' ')}”"


class Words:
    """What was mended, gathered and told in few sentences."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._said: list[str] = []

    def add(self, kind: str, names: list[str]) -> None:
        gathered = self._names.setdefault(kind, [])
        gathered += [name for name in names if name not in gathered]

    def say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.append(sentence)

    def all(self) -> list[str]:
        made = []
        for kind, tell in _SENTENCES.items():
            names = [quoted(name) for name in self._names.get(kind, [])]
            if not names:
                continue
            shown = names[:_SHOWN]
            last = f"{len(names) - _SHOWN} more" if len(names) > _SHOWN else shown.pop()
            listed = f"{', '.join(shown)} and {last}" if shown else last
            made.append(tell(listed, len(names) > 1))
        made += self._said[:20]
        if len(self._said) > 20:
            made.append(f"{len(self._said) - 20} more cells were mended in the same ways.")
        return made
