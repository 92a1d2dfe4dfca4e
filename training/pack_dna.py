"""Put a pretrained DNA model into the package.

python -m training.pack_dna output/dna biollm_widgets/models/embedded/dna
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from biollm_widgets.models.dnabert2 import DNABert2ForMaskedLM
from training.packing import pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the folder that pretrain_dna worked in")
    parser.add_argument("target", type=Path, help="the folder in the package")
    args = parser.parse_args()

    model = DNABert2ForMaskedLM.from_pretrained(args.source)
    tensors = model.state_dict()
    # Tied to the word embeddings: stored once, tied again when loaded.
    tensors.pop("cls.predictions.decoder.weight")
    # Masked-LM trains no pooler. The identity hands the [CLS] vector on through tanh: a fresh classifier then starts
    # from what was learned, and loading draws no random numbers.
    tensors["bert.pooler.dense.weight"] = torch.eye(model.config.hidden_size)
    tensors["bert.pooler.dense.bias"] = torch.zeros(model.config.hidden_size)
    config = {**model.config.to_dict(), "architectures": ["DNABert2ForMaskedLM"], "hidden_dropout_prob": 0.1}
    special = {f"{kind}_token": f"[{kind.upper()}]" for kind in ("unk", "cls", "sep", "pad", "mask")}
    pack(args.source, args.target, tensors, config, special)


if __name__ == "__main__":
    main()
