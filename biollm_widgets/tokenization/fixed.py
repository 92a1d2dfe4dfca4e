"""Tokenizers whose tokens all have one length: overlapping k-mers (DNABERT) and single letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import AMINO_ACIDS, BASES
from biollm_widgets.tokenization.columns import Found, Words

# The first five lines of DNABERT's published vocab.txt, in its order (DNABERT-2 has another).
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)
# DNABERT's vocabularies list the k-mers in this order of bases: AAA, AAT, AAC, AAG, ATA, ...
DNABERT_ORDER = "ATCG"
MOST_K = 12  # 16.8 million tokens; published models use 3 to 6


class FixedTokenizer:
    """What k-mers and letters share: windows of `k` letters, one letter on each step, between [CLS] and [SEP].

    Calls like a Hugging Face tokenizer where that makes sense, so that code can take either.
    """

    unk_token, pad_token, cls_token, sep_token, mask_token = "[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"
    pad_token_id, unk_token_id, cls_token_id, sep_token_id, mask_token_id = PAD, UNK, CLS, SEP, MASK
    all_special_ids = (PAD, UNK, CLS, SEP, MASK)

    def __init__(self, letters: str, k: int) -> None:
        self.letters = letters
        self.k = k

    def __repr__(self) -> str:
        return f"{type(self).__name__}(letters={self.letters!r}, k={self.k})"

    @property
    def vocab_size(self) -> int:
        return len(SPECIAL) + len(self.letters) ** self.k

    def __len__(self) -> int:
        return self.vocab_size

    @cached_property
    def vocab(self) -> dict[str, int]:
        """Token to id: the five special tokens, then every word of `k` letters, the last letter changing fastest."""
        words = map("".join, product(self.letters, repeat=self.k))
        return {word: number for number, word in enumerate((*SPECIAL, *words))}

    def get_vocab(self) -> dict[str, int]:
        return dict(self.vocab)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The ids of one text; [UNK] for a window with a letter that is not in the alphabet."""
        ids = self._windows(text).tolist()
        return [CLS, *ids, SEP] if add_special_tokens else ids

    def __call__(
        self,
        text: Union[str, Sequence[str]],
        add_special_tokens: bool = True,
        padding: bool = False,
        return_tensors: Optional[str] = None,
        return_special_tokens_mask: bool = False,
        **ignored: Any,
    ) -> dict[str, Any]:
        """`input_ids` and `attention_mask` of a text or of a list of texts: lists, or "np" or "pt" arrays (n, longest).

        With `return_special_tokens_mask` also `special_tokens_mask`: 1 for [CLS], [SEP] and padding. [UNK] is 0: it
        stands for a part of the sequence.

        Raises
        ------
        InputError
            When arrays are asked for and the texts differ in length, unless padded.
        """
        many = [text] if isinstance(text, str) else list(text)
        rows = [self.encode(one, add_special_tokens) for one in many]
        longest = max(map(len, rows), default=0)
        if return_tensors and not padding and any(len(row) != longest for row in rows):
            raise InputError("The texts have different numbers of tokens; pass padding=True to put them in one array.")
        to = longest if padding else 0
        gaps = [max(0, to - len(row)) for row in rows]
        found = {
            "input_ids": [row + [PAD] * gap for row, gap in zip(rows, gaps, strict=True)],
            "attention_mask": [[1] * len(row) + [0] * gap for row, gap in zip(rows, gaps, strict=True)],
        }
        if return_special_tokens_mask:
            found["special_tokens_mask"] = [
                [int(number in (PAD, CLS, SEP)) for number in row] for row in found["input_ids"]
            ]
        if return_tensors is None:
            return {key: values[0] for key, values in found.items()} if isinstance(text, str) else found
        if return_tensors == "np":
            return {key: np.array(values, dtype=np.int64) for key, values in found.items()}
        if return_tensors == "pt":
            import torch

            return {key: torch.tensor(values) for key, values in found.items()}
        raise InputError(f"return_tensors is np or pt, not {return_tensors!r}.")

    def convert_ids_to_tokens(self, ids: Union[int, Iterable[int]]) -> Any:
        """The name of an id, or of each of several. Raises InputError for a number outside the vocabulary."""
        if isinstance(ids, (int, np.integer)):
            return self._name(int(ids))
        return [self._name(int(number)) for number in ids]

    def convert_tokens_to_ids(self, tokens: Union[str, Iterable[str]]) -> Any:
        if isinstance(tokens, str):
            return self.vocab.get(tokens, UNK)
        return [self.vocab.get(token, UNK) for token in tokens]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text back: the first letter of each window and the rest of the last. Unknown ones are written `[UNK]`."""
        names = [self._name(int(number)) for number in ids]
        known = [name for name in names if name not in SPECIAL or (name == "[UNK]") or not skip_special_tokens]
        if any(name in SPECIAL for name in known):
            return " ".join(known)  # windows cannot be laid over each other with a hole between them
        return "".join(name[0] for name in known) + (known[-1][1:] if known else "")

    def find(self, text: str, add_special_tokens: bool = True) -> Found:
        """The tokens with their spans, for `tokenize`."""
        ids = self._windows(text)
        starts = np.arange(len(ids), dtype=np.int32)
        ends = starts + self.k
        if add_special_tokens:
            # [SEP] has its place here, behind the text even where that is too short for a window.
            ids = np.concatenate(([CLS], ids, [SEP]))
            starts = np.concatenate(([0], starts, [len(text)]))
            ends = np.concatenate(([0], ends, [len(text)]))
        special = (ids == CLS) | (ids == SEP)  # no window has one of these ids
        nothing = np.zeros(len(ids), dtype=bool)
        unknown = ids == UNK
        names = dict(enumerate(SPECIAL))  # any other id is called as its letters are
        words = Words(names, known=self.letters if unknown.any() else "", count=self.vocab_size - len(SPECIAL))
        return Found(ids, starts, ends, nothing, special, unknown, words)

    def _windows(self, text: str) -> np.ndarray:
        """The id of each window, shape (max(0, len(text) - k + 1),): digits in base len(letters), no loop over text."""
        if not isinstance(text, str):
            raise InputError(f"A tokenizer reads text, not {type(text).__name__}; give a str.")
        if len(text) < self.k:
            return np.empty(0, dtype=np.int64)
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        table = np.full(128, -1, dtype=np.int64)
        table[[ord(letter) for letter in self.letters]] = np.arange(len(self.letters))
        digits = np.where(codes < 128, table[np.minimum(codes, 127)], -1)
        count = len(text) - self.k + 1
        ids = np.zeros(count, dtype=np.int64)
        whole = np.ones(count, dtype=bool)
        for step in range(self.k):
            window = digits[step : step + count]
            ids = ids * len(self.letters) + window
            whole &= window >= 0
        return np.where(whole, ids + len(SPECIAL), UNK)

    def _name(self, number: int) -> str:
        if not 0 <= number < self.vocab_size:
            raise InputError(f"There is no token {number}; this vocabulary has 0 to {self.vocab_size - 1}.")
        if number < len(SPECIAL):
            return SPECIAL[number]
        number -= len(SPECIAL)
        word = ""
        for _ in range(self.k):
            number, digit = divmod(number, len(self.letters))
            word = self.letters[digit] + word
        return word


class KmerTokenizer(FixedTokenizer):
    """Overlapping k-mers as DNABERT reads them: n bases give n - k + 1 tokens between [CLS] and [SEP].

    Ids are those of DNABERT's published vocabularies (`vocab.txt` of DNABERT-3 to DNABERT-6): [PAD] 0, [UNK] 1,
    [CLS] 2, [SEP] 3, [MASK] 4, then AAA, AAT, AAC, AAG, ATA and so on, 4^k + 5 in all. A k-mer with any letter but A,
    C, G, T is [UNK], so one N makes k tokens unknown. A sequence shorter than k has no tokens of its own.

    Parameters
    ----------
    k : int
        Bases a token, 1 to 12.

    References
    ----------
    Ji et al. 2021, DNABERT. Bioinformatics 37:2112.
    """

    def __init__(self, k: int = 6) -> None:
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MOST_K:
            raise InputError(f"A k-mer has 1 to {MOST_K} bases, not {k!r}; DNABERT was trained with 3, 4, 5 and 6.")
        super().__init__(DNABERT_ORDER, int(k))

    def __repr__(self) -> str:
        return f"KmerTokenizer({self.k})"

    @classmethod
    def of_vocabulary(cls, file: Path) -> Optional[KmerTokenizer]:
        """The tokenizer whose vocabulary a `vocab.txt` of DNABERT's is, word for word; None for any other file.

        DNABERT's own files make a tokenizer of words between blanks, for which "ACGTACGT" is one unknown word.
        """
        try:
            words = file.read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return None
        k = len(words[-1]) if words else 0
        if not 1 <= k <= MOST_K or len(words) != len(SPECIAL) + len(DNABERT_ORDER) ** k:
            return None
        tokenizer = cls(k)
        return tokenizer if words == list(tokenizer.vocab) else None


class CharTokenizer(FixedTokenizer):
    """One token a letter, between [CLS] and [SEP]; special ids as in `KmerTokenizer`, letters from 5 on.

    Parameters
    ----------
    alphabet : str
        "dna" for ACGT, "protein" for the twenty amino acids, or the letters themselves in the order of their ids.

    Raises
    ------
    InputError
        For an empty alphabet, a letter given twice, white space, or letters beyond ASCII.
    """

    def __init__(self, alphabet: str = "dna") -> None:
        letters = {"dna": BASES, "protein": AMINO_ACIDS}.get(alphabet, alphabet)
        if not isinstance(letters, str) or not letters:
            raise InputError("An alphabet is dna, protein or at least one letter.")
        twice = next((letter for letter in letters if letters.count(letter) > 1), None)
        if twice is not None:
            raise InputError(f"The alphabet {letters!r} has {twice!r} twice; give each letter once.")
        if not letters.isascii() or any(letter.isspace() for letter in letters):
            raise InputError(f"The alphabet {letters!r} has white space or letters beyond ASCII; leave them out.")
        super().__init__(letters, 1)

    def __repr__(self) -> str:
        return f"CharTokenizer({self.letters!r})"
