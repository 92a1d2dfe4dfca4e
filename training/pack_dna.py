"""Put a pretrained DNA model into the package: half precision, one small folder that `from_pretrained` takes.

python -m training.pack_dna output/dna biollm_widgets/models/embedded/dna
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from biollm_widgets.models.dnabert2 import DNABert2ForMaskedLM

LIMIT = 6_000_000  # bytes for the whole folder: it comes along with every `pip install`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the folder that pretrain_dna worked in")
    parser.add_argument("target", type=Path, help="the folder in the package")
    args = parser.parse_args()

    model = DNABert2ForMaskedLM.from_pretrained(args.source)
    tensors = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    # Tied to the word embeddings: stored once, tied again when loaded.
    tensors.pop("cls.predictions.decoder.weight")
    # Masked-LM trains no pooler. The identity hands the [CLS] vector on through tanh: a fresh classifier then starts
    # from what was learned, and loading draws no random numbers.
    tensors["bert.pooler.dense.weight"] = torch.eye(model.config.hidden_size).half()
    tensors["bert.pooler.dense.bias"] = torch.zeros(model.config.hidden_size).half()

    args.target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, args.target / "model.safetensors", metadata={"format": "pt"})
    # Stored in half precision to be small, loaded in single precision to be exact: transformers 5 takes this to heart.
    config = model.config.to_dict()
    for key in ("_name_or_path", "transformers_version", "dtype"):
        config.pop(key, None)
    config.update(torch_dtype="float32", architectures=["DNABert2ForMaskedLM"], hidden_dropout_prob=0.1)
    config = {key: value for key, value in sorted(config.items()) if value is not None}
    (args.target / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copyfile(args.source / "tokenizer.json", args.target / "tokenizer.json")
    # As DNABERT-2's own file has it, and no more: newer versions of transformers add fields that older ones refuse.
    special = {f"{kind}_token": f"[{kind.upper()}]" for kind in ("unk", "cls", "sep", "pad", "mask")}
    (args.target / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **special}, indent=2) + "\n"
    )
    shutil.copyfile(args.source / "log.jsonl", args.target / "training_log.jsonl")
    for file in args.target.iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner may read
    size = sum(file.stat().st_size for file in args.target.iterdir() if file.is_file())
    print(f"{args.target}: {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SystemExit(f"That is more than {LIMIT / 1e6:.0f} MB; pretrain a smaller model.")


if __name__ == "__main__":
    main()
