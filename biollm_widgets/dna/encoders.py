"""The tokenizer and the encoder behind a model's name, without remote code, and the same network untrained."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, Union

from biollm_widgets.errors import InputError
from biollm_widgets.models.catalog import require
from biollm_widgets.models.loading import loading
from biollm_widgets.models.locate import locate
from biollm_widgets.tokenization import KmerTokenizer


def load_encoder(name: Union[str, os.PathLike] = "zhihan1996/DNABERT-2-117M") -> tuple[Any, Any]:
    """The tokenizer and the encoder (in float32, not training) of a model that `locate` finds.

    DNABERT-2 and DNABERT-S come as our own class, which their published configs do not name; any other encoder of
    transformers comes by `AutoModel`. With DNABERT comes `KmerTokenizer`, which cuts a plain sequence as it was
    trained to read it.

    Raises
    ------
    InputError
        When the model cannot be found, cannot be loaded without remote code, does not fill its architecture, or when
        the catalog knows that it makes no embeddings of DNA.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2Model

    require(os.fspath(name), "embed")
    path = locate(os.fspath(name))
    with loading(name):
        tokenizer = KmerTokenizer.of_vocabulary(Path(path) / "vocab.txt") or AutoTokenizer.from_pretrained(path)
        try:
            config = DNABert2Config.from_pretrained(path)
            ours = config.model_type == "dnabert2"
        except ValueError:  # the config of a stock BERT, which it refuses
            ours = False
        kind: Any = DNABert2Model if ours else AutoModel
        model, gaps = kind.from_pretrained(path, output_loading_info=True)
    # A checkpoint of another architecture that calls itself a BERT would be filled up with random numbers, in silence.
    # The pooler may be absent: no pooling here uses it.
    missing = sorted(key for key in gaps["missing_keys"] if "pooler." not in key)
    if missing:
        raise InputError(
            f"The weights of {name} do not fit the {type(model).__name__} that its config.json names "
            f"({len(missing)} are missing, {missing[0]} first); name another model."
        )
    return tokenizer, model.to(torch.float32).eval()


def random_twin(model: Any, seed: int = 1) -> Any:
    """The same network with the random weights it would start training from: the control for what pretraining adds.

    The random state of the caller is left as it was.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = type(model)(copy.deepcopy(model.config))
    parameter = next(model.parameters())
    return twin.to(device=parameter.device, dtype=parameter.dtype).eval()
