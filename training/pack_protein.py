"""Put a pretrained protein model into the package.

python -m training.pack_protein output/protein biollm_widgets/models/embedded/protein
"""

from __future__ import annotations

import argparse
from pathlib import Path

from transformers import GPT2LMHeadModel

from training.packing import pack

END = "<|endoftext|>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the folder that pretrain_protein worked in")
    parser.add_argument("target", type=Path, help="the folder in the package")
    args = parser.parse_args()

    model = GPT2LMHeadModel.from_pretrained(args.source)
    tensors = model.state_dict()
    # Tied to the word embeddings: stored once, tied again when loaded.
    tensors.pop("lm_head.weight")
    config = {
        **model.config.to_dict(),
        "architectures": ["GPT2LMHeadModel"],
        # As ProtGPT2's own file has them: the name of the same function, dropout for who trains on, a cache to write.
        "activation_function": "gelu_new",
        "attn_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "resid_pdrop": 0.1,
        "use_cache": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    }
    pack(args.source, args.target, tensors, config, {f"{kind}_token": END for kind in ("bos", "eos", "unk")})


if __name__ == "__main__":
    main()
