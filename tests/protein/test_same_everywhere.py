"""The same seed and settings give the same proteins on every version of transformers: these, letter by letter.

They change when the embedded model is made anew; `python -m tests.protein.test_same_everywhere` prints them.
"""

from __future__ import annotations

import hashlib
import json

import pytest
from transformers import __version__

from biollm_widgets import cli
from biollm_widgets.protein.generation import generate

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"
CALLS = {
    "from nothing": {"n": 10, "seed": 1},
    "from a motif": {"prompt": MOTIF, "n": 3, "seed": 2, "max_length": 120},
    "other settings": {"n": 4, "seed": 3, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.0},
    "long": {"n": 2, "seed": 4, "max_length": 700},
}
EXPECTED = {
    "from nothing": "0155a63032639cbb",
    "from a motif": "fa006f5d0441afa6",
    "other settings": "32f94d6ad55c8788",
    "long": "9396ac5ab940cd80",
}
FIRST = (
    "MNLKKPLIYPPLLSTALMLGVIYSISGISKLPKARSVTHHPRASGQLKKENNGTVNFGATIDLNDGADNSVQFVIDVVEPKFVTPDYKEIWFTQGYDTSK"
    "SSSEVEGPPRLGGVPPATLSKFIAEDAEFSCGYQFNKQRFPSHESFKSNVSYKIVCSISGNKLS"
)


def digest(sequences: list[str]) -> str:
    return hashlib.sha256("\n".join(sequences).encode()).hexdigest()[:16]


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")


@pytest.mark.parametrize("call", list(CALLS))
def test_python_makes_these_sequences(call):
    made = generate(**CALLS[call], progress=False)
    assert digest(made.sequences) == EXPECTED[call], f"transformers {__version__} makes others"
    if call == "from nothing":
        assert made.sequences[0] == FIRST


def test_the_command_makes_the_same(capsys):
    with pytest.raises(SystemExit) as end:
        cli.run(["generate", MOTIF, "-n", "3", "--seed", "2", "--max-length", "120", "--json"])
    assert end.value.code == 0
    designs = {row["name"]: row["sequence"] for row in json.loads(capsys.readouterr().out)["designs"]}
    assert digest([designs[f"design_{i}"] for i in (1, 2, 3)]) == EXPECTED["from a motif"]


if __name__ == "__main__":
    for name, settings in CALLS.items():
        sequences = generate(**settings, progress=False).sequences
        print(name, digest(sequences), sequences[0])
