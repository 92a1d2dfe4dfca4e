"""The tokenizer and the network behind a protein model's name, without remote code; loaded once and kept."""

from __future__ import annotations

import os
import re
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple, Optional, Union
from weakref import WeakKeyDictionary

from biollm_widgets.errors import InputError
from biollm_widgets.models.catalog import CATALOG, require
from biollm_widgets.models.loading import loading
from biollm_widgets.models.locate import ModelPath, locate

MODEL = "nferruz/ProtGPT2"

_alone = RLock()  # two threads that ask at once get one model
_kept: dict[tuple[str, str], Generator] = {}
_lighter: WeakKeyDictionary[Any, dict[str, tuple[Any, Any]]] = WeakKeyDictionary()


class Generator(NamedTuple):
    """A causal language model of proteins, ready to write.

    Attributes
    ----------
    tokenizer, model
        Of transformers; the model in float32 (where its checkpoint is) and not training.
    path : ModelPath
        Where it came from.
    """

    tokenizer: Any
    model: Any
    path: ModelPath


def load_generator(name: Union[str, os.PathLike], device: Any = None) -> Generator:
    """The model that `locate` finds under this name, on `device` (a GPU if there is one, unless given).

    The last one loaded is kept, so that asking again costs nothing: ProtGPT2 takes 3 GB and a minute.

    Raises
    ------
    InputError
        When it cannot be found, cannot be loaded without remote code, or writes no text.
    """
    require(os.fspath(name), "generate")
    with _alone:
        return _loaded(name, device)


def _loaded(name: Union[str, os.PathLike], device: Any) -> Generator:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    path = locate(os.fspath(name))
    wanted = checked_device(device)
    key = (str(path), str(wanted))
    if key in _kept:
        return _kept[key]
    _kept.clear()  # before the next one comes, so that there are never two in memory
    with loading(name):
        config = AutoConfig.from_pretrained(path)
        if type(config) not in AutoModelForCausalLM._model_mapping or is_reader(config):
            raise InputError(
                f"{name} is a {config.model_type} model, which does not write sequences; name a causal language model "
                "of proteins, such as nferruz/ProtGPT2."
            )
        tokenizer = AutoTokenizer.from_pretrained(path)
        loaded: Any = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True)
    model, gaps = loaded
    # A tied head is no gap; anything else would be filled with random numbers, and the model would write noise.
    missing = sorted(set(gaps["missing_keys"]) - set(getattr(model, "_tied_weights_keys", None) or ()))
    if missing:
        raise InputError(
            f"The weights of {name} are incomplete ({missing[0]}"
            + (f" and {len(missing) - 1} more are missing" if len(missing) > 1 else " is missing")
            + "); fetch the model again."
        )
    if wanted.type == "cpu":
        model = model.float()  # a processor is slow, or wrong, in half precision
    _kept[key] = Generator(tokenizer, model.to(wanted).eval(), path)
    return _kept[key]


def generator_of(model: Any, tokenizer: Any = None, device: Any = None) -> Generator:
    """A model by name, one that `load_generator` gave, or another loaded one, which goes with its `tokenizer`.

    Raises
    ------
    InputError
        As `load_generator`, for a loaded model without its tokenizer, and for one that writes no text.
    """
    if isinstance(model, (str, os.PathLike, Generator)):
        found = model if isinstance(model, Generator) else load_generator(model, device)
        return found if tokenizer is None else found._replace(tokenizer=tokenizer)
    if tokenizer is None:
        raise InputError("A loaded model goes with its tokenizer; give tokenizer=AutoTokenizer.from_pretrained(...).")
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if head is None or not hasattr(model, "config") or is_reader(model.config):
        raise InputError(
            f"A {type(model).__name__} does not write sequences; load one with AutoModelForCausalLM.from_pretrained."
        )
    count = sum(parameter.numel() for parameter in model.parameters())
    name, stand_in = known_name(path_of(model)), stand_in_for(path_of(model)) is not None
    what = f"Stand-in for {name}" if stand_in else type(model).__name__
    said = f"{what}, {count / 1e6:.1f} M parameters, as given"
    return Generator(tokenizer, model, ModelPath(name, name, "embedded" if stand_in else "given", said))


def is_reader(config: Any) -> bool:
    """Whether a model reads in both directions or only rewrites, so that it cannot write token after token.

    transformers lists BERT among the models that write, since it can be made into one (`is_decoder`).
    """
    if getattr(config, "is_encoder_decoder", False):
        return True
    return hasattr(config, "type_vocab_size") and not getattr(config, "is_decoder", False)


def path_of(model: Any) -> str:
    """Where a loaded model, or one by name, was found: a folder or a name; empty where it does not say."""
    if isinstance(model, Generator):
        return model.path.name
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    return str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")


def stand_in_for(path: str) -> Optional[str]:
    """The id of the model whose small embedded stand-in lies in this folder, or None."""
    for entry in CATALOG:
        if entry.stand_in is not None and path and Path(path).expanduser().resolve() == entry.stand_in.resolve():
            return entry.id
    return None


def known_name(path: str) -> str:
    """What others call the model in this place: its id where it lies in the cache or is a stand-in, else the folder.

    A settings file travels, and the folders of one computer mean nothing on the next.
    """
    in_cache = re.search(r"models--([^/\\]+)[/\\]snapshots[/\\]", path)
    if in_cache:
        return in_cache[1].replace("--", "/", 1)
    return stand_in_for(path) or path or "a model without a name"


def checked_device(device: Any) -> Any:
    """The torch device of this name, or the best there is.

    Raises
    ------
    InputError
        When this machine has no such device.
    """
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        if found.type == "meta":
            raise TypeError("a device without memory")
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as problem:
        raise InputError(f"There is no device {device!r} here; use device='cpu', or leave it out.") from problem
    return found


def in_precision(model: Any, precision: str) -> Any:
    """A network that computes in `precision` and is not training; the caller's model is never touched.

    Itself where it is so already, else a copy that shares its parameters. A lighter copy is kept as long as the model
    is, and made anew when its parameters have changed.

    Raises
    ------
    InputError
        When this machine cannot compute that way.
    """
    from biollm_widgets.models.lighter import float32_copy, lighter_copy

    if precision == "float32":
        return model if _is_ready(model) else float32_copy(model)
    state = tuple((held.data_ptr(), held._version) for held in model.parameters() if not held.is_inference())
    with _alone:
        copies = _lighter.setdefault(model, {})
        if precision not in copies or copies[precision][0] != state:
            copies[precision] = (state, lighter_copy(in_precision(model, "float32"), precision, by_row=True))
        return copies[precision][1]


def _is_ready(model: Any) -> bool:
    import torch

    return not any(module.training for module in model.modules()) and not any(
        held.is_floating_point() and held.dtype != torch.float32 for held in model.parameters()
    )


def forget(model: Optional[Any] = None) -> None:
    """Let go of the model that is kept, so that its memory is free."""
    _kept.clear()
    if model is None:
        _lighter.clear()
    else:
        _lighter.pop(model, None)
