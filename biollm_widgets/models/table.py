"""The catalog as a table for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.models.cache import count_in_words, in_words
from biollm_widgets.models.catalog import CATALOG

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "not known"


def known_models(alphabet: Optional[str] = None) -> pd.DataFrame:
    """The models that the lessons name, one a row: what they are, how large, and whether they can be loaded here.

    Parameters
    ----------
    alphabet : {"dna", "protein"}, optional
        Those that read this alone.

    Returns
    -------
    DataFrame with the names as its index and the columns architecture, trained for, tokens, parameters, size (of one
    weight format), licence, and here: what this package does with it, or why it does not.

    Raises
    ------
    InputError
        For another alphabet.
    """
    import pandas as pd

    if alphabet not in (None, "dna", "protein"):
        raise InputError(f'alphabet is "dna" or "protein", not {alphabet!r}.')
    rows = {
        model.name: {
            "architecture": model.architecture,
            "trained for": model.task,
            "tokens": model.tokenizer,
            "parameters": count_in_words(model.parameters) if model.parameters else UNKNOWN,
            "size": in_words(model.size_bytes) if model.size_bytes else UNKNOWN,
            "licence": model.licence or UNKNOWN,
            "here": ", ".join(model.verbs) if model.loadable else f"not loaded: {model.obstacle}",
        }
        for model in CATALOG
        if alphabet in (None, model.alphabet)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
