"""Each architecture that the catalog says is loadable, by name: as a small copy with random weights, laid out as on the
hub, in the cache of a learner without a network.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from biollm_widgets import cli
from biollm_widgets.dna.embedding import embed
from biollm_widgets.dna.encoders import load_encoder
from biollm_widgets.errors import InputError
from biollm_widgets.models import locate as locating
from biollm_widgets.models.dnabert2 import DNABert2Model
from biollm_widgets.tokenization import KmerTokenizer

SEQUENCES = ["ACGTAGCATCGGATCTATC", "TTTTGGGACCA"]
SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
# As the published configs have it: a pointer to code that is not run.
REMOTE = {"AutoModel": "dnabert_layer.DNABertModel", "AutoConfig": "configuration_bert.BertConfig"}


@pytest.fixture
def hub_cache(tmp_path, monkeypatch) -> Callable[[str], Path]:
    """An empty cache, no network; gives the folder in which a model's files go."""
    from huggingface_hub import constants

    monkeypatch.setattr(locating, "_said", set())
    monkeypatch.delenv("BIOLLM_MODELS", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def folder(name: str) -> Path:
        base = tmp_path / "cache" / f"models--{name.replace('/', '--')}"
        (base / "refs").mkdir(parents=True)
        (base / "refs" / "main").write_text("c0ffee")
        (base / "snapshots" / "c0ffee").mkdir(parents=True)
        return base / "snapshots" / "c0ffee"

    return folder


def as_published(folder: Path, model: Any, **changes: Any) -> None:
    """Weights in a `.bin`, and a config with the authors' changes, as these repositories have them."""
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.fixture
def dnabert(hub_cache) -> Any:
    """DNABERT-6: a stock BERT whose tokenizer files know words between blanks."""
    folder = hub_cache("zhihan1996/DNA_bert_6")
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=4101, initializer_range=0.2, **SMALL)).eval()
    as_published(folder, model, auto_map=REMOTE)
    (folder / "vocab.txt").write_text("\n".join(KmerTokenizer(6).vocab) + "\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "max_len": 512}')
    (folder / "special_tokens_map.json").write_text(json.dumps({"unk_token": "[UNK]", "cls_token": "[CLS]"}))
    return model


def test_dnabert_reads_kmers_of_a_plain_sequence(dnabert):
    tokenizer, encoder = load_encoder("DNABERT")
    assert isinstance(tokenizer, KmerTokenizer) and tokenizer.k == 6
    vectors = embed(SEQUENCES, tokenizer, encoder, progress=False)
    for sequence, vector in zip(SEQUENCES, vectors, strict=True):
        # As the authors feed it: k-mers with a blank between them.
        spaced = " ".join(sequence[i : i + 6] for i in range(len(sequence) - 5))
        words = [KmerTokenizer(6).vocab[word] for word in spaced.split()]
        with torch.no_grad():
            hidden = dnabert.bert(torch.tensor([[2, *words, 3]])).last_hidden_state
        np.testing.assert_allclose(vector, hidden[0].mean(0).numpy(), atol=1e-5)
    # What the published tokenizer files alone would do: the whole sequence as one unknown word.
    assert KmerTokenizer(6)(SEQUENCES[0])["input_ids"] != [2, 1, 3]


def test_dnabert_stops_at_its_512_positions_with_a_sentence(dnabert):
    tokenizer, encoder = load_encoder("zhihan1996/DNA_bert_6")
    with pytest.raises(InputError, match="Sequence 1 is 597 tokens long, more than the 512 that are allowed"):
        embed(["ACGT" * 150], tokenizer, encoder, progress=False)


def test_dnabert_tokens_on_the_command_line_cost_no_torch(dnabert, capsys):
    with pytest.raises(SystemExit) as end:
        cli.run(["tokenize", "--tokenizer", "DNABERT", "ACGTAGCATN"])
    out, err = capsys.readouterr()
    assert end.value.code == 0
    assert "ACGTAG" in out and "10 bases became 5 tokens" in out and "1 unknown" in out
    assert "zhihan1996/DNA_bert_6: the tokenizer, from the local cache." in err


@pytest.mark.parametrize("damage", ["order", "missing", "other"])
def test_another_vocabulary_is_not_taken_for_dnaberts(tmp_path, damage):
    words = list(KmerTokenizer(3).vocab)
    changed = {"order": [*words[:5], words[6], words[5], *words[7:]], "missing": words[:-1], "other": ["[PAD]", "A"]}
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    assert KmerTokenizer.of_vocabulary(tmp_path / "vocab.txt").k == 3
    (tmp_path / "vocab.txt").write_text("\n".join(changed[damage]))
    assert KmerTokenizer.of_vocabulary(tmp_path / "vocab.txt") is None
    assert KmerTokenizer.of_vocabulary(tmp_path / "nowhere.txt") is None


@pytest.fixture
def dnabert_s(hub_cache, shared_data) -> Path:
    """DNABERT-2's architecture, of which the authors saved the bare encoder: parameters without the prefix `bert.`."""
    folder = hub_cache("zhihan1996/DNABERT-S")
    published = shared_data / "dnabert2_reference" / "model"
    weights = torch.load(published / "pytorch_model.bin", weights_only=True)
    bare = {key.removeprefix("bert."): value for key, value in weights.items() if key.startswith("bert.")}
    torch.save(bare, folder / "pytorch_model.bin")
    config = json.loads((published / "config.json").read_text())
    config.update(architectures=["BertModel"], _name_or_path="zhihan1996/DNABERT-2-117M")
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((shared_data / "dnabert2_tokenizer" / name).read_bytes())
    return published


def test_dnabert_s_is_loaded_by_dnabert_2s_class(dnabert_s):
    published = dnabert_s
    tokenizer, encoder = load_encoder("DNABERT-S")
    assert isinstance(encoder, DNABert2Model)
    known = DNABert2Model.from_pretrained(published).eval()
    batch = tokenizer(SEQUENCES[0], return_tensors="pt")
    with torch.no_grad():
        ours, theirs = (model(**batch).last_hidden_state for model in (encoder.eval(), known))
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_grover_is_a_bert_with_a_bpe_of_its_own(hub_cache, shared_data):
    folder = hub_cache("PoetschLab/GROVER")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    bpe = Tokenizer(models.BPE(unk_token="[UNK]"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    lines = (shared_data / "ecoli_coding_noncoding.csv").read_text().splitlines()[1:200]
    bpe.train_from_iterator(
        [line.split(",")[0] for line in lines],
        trainers.BpeTrainer(vocab_size=609, special_tokens=special, show_progress=False),
    )
    bpe.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=bpe, **names).save_pretrained(folder)
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=609, initializer_range=0.2, **SMALL)).eval()
    as_published(folder, model)

    tokenizer, encoder = load_encoder("GROVER")
    vectors = embed(SEQUENCES, tokenizer, encoder, progress=False)
    for sequence, vector in zip(SEQUENCES, vectors, strict=True):
        with torch.no_grad():
            hidden = model.bert(torch.tensor([bpe.encode(sequence).ids])).last_hidden_state
        np.testing.assert_allclose(vector, hidden[0].mean(0).numpy(), atol=1e-5)


def test_a_checkpoint_that_only_calls_itself_a_bert_is_not_filled_up_with_random_numbers(dnabert, tmp_path):
    """As DNABERT-2's own is, without its `alibi_starting_size`: transformers would say so in a table at most."""
    path = locating.locate("DNABERT")
    weights = torch.load(Path(path) / "pytorch_model.bin", weights_only=True)
    for part in ("query", "key", "value"):
        for kind in ("weight", "bias"):
            weights.pop(f"bert.encoder.layer.1.attention.self.{part}.{kind}")
    torch.save(weights, Path(path) / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"do not fit the BertModel .*6 are missing, encoder.layer.1.attention"):
        load_encoder("DNABERT")


def test_esmfolds_tokens_on_the_command_line(hub_cache, capsys):
    """The 33 words that transformers itself gives for a folding model; the weights play no part."""
    folder = hub_cache("facebook/esmfold_v1")
    words = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>"]
    assert len(words) == 33
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "EsmTokenizer"}')
    (folder / "config.json").write_text('{"model_type": "esm", "architectures": ["EsmForProteinFolding"]}')
    with pytest.raises(SystemExit) as end:
        cli.run(["tokenize", "--protein", "--wrap", "0", "--tokenizer", "ESMFold", "MKTAYIAK", "--json"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    (record,) = json.loads(out)["records"]
    assert record["ids"] == [0, *(words.index(letter) for letter in "MKTAYIAK"), 2]
    assert [token["text"] for token in record["tokens"]][1:-1] == list("MKTAYIAK")


def test_what_cannot_be_embedded_is_a_sentence_and_not_a_download(hub_cache, capsys, tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGTACGT\n")
    for name, words in (("HyenaDNA", "never runs"), ("nferruz/ProtGPT2", "makes no embeddings of proteins")):
        with pytest.raises(SystemExit) as end:
            cli.run(["embed", str(tmp_path / "a.fa"), "--model", name, "--out", str(tmp_path / "a.npz")])
        assert end.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["DNABERT", "DNABERT-S"])
def test_fine_tuning_takes_them_by_name(kind, hub_cache, dnabert, dnabert_s, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [f"{sequence[: 18 - i]}ACGT{'GC' * i},{i % 2}" for i in range(4) for sequence in (SEQUENCES[0], "GGCC" * 5)]
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.csv").write_text("sequence,label\n" + "\n".join(rows) + "\n")
    kmers = ["--kmer", "6"] if kind == "DNABERT" else []
    with pytest.raises(SystemExit) as end:
        cli.run(
            ["finetune", "--model_name_or_path", kind, *kmers, "--data_path", ".", "--model_max_length", "32",
             "--max_steps", "1", "--per_device_train_batch_size", "4", "--output_dir", "out"]
        )  # fmt: skip
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    # Only what no checkpoint of a language model has is new.
    (new,) = [line for line in (out + err).splitlines() if line.startswith("New, not pretrained: ")]
    assert new in ("New, not pretrained: bert.pooler.dense, classifier.", "New, not pretrained: classifier.")


def test_what_cannot_be_fine_tuned_is_a_sentence(hub_cache, tmp_path, capsys):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.csv").write_text("sequence,label\nACGT,0\nACGG,1\n")
    with pytest.raises(SystemExit) as end:
        cli.run(["finetune", "--model_name_or_path", "HyenaDNA", "--data_path", str(tmp_path)])
    assert end.value.code == 2
    assert "HyenaDNA cannot be loaded here: it needs code from its own repository" in capsys.readouterr().err


def test_the_published_tokenizer_of_protgpt2_loads_by_name(hub_cache, shared_data):
    folder = hub_cache("nferruz/ProtGPT2")
    for file in (shared_data / "protgpt2_tokenizer").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    path = locating.locate("ProtGPT2", weights=False)
    assert AutoTokenizer.from_pretrained(path)("<|endoftext|>\n")["input_ids"] == [0, 199]
