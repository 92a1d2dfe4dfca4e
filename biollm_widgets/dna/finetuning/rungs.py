"""The ladder: what is trained, from a head on stored embeddings to every weight."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from biollm_widgets.dna.finetuning.classifier import FineTunedClassifier
from biollm_widgets.dna.finetuning.flags import PUBLISHED_LORA_TARGETS, Flags
from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.models.dnabert2 import DNABert2Config

LORA_TARGET = "Wqkv"
# What transformers 5 calls a fast tokenizer without a class of its own in the file it saves; 4.50 knows the other name.
V5_NAME, OLD_NAME = "TokenizersBackend", "PreTrainedTokenizerFast"


@dataclass
class Ready:
    """A model whose trainable weights are those of its rung.

    Attributes
    ----------
    model
        For the Trainer; with LoRA a `PeftModel` around the classifier.
    native
        Whether it is our DNABERT-2; else some other classifier of transformers.
    stored
        Whether it is fed with stored states instead of tokens.
    weights
        A short text that changes with any pretrained weight; the new layers do not count.
    notes
        What a person should know, a sentence each.
    """

    model: Any
    native: bool
    stored: bool
    weights: str
    notes: list[str]

    @property
    def trained(self) -> int:
        """How many numbers are trained."""
        return sum(weight.numel() for weight in self.model.parameters() if weight.requires_grad)

    @property
    def parameters(self) -> int:
        """How many numbers there are in all."""
        return sum(weight.numel() for weight in self.model.parameters())


def load_tokenizer(path: str, flags: Flags) -> PreTrainedTokenizerBase:
    """The tokenizer beside the model, padding on the right."""
    options: dict[str, Any] = {"cache_dir": flags.cache_dir, "padding_side": "right", "trust_remote_code": False}
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        config = Path(path) / "tokenizer_config.json"
        if config.is_file() and json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") == V5_NAME:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(path, **options)
        else:
            tokenizer = AutoTokenizer.from_pretrained(path, use_fast=True, **options)
    except (OSError, ValueError, KeyError, ImportError) as problem:
        raise InputError(
            f"{flags.model_name_or_path} has no tokenizer that loads without remote code ({first_line(problem)}); "
            "name another model."
        ) from problem
    finally:
        transformers_logging.set_verbosity(verbosity)
    if "InstaDeepAI" in flags.model_name_or_path:  # as in train.py: these have no end-of-sequence token of their own
        tokenizer.eos_token = tokenizer.pad_token
    if tokenizer.pad_token_id is None:
        raise InputError(f"The tokenizer of {flags.model_name_or_path} has no padding token; name another model.")
    return tokenizer


def portable_tokenizer(folder: Path) -> None:
    """Let a tokenizer that transformers 5 has saved load in transformers 4 too."""
    path = folder / "tokenizer_config.json"
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.get("tokenizer_class") == V5_NAME:
            config["tokenizer_class"] = OLD_NAME
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_model(path: str, flags: Flags, num_labels: int) -> Ready:
    """The classifier in float32 with a head for `num_labels`, every weight still to be trained."""
    options: dict[str, Any] = {"cache_dir": flags.cache_dir}
    try:
        config = DNABert2Config.from_pretrained(path, **options)
        native = config.model_type == "dnabert2" and _is_dnabert2(path, options)
    except ValueError:  # a stock BERT
        native = False
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # its table of new weights; we say it in a sentence
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if native:
                config.num_labels = num_labels
                family: Any = FineTunedClassifier
                model, info = family.from_pretrained(path, config=config, output_loading_info=True, **options)
            else:
                family = AutoModelForSequenceClassification
                model, info = family.from_pretrained(
                    path,
                    num_labels=num_labels,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                    trust_remote_code=False,
                    **options,
                )
    except (OSError, ValueError, KeyError, RuntimeError) as problem:
        raise InputError(
            f"{flags.model_name_or_path} cannot be loaded as a classifier of sequences without remote code "
            f"({first_line(problem)}); name a DNABERT-2 or another model of transformers."
        ) from problem
    finally:
        transformers_logging.set_verbosity(verbosity)
    new = sorted({name.rsplit(".", 1)[0] for name in info["missing_keys"]})
    # A checkpoint that lacks most of the model is not that model: it would train on noise and say nothing.
    if len(info["missing_keys"]) > len(list(model.parameters())) / 2:
        raise InputError(
            f"{flags.model_name_or_path} holds hardly any weight of a {type(model).__name__}; name the right folder."
        )
    notes = [f"New, not pretrained: {', '.join(new)}."] if new else []
    model.float()
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if name not in info["missing_keys"]:
            digest.update(tensor.contiguous().numpy().tobytes())
    return Ready(model, native, False, digest.hexdigest()[:16], notes)


def _is_dnabert2(path: str, options: dict[str, Any]) -> bool:
    # DNABert2Config accepts any config that is no stock BERT, so ask the file what it is.
    try:
        config, _ = DNABert2Config.get_config_dict(path, **options)
    except OSError:
        return False
    return config.get("model_type") == "dnabert2"


def climb(path: str, flags: Flags, num_labels: int) -> Ready:
    """Load the model and make its rung ready: freeze what stays, add what LoRA adds.

    Raises
    ------
    InputError
        When the model cannot be loaded, has no such layers, or peft is missing.
    """
    ready = load_model(path, flags, num_labels)
    model = ready.model
    if flags.rung == "full":
        return ready
    if flags.rung == "lora":
        ready.model = add_lora(model, flags, ready.native, ready.notes)
        return ready
    if not ready.native:
        raise InputError(
            f"--rung {flags.rung} is for DNABERT-2, and {flags.model_name_or_path} is a {type(model).__name__}; "
            "take --rung lora or full."
        )
    layers = len(model.bert.encoder.layer)
    if flags.rung == "top" and flags.top_layers >= layers:
        raise InputError(
            f"--top_layers {flags.top_layers} leaves nothing to store below: the model has {layers} layers; "
            f"give at most {layers - 1}, or take --rung full."
        )
    model.first_layer = layers if flags.rung == "head" else layers - flags.top_layers
    model.requires_grad_(False)
    for module in (*model.bert.encoder.layer[model.first_layer :], model.bert.pooler, model.classifier):
        module.requires_grad_(True)
    ready.stored = True
    return ready


def add_lora(model: Any, flags: Flags, native: bool, notes: list[str]) -> Any:
    """Wrap a classifier in peft's LoRA, training the head beside it."""
    try:
        import peft
    except ImportError:
        raise InputError("LoRA needs the package peft; install it with: python -m pip install peft") from None
    linear = sorted({name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, nn.Linear)})
    targets = [name.strip() for name in flags.lora_target_modules.split(",") if name.strip()]
    if native and flags.lora_target_modules == PUBLISHED_LORA_TARGETS:
        targets = [LORA_TARGET]
        notes.append(
            f"LoRA on {LORA_TARGET}: the published default, {PUBLISHED_LORA_TARGETS}, names no layer of DNABERT-2."
        )
    wrong = [name for name in targets if name not in linear]
    if wrong or not targets:
        raise InputError(
            f"--lora_target_modules {flags.lora_target_modules}: the model has no linear layer "
            f"{' and no '.join(wrong) or 'without a name'}; it has {', '.join(linear)}."
        )
    # The head is new, and so is the pooler in most checkpoints: frozen noise between the model and the head otherwise.
    head = [name for name, _ in model.named_children() if name in ("classifier", "score", "pre_classifier")]
    if getattr(getattr(model, "bert", None), "pooler", None) is not None:
        head.append("pooler")
    settings = peft.LoraConfig(
        r=flags.lora_r,
        lora_alpha=flags.lora_alpha,
        lora_dropout=flags.lora_dropout,
        target_modules=targets,
        modules_to_save=head,
        bias="none",
        task_type="SEQ_CLS",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks the model by a name that transformers 5 gave up
        return peft.get_peft_model(model, settings)


def merge_lora(model: Any) -> Any:
    """A LoRA model as one plain model: the added matrices are multiplied out into the layers they were added to."""
    return model.merge_and_unload()


def first_line(problem: BaseException, width: int = 160) -> str:
    """The beginning of a library's message, for a sentence of ours."""
    text = " ".join(str(problem).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def context_length(model: Any, native: bool) -> Optional[int]:
    """Longest input in tokens, or None when there is no limit (ALiBi)."""
    return None if native else getattr(model.config, "max_position_embeddings", None)


def seeded(seed: int) -> None:
    """Seed everything before the new layers are drawn, so that the same command gives the same run."""
    set_seed(seed)
