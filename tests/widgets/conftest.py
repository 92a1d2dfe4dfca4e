"""What the widgets' tests share: tokenizers that are always there, and a page that remembers what it was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from transformers import AutoTokenizer

from biollm_widgets.models.locate import locate


@pytest.fixture(scope="session")
def bpe() -> Any:
    """The embedded DNA model's tokenizer: BPE, of DNABERT-2's conventions."""
    return AutoTokenizer.from_pretrained(locate("zhihan1996/DNABERT-2-117M", source="embedded"))


@pytest.fixture(scope="session")
def protein_bpe() -> Any:
    """The embedded protein model's tokenizer: byte-level BPE, a line break is a token."""
    return AutoTokenizer.from_pretrained(locate("nferruz/ProtGPT2", source="embedded"))


@pytest.fixture(scope="session")
def dnabert2(shared_data: Path) -> Any:
    """DNABERT-2's published tokenizer, without transformers."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(shared_data / "dnabert2_tokenizer" / "tokenizer.json"))


@pytest.fixture(scope="session")
def protgpt2(shared_data: Path) -> Any:
    """ProtGPT2's, the same."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(shared_data / "protgpt2_tokenizer" / "tokenizer.json"))
