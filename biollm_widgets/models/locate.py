"""Where a model comes from: a folder, the local cache, the hub, or the embedded stand-in; and it says which."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Optional

from biollm_widgets import news
from biollm_widgets.errors import InputError
from biollm_widgets.models import cache, local
from biollm_widgets.models.cache import count_in_words, in_words
from biollm_widgets.models.catalog import CATALOG, Model, find, stand_ins
from biollm_widgets.models.fetch import complete, fetch
from biollm_widgets.models.hub import HubError, is_name

SOURCES = ("auto", "hub", "embedded")

_said: set[str] = set()


class ModelPath(str):
    """A folder for `from_pretrained`, which remembers where it came from.

    Attributes
    ----------
    name : str
        What was asked for.
    source : str
        "folder", "shared" (the cache of a class), "cache", "hub" or "embedded".
    said : str
        The line that was printed: which model this is, how many parameters, how much disk.
    """

    name: str
    source: str
    said: str

    def __new__(cls, path: str, name: str, source: str, said: str) -> ModelPath:
        self = super().__new__(cls, path)
        self.name, self.source, self.said = name, source, said
        return self

    def __reduce__(self) -> tuple:  # so that a copy keeps what it remembers
        return ModelPath, (str(self), self.name, self.source, self.said)


def locate(
    name: str | os.PathLike = "zhihan1996/DNABERT-2-117M", source: Optional[str] = None, *, weights: bool = True
) -> ModelPath:
    """Find a model, download it if need be, and say on stderr, once, where it comes from.

    Parameters
    ----------
    name : str or path
        A folder with a `config.json`, an id on the hub, or a name of the catalog (`biollm models`), such as DNABERT-2.
    source : {"auto", "hub", "embedded"}, optional
        "auto" takes an explicit folder, else the class's cache (BIOLLM_SHARED_CACHE), else the local Hugging Face
        cache, else the hub if it answers within five seconds, else the embedded stand-in. "hub" never takes the
        stand-in, "embedded" takes nothing else. A copy of one's own of the commit that the class has goes before it.
        Unless given, the environment variable BIOLLM_MODELS decides, else "auto".
    weights : bool, default True
        Without them, config and tokenizer are enough: a few hundred kilobytes instead of gigabytes.

    Returns
    -------
    ModelPath
        A folder that `from_pretrained` takes, with `.source` and `.said`. Nothing is left to download. Only where the
        cache has a model without its tokenizer and the hub does not give it, it is missing, and `.said` says so.

    Raises
    ------
    InputError
        When the folder is missing, holds no model or holds weights that are cut off, the source is none of the three,
        or the model can be had nowhere (it names what was tried). A download that fails in the middle ends here as
        well, or in the stand-in.
    """
    if isinstance(name, ModelPath):
        return name
    _known_to_transformers()
    asked = os.fspath(name).strip()
    if not asked:
        raise InputError("No model was named; give a folder with a config.json, or a model's id on the hub.")
    source = source or os.environ.get("BIOLLM_MODELS") or "auto"
    if source not in SOURCES:
        raise InputError(f"The source of a model (BIOLLM_MODELS) is auto, hub or embedded, not {source!r}.")

    folder = Path(asked).expanduser()
    if folder.is_dir():
        for model in CATALOG:
            if model.stand_in is not None and folder.resolve() == model.stand_in.resolve():
                return _stand_in(model, asked, "named by its folder")
        _with_config(folder)
        if weights and (damaged := cache.broken(folder)) is not None:
            raise _damaged(folder / damaged)
        said = f"{asked}: {_what(folder, None, weights)}, from this folder."
        return _say(ModelPath(str(folder), asked, "folder", said))
    if not is_name(asked):
        raise InputError(f"There is no folder {asked}; give a folder with a config.json, or a model's id on the hub.")

    entry = find(asked)
    if entry is not None and not entry.on_hub:
        raise InputError(f"{entry.name} is not on the hub: {entry.obstacle}.{entry.advice}")
    if source == "embedded":
        if entry is None or entry.stand_in is None:
            raise InputError(f"There is no embedded model for {asked}; ask for {stand_ins()}, or allow the hub.")
        return _stand_in(entry, asked, "as asked")

    known = asked if entry is None else entry.id
    here = local.find(known, weights)
    damaged = here.damaged
    if here.copy is not None and not here.copy.reads_text:  # never so without weights
        return _completed(known, asked, entry, here.copy)
    if here.copy is not None:
        said = f"{known}: {_what(here.copy.path, entry, weights)}, from {here.copy.where}."
        return _say(ModelPath(str(here.copy.path), asked, "cache" if here.copy.shared is None else "shared", said))
    try:
        got = fetch(known, weights)
    except HubError as problem:
        if damaged is not None:
            state = f"is damaged in the local cache ({damaged})"
            problem = HubError(known, problem.because, problem.remedy, state=state)
        if entry is None or entry.stand_in is None or source == "hub":
            raise problem from problem.__cause__
        because = problem.because if damaged is None else f"{damaged} in the local cache is damaged, {problem.because}"
        return _stand_in(entry, asked, because)
    return _say(ModelPath(str(got.path), asked, "hub", f"{known}: {_what(got.path, entry, weights)}, from the hub."))


def _completed(known: str, asked: str, entry: Optional[Model], copy: local.Copy) -> ModelPath:
    """A copy that has the weights alone, with its tokenizer from the hub, or as it is where the hub gives none.

    Then it is not the stand-in: whoever only loads the model has what was asked for.
    """
    lacking = "without a tokenizer: the hub has none of it"
    try:
        if (got := complete(known, copy.path)) is not None:
            # The hub's newest commit may be another one, with weights of its own.
            where = f"{copy.where}, and its tokenizer from the hub" if got.path == copy.path else "the hub"
            said = f"{known}: {_what(got.path, entry, True)}, from {where}."
            return _say(ModelPath(str(got.path), asked, "hub", said))
    except HubError as problem:
        lacking = f"without its tokenizer: {problem.because}; biollm fetch {known} gets it when the hub answers"
    said = f"{known}: {_what(copy.path, entry, True)}, from {copy.where}, {lacking}."
    return _say(ModelPath(str(copy.path), asked, "cache" if copy.shared is None else "shared", said))


def _known_to_transformers() -> None:
    """Register DNABERT-2 with transformers' Auto classes, if transformers is in use at all.

    A folder that this package saved says `dnabert2`; until that name is known, AutoTokenizer warns of a model of
    another type. Whoever only wants to know where a model is, or its tokens, does not wait for torch.
    """
    if "transformers" in sys.modules:
        import_module("biollm_widgets.models.dnabert2")


def _stand_in(entry: Model, asked: str, because: str) -> ModelPath:
    assert entry.stand_in is not None
    said = f"Stand-in for {entry.id} ({because}): {entry.stand_in_words}, {_measure(entry.stand_in, None)}."
    return _say(ModelPath(str(entry.stand_in), asked, "embedded", said))


def _say(path: ModelPath) -> ModelPath:
    """Print the line once a process: a tokenizer and a model from one place are one piece of news."""
    if path.said not in _said:
        _said.add(path.said)
        news.say(path.said)
    return path


def _with_config(folder: Path) -> None:
    if not (folder / cache.CONFIG).is_file():
        raise InputError(
            f"The folder {folder} holds no model (no config.json); name the folder that save_pretrained wrote."
        )


def _damaged(file: Path) -> InputError:
    """The sentence on weights in a person's own folder, which no `biollm fetch` mends."""
    if not os.access(file, os.R_OK):
        return InputError(f"{file.name} in the folder {file.parent} cannot be read by you; name another folder.")
    return InputError(
        f"{file.name} in the folder {file.parent} is damaged ({in_words(file.stat().st_size)}; did the disk fill up "
        "while it was written?); save the model again, or name another folder."
    )


def _what(folder: Path, entry: Optional[Model], weights: bool) -> str:
    return _measure(folder, entry.parameters if entry else None) if weights else "the tokenizer"


def _measure(folder: Path, parameters: Optional[int]) -> str:
    """Parameters (read off the headers of safetensors files, nothing is loaded) and size on disk, in words."""
    files = cache.weight_files(folder)
    if not files:
        return "no weights yet"
    try:
        parameters = cache.parameters_of(folder) or parameters
    except cache.NO_HEADER:  # whoever loads it will say what is wrong with it
        parameters = None
    count = "" if parameters is None else f"{count_in_words(parameters)} parameters, "
    return f"{count}{in_words(sum(file.stat().st_size for file in files))}"
