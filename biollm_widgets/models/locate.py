"""Where a model comes from: a folder, the local cache, the hub, or the embedded stand-in; and it says which."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import sys
from importlib import import_module
from pathlib import Path
from typing import Optional

from biollm_widgets.errors import InputError
from biollm_widgets.models.catalog import CATALOG, find

SOURCES = ("auto", "hub", "embedded")
HUB_TIMEOUT = 5.0  # seconds to wait for the hub's first answer: a learner on a train must not wait a minute
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

_said: set[str] = set()


class ModelPath(str):
    """A folder or hub id for `from_pretrained`, which remembers where it came from.

    Attributes
    ----------
    name : str
        What was asked for.
    source : str
        "folder", "cache", "hub" or "embedded".
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


def locate(name: str | os.PathLike = "zhihan1996/DNABERT-2-117M", source: Optional[str] = None) -> ModelPath:
    """Find a model and say on stderr, once, where it comes from.

    Parameters
    ----------
    name : str or path
        A folder with a `config.json`, or an id on the hub.
    source : {"auto", "hub", "embedded"}, optional
        "auto" takes an explicit folder, else the local Hugging Face cache, else the hub if it answers within five
        seconds, else the embedded stand-in. "hub" never takes the stand-in, "embedded" takes nothing else.
        Unless given, the environment variable BIOLLM_MODELS decides, else "auto".

    Returns
    -------
    ModelPath
        A string that `from_pretrained` takes, with `.source` and `.said`.

    Raises
    ------
    InputError
        When the folder is missing or holds no model, the source is none of the three, or the model can be had
        nowhere (it names what was tried).
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
            if folder.resolve() == model.stand_in.resolve():
                return _stand_in(model.id, "named by its folder")
        return _say(
            ModelPath(str(folder), asked, "folder", f"{asked}: {_measure(_whole(folder), None)}, from this folder.")
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+|[\w-][\w.-]*", asked) or asked.startswith((".", "~")):
        raise InputError(f"There is no folder {asked}; give a folder with a config.json, or a model's id on the hub.")

    entry = find(asked)
    if source == "embedded":
        if entry is None:
            raise InputError(
                f"There is no embedded model for {asked}; ask for zhihan1996/DNABERT-2-117M, or allow the hub."
            )
        return _stand_in(asked, "as asked")
    cached = _cached(asked)
    if cached is not None:
        said = f"{asked}: {_measure(cached, entry.parameters if entry else None)}, from the local cache."
        return _say(ModelPath(str(cached), asked, "cache", said))
    trouble = _ask_hub(asked)
    if trouble is None:
        size = "" if entry is None else f" ({entry.parameters / 1e6:.0f} M parameters, {entry.size_bytes / 1e6:.0f} MB)"
        return _say(ModelPath(asked, asked, "hub", f"{asked}{size}, from the hub."))
    if entry is None or source == "hub":
        raise InputError(
            f"{asked} is not in the local cache and {trouble}; check the name and the connection, or give a folder."
        )
    return _stand_in(asked, trouble)


def _known_to_transformers() -> None:
    """Register DNABERT-2 with transformers' Auto classes, if transformers is in use at all.

    A folder that this package saved says `dnabert2`; until that name is known, AutoTokenizer warns of a model of
    another type. Whoever only wants to know where a model is, or its tokens, does not wait for torch.
    """
    if "transformers" in sys.modules:
        import_module("biollm_widgets.models.dnabert2")


def _stand_in(asked: str, because: str) -> ModelPath:
    entry = find(asked)
    assert entry is not None
    said = f"Stand-in for {entry.id} ({because}): {entry.stand_in_words}, {_measure(entry.stand_in, None)}."
    return _say(ModelPath(str(entry.stand_in), asked, "embedded", said))


def _say(path: ModelPath) -> ModelPath:
    """Print the line once a process: a tokenizer and a model from one place are one piece of news."""
    if path.said not in _said:
        _said.add(path.said)
        print(path.said, file=sys.stderr)
    return path


def _whole(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise InputError(
            f"The folder {folder} holds no model (no config.json); name the folder that save_pretrained wrote."
        )
    return folder


def _cached(name: str) -> Optional[Path]:
    """The newest snapshot in the Hugging Face cache that has both a config and weights, or None."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return None
    snapshot = Path(config).parent
    # A tokenizer asked for earlier leaves a config without weights: half a model is none.
    return snapshot if any((snapshot / weights).exists() for weights in WEIGHTS) else None


def _ask_hub(name: str) -> Optional[str]:
    """None when the hub has this model, else the reason as a clause of a sentence."""
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    if constants.HF_HUB_OFFLINE:
        return "the hub is switched off here (HF_HUB_OFFLINE)"
    try:
        # The client's own session, for its certificates, proxies and token, but not its calls: some of its versions
        # ask five times and print a paragraph each time when there is no network.
        url = hf_hub_url(name, "config.json")
        answer = get_session().head(url, headers=build_hf_headers(), timeout=HUB_TIMEOUT)
    except Exception:  # every way in which a network can fail, and each library's own name for it
        return "the hub does not answer"
    if answer.status_code < 400:
        return None
    if answer.headers.get("X-Error-Code") == "GatedRepo":
        return "the hub wants you to accept its licence and log in first"
    if answer.status_code in (401, 404):  # 401 is what the hub says of a name that it does not know
        return "the hub does not know it"
    return f"the hub answers with error {answer.status_code}"


def _measure(folder: Path, parameters: Optional[int]) -> str:
    """Parameters (read off the header of the safetensors file, nothing is loaded) and size on disk, in words."""
    weights = [folder / name for name in ("model.safetensors", "pytorch_model.bin") if (folder / name).exists()]
    if not weights:
        return "no weights yet" if not list(folder.glob("*.index.json")) else "weights in several files"
    size = weights[0].stat().st_size
    if weights[0].suffix == ".safetensors":
        with weights[0].open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        parameters = sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    count = "" if parameters is None else f"{parameters / 1e6:.{1 if parameters < 1e7 else 0}f} M parameters, "
    return f"{count}{size / 1e6:.{1 if size < 1e7 else 0}f} MB"
