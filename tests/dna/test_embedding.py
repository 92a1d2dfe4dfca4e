"""`embed`: the same vector wherever a sequence stands, on any encoder, and sentences for mistakes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel, RobertaConfig, RobertaModel

from biollm_widgets.dna.embedding import OddSequences, embed, embed_with_report
from biollm_widgets.dna.embedding import work as work_module
from biollm_widgets.dna.embedding.batches import deal, plan, spread
from biollm_widgets.dna.embedding.parts import PartFolder, part_folder
from biollm_widgets.dna.embedding.precision import fidelity
from biollm_widgets.errors import InputError
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForSequenceClassification, DNABert2Model
from biollm_widgets.models.lighter import Int8Linear, PackedLinear, lighter_copy, packed_copy

SHAPE = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}


@pytest.fixture(scope="module")
def tokenizer(shared_data):
    return AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")


@pytest.fixture(scope="module")
def windows(shared_data):
    """40 real windows of 90 to 420 bases."""
    return pd.read_csv(shared_data / "ecoli_coding_noncoding.csv")["DNA_sequence"].iloc[:40].tolist()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return DNABert2Model(DNABert2Config(initializer_range=0.2, **SHAPE)).eval()


@pytest.fixture(scope="module")
def bert():
    torch.manual_seed(0)
    return BertModel(BertConfig(vocab_size=4096, initializer_range=0.2, **SHAPE)).eval()


@pytest.fixture(scope="module")
def alone(windows, tokenizer, model):
    """What each window gives when nothing else is there, by the model's own padded forward and a plain mean."""
    with torch.no_grad():
        return np.stack([model(torch.tensor([tokenizer(text)["input_ids"]]))[0][0].mean(0).numpy() for text in windows])


def quiet(*arguments, **options):
    return embed(*arguments, progress=False, **options)


@pytest.mark.parametrize("batch_tokens", [1, 100, 700, 100_000])
def test_the_same_vector_alone_and_in_any_batch(windows, tokenizer, model, alone, batch_tokens):
    vectors = quiet(windows, tokenizer, model, batch_tokens=batch_tokens)
    assert vectors.dtype == np.float32
    assert np.abs(vectors - alone).max() < 1e-5


def test_the_same_vector_at_any_place(windows, tokenizer, model, alone):
    order = np.random.default_rng(0).permutation(len(windows))
    vectors = quiet([windows[i] for i in order], tokenizer, model)
    assert np.abs(vectors - alone[order]).max() < 1e-5
    assert np.abs(quiet(windows[3], tokenizer, model) - alone[3]).max() < 1e-5


def test_enough_tokens_for_packed_weights_give_the_same_vector(windows, tokenizer, model, alone, monkeypatch):
    used = []
    monkeypatch.setattr("biollm_widgets.dna.embedding.precision.FEW_TOKENS", 10)
    monkeypatch.setattr(
        "biollm_widgets.dna.embedding.precision.packed_copy", lambda m: used.append(packed_copy(m)) or used[-1]
    )
    vectors = quiet(windows, tokenizer, model)
    assert used  # the path under test was taken
    assert np.abs(vectors - alone).max() < 1e-5


def test_a_sequence_longer_than_a_block_of_queries_has_its_vector(tokenizer, model, windows):
    long = "".join(windows)[:6000]
    ids = tokenizer(long, verbose=False)["input_ids"]
    assert len(ids) > 1024
    with torch.no_grad():
        expected = model(torch.tensor([ids]))[0][0].mean(0).numpy()
    assert np.abs(quiet([windows[0], long], tokenizer, model)[1] - expected).max() < 1e-5


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("special_tokens", [True, False])
@pytest.mark.parametrize("layer", [-1, 0, 1, -2])
def test_pooling_is_over_real_tokens_of_the_layer_asked(
    windows, tokenizer, model, bert, pooling, special_tokens, layer
):
    for encoder in (model, bert):
        few = windows[:4]
        vectors = quiet(few, tokenizer, encoder, pooling, layer=layer, special_tokens=special_tokens)
        for text, vector in zip(few, vectors, strict=True):
            with torch.no_grad():
                ids = torch.tensor([tokenizer(text)["input_ids"]])
                hidden = encoder(ids, output_hidden_states=True).hidden_states[layer][0]
            inside = hidden if special_tokens else hidden[1:-1]
            expected = {"mean": inside.mean(0), "max": inside.amax(0), "cls": hidden[0]}[pooling]
            assert np.abs(vector - expected.numpy()).max() < 1e-5


def test_other_encoders_are_padded_and_masked(windows, tokenizer, bert):
    vectors = quiet(windows[:12], tokenizer, bert)
    one_by_one = np.concatenate([quiet([text], tokenizer, bert) for text in windows[:12]])
    assert np.abs(vectors - one_by_one).max() < 1e-5


def test_a_model_with_a_head_or_in_half_precision_gives_its_encoders_vectors(windows, tokenizer, model, alone):
    classifier = DNABert2ForSequenceClassification(DNABert2Config(**SHAPE))
    classifier.bert.load_state_dict(model.state_dict())
    assert np.abs(quiet(windows, tokenizer, classifier) - alone).max() < 1e-5
    half = DNABert2Model(DNABert2Config(**SHAPE))
    half.load_state_dict(model.state_dict())
    vectors = quiet(windows, tokenizer, half.half())
    whole = quiet(windows, tokenizer, half.float())  # computed in float32 from the same rounded weights
    assert np.array_equal(vectors, whole)


def test_lora_layers_take_part(windows, tokenizer, model):
    peft = pytest.importorskip("peft")
    copy = DNABert2Model(model.config)
    copy.load_state_dict(model.state_dict())
    tuned = peft.get_peft_model(copy, peft.LoraConfig(target_modules=["Wqkv"], init_lora_weights=False)).eval()
    with torch.no_grad():
        expected = tuned(torch.tensor([tokenizer(windows[0])["input_ids"]]))[0][0].mean(0).numpy()
    assert np.abs(quiet(windows[:3], tokenizer, tuned)[0] - expected).max() < 1e-5


def test_the_model_is_left_as_it_was(windows, tokenizer, model, alone):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    model.encoder.layer[1].eval()
    states = [module.training for module in model.modules()]
    for precision in ("float32", "bf16", "int8"):
        vectors = quiet(windows[:6], tokenizer, model, precision=precision)
        if precision == "float32":
            assert np.abs(vectors - alone[:6]).max() < 1e-5  # without dropout
    assert [module.training for module in model.modules()] == states
    model.eval()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(type(module) is not Int8Linear for module in model.modules())
    model(torch.tensor([[1, 5, 2]]))[0].sum().backward()  # still trains: nothing became an inference tensor
    model.zero_grad()


def test_repeats_are_computed_once(windows, tokenizer, model, monkeypatch):
    computed = []
    original = model.__class__.forward_packed
    monkeypatch.setattr(
        model.__class__,
        "forward_packed",
        lambda self, ids, lengths, layers=None: computed.append(len(lengths)) or original(self, ids, lengths, layers),
    )
    made = embed_with_report([windows[0], windows[1], windows[0]] * 5, tokenizer, model, progress=False)
    assert made.distinct == 2 and sum(computed) == 3  # two, and one to learn the width
    assert np.array_equal(made.vectors[0], made.vectors[2])
    assert made.tokens == 5 * sum(len(tokenizer(windows[i])["input_ids"]) for i in (0, 1, 0))


def test_series_arrays_and_records_are_sequences_too(windows, tokenizer, model, alone):
    from biollm_widgets.sequences import read_fasta

    records = read_fasta("".join(f">w{i}\n{text}\n" for i, text in enumerate(windows[:3])))
    for given in (pd.Series(windows[:3], index=[7, 8, 9]), np.array(windows[:3]), iter(windows[:3]), records):
        assert np.abs(quiet(given, tokenizer, model) - alone[:3]).max() < 1e-5


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_rounding_precision_is_close_and_says_how_close(windows, tokenizer, model, alone, precision, capsys):
    made = embed_with_report(windows, tokenizer, model, precision=precision, progress=False)
    assert made.precision == precision
    true = fidelity(made.vectors, alone)
    assert true.cosine_min > 0.99 and true.cosine_min < 1
    assert made.fidelity is not None and abs(made.fidelity.cosine_mean - true.cosine_mean) < 0.005
    assert f"{precision}: cosine to float32 at least {made.fidelity.cosine_min:.5f}" in capsys.readouterr().err


def test_auto_takes_what_is_faster_and_true_only(windows, tokenizer, model, monkeypatch, capsys):
    monkeypatch.setattr("biollm_widgets.dna.embedding.precision.FEW_TOKENS", 10)
    seconds = {"float32": 1.0, "bf16": 0.9, "int8": 0.5}

    def timed(reader, ids, special, once=False):
        name = "int8" if any(isinstance(m, Int8Linear) for m in reader.encoder.modules()) else "float32"
        if next(reader.encoder.parameters()).dtype == torch.bfloat16:
            name = "bf16"
        return reader(ids, special), seconds[name]

    monkeypatch.setattr("biollm_widgets.dna.embedding.precision._timed", timed)
    made = embed_with_report(windows, tokenizer, model, precision="auto", progress=False)
    assert made.precision == "int8" and "int8 2.00 times as fast" in capsys.readouterr().err
    monkeypatch.setattr("biollm_widgets.dna.embedding.precision.COSINE", 1.01)  # nothing is true enough
    assert embed_with_report(windows, tokenizer, model, precision="auto", progress=False).precision == "float32"
    monkeypatch.undo()
    assert embed_with_report(windows[:2], tokenizer, model, precision="auto", progress=False).precision == "float32"


def test_fidelity_tells_a_turn_and_an_offset():
    random = np.random.default_rng(0)
    base = random.normal(size=(8, 32)) + 10
    assert fidelity(base, base).cosine_min == pytest.approx(1) and fidelity(base, base).error == 0
    noisy = fidelity(base + random.normal(size=base.shape), base)
    assert noisy.cosine_min > 0.98 and noisy.error > 0.8  # a cosine is flattered where all vectors point one way


def test_lighter_layers_compute_the_linear_layer():
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 32)
    x = torch.randn(2, 5, 64)
    with torch.inference_mode():
        expected = linear(x)
        assert torch.allclose(PackedLinear(linear)(x), expected, atol=1e-5)
        assert (Int8Linear(linear)(x) - expected).abs().max() < 0.05
    with pytest.raises(InputError, match="int8 works on a CPU"):
        lighter_copy(torch.nn.Linear(2, 2, device="meta"), "int8")


def test_letters_the_tokenizer_does_not_know_are_counted(tokenizer, model):
    with pytest.warns(OddSequences, match=r"8 tokens in 2 of 3 sequences are \[UNK\].*sequence 2, position 5, 'n'"):
        made = embed_with_report(["ACGTACGT", "ACGTnnnn", "ACGTnnnn"], tokenizer, model, progress=False)
    assert made.unknown == 8
    with pytest.warns(OddSequences, match="white space.*sequence 2, position 5"):
        quiet(["ACGTACGT", "ACGT ACGT"], tokenizer, model)
    with warnings.catch_warnings():
        warnings.simplefilter("error", OddSequences)
        quiet(["ACGTACGT"], tokenizer, model)


@pytest.mark.parametrize(
    ("sequences", "options", "words"),
    [
        ([], {}, "no sequences"),
        (["ACGT", ""], {}, "Sequence 2 is empty"),
        (["ACGT", None], {}, r"Sequence 2 is None \(NoneType\), not text"),
        (["ACGT", float("nan")], {}, r"Sequence 2 is nan \(float\)"),
        (pd.DataFrame({"DNA_sequence": ["ACGT"]}), {}, "one column of the table.*DNA_sequence"),
        (7, {}, "not as int"),
        (["ACGT", "ACGT" * 100], {"max_tokens": 20}, "Sequence 2 is .* tokens long, more than the 20"),
        (["ACGT"], {"pooling": "sum"}, "pooling is one of mean, cls, max"),
        (["ACGT"], {"precision": "fp16"}, "precision is one of"),
        (["ACGT"], {"batch_tokens": 0}, "at least one token"),
        (["ACGT"], {"layer": 4}, "no layer 4: this model has 3"),
        (["ACGT"], {"device": "cuda:77"}, "no device 'cuda:77'"),
        (["ACGT"], {"file": "vectors.csv"}, "name the output vectors.npz, not"),
        (["ACGT"], {"labels": [1, 2]}, "2 labels for 1 sequences"),
    ],
)
def test_a_mistake_is_one_sentence(tokenizer, model, sequences, options, words):
    with pytest.raises(InputError, match=words):
        quiet(sequences, tokenizer, model, **options)


def test_what_does_not_belong_together_is_refused(tokenizer, model, windows):
    small = DNABert2Model(DNABert2Config(vocab_size=40, **SHAPE))
    with pytest.raises(InputError, match="the model knows 40 tokens"):
        quiet(windows[:1], tokenizer, small)
    with pytest.raises(InputError, match="no torch model"):
        quiet(windows[:1], tokenizer, "zhihan1996/DNABERT-2-117M")
    broken = DNABert2Model(DNABert2Config(**SHAPE))
    torch.nn.init.constant_(broken.embeddings.word_embeddings.weight, float("nan"))
    with pytest.raises(InputError, match="not finite"):
        quiet(windows[:1], tokenizer, broken)


def test_a_table_of_positions_limits_the_length(tokenizer, windows):
    short = BertModel(BertConfig(vocab_size=4096, max_position_embeddings=30, **SHAPE))
    with pytest.raises(InputError, match="more than the 30 that are allowed"):
        quiet(windows, tokenizer, short)
    offset = RobertaModel(RobertaConfig(vocab_size=4096, max_position_embeddings=30, pad_token_id=3, **SHAPE))
    with pytest.raises(InputError, match="more than the 26 that are allowed"):
        quiet(windows, tokenizer, offset)


def test_batches_hold_every_sequence_once_and_keep_to_the_budget():
    lengths = np.random.default_rng(0).integers(3, 90, 300)
    for padded in (False, True):
        batches = plan(lengths, 200, padded)
        assert sorted(np.concatenate(batches)) == list(range(300))
        cost = [lengths[rows].max() * len(rows) if padded else lengths[rows].sum() for rows in batches]
        assert max(cost) <= 200 and len(batches) < 1.3 * lengths.sum() / 200
    assert [list(rows) for rows in plan(np.array([5, 500, 5]), 10, False)] == [[1], [0, 2]]
    assert list(spread(lengths, 2)) == [int(np.argsort(lengths, kind="stable")[i]) for i in (0, -1)]


def test_shares_are_even_and_whole():
    costs = np.random.default_rng(0).integers(1, 100, 61).tolist()
    hands = deal(costs, 4)
    assert sorted(i for hand in hands for i in hand) == list(range(61))
    loads = [sum(costs[i] for i in hand) for hand in hands]
    assert max(loads) - min(loads) <= max(costs) / 4
    assert deal([1.0], 3) == [[0], [], []]


def stop_after(monkeypatch, batches):
    """Ctrl-C in the middle of the batch after so many (the first call learns the width)."""
    calls = iter(range(10**6))
    original = work_module.Work._vectors

    def vectors(self, *arguments):
        if next(calls) > batches:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(work_module.Work, "_vectors", vectors)


def test_a_stopped_run_goes_on_where_it_was(windows, tokenizer, model, alone, tmp_path, monkeypatch, capsys):
    file = tmp_path / "deep" / "vectors.npz"
    with monkeypatch.context() as patched:
        stop_after(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            quiet(windows, tokenizer, model, file=file, batch_tokens=300)
    assert not file.exists()
    assert "are kept in" in capsys.readouterr().err
    # As after a crash in the middle of a write: the end of the log is cut off, and the rest still counts.
    (log,) = part_folder(file).glob("rows-0-*.log")
    whole = log.read_bytes()
    log.write_bytes(whole[:-7])
    made = embed_with_report(windows, tokenizer, model, file=file, batch_tokens=300, labels=range(40), progress=False)
    assert 0 < made.resumed < 40
    assert np.abs(made.vectors - alone).max() < 1e-5
    assert not part_folder(file).exists()
    with np.load(file, allow_pickle=False) as stored:
        assert np.array_equal(stored["embeddings"], made.vectors)
        assert stored["labels"].tolist() == list(range(40))
        assert json.loads(str(stored["metadata"]))["plan"]["pooling"] == "mean"


def test_a_bad_record_ends_a_log(tmp_path):
    part = PartFolder(tmp_path / "x.npz", {"hidden": 3})
    part.path.mkdir()
    log = part.writer(0)
    log.append(np.array([2, 0]), np.arange(6, dtype=np.float32).reshape(2, 3))
    log.append(np.array([1]), np.ones((1, 3), np.float32))
    log.close()
    path = part.path / "rows-0-0.log"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 255
    path.write_bytes(damaged)
    vectors = np.zeros((3, 3), np.float32)
    assert part.read(vectors).tolist() == [True, False, True]
    assert vectors.tolist() == [[3, 4, 5], [0, 0, 0], [0, 1, 2]]
    other = part.writer(0)  # never over what is there
    other.close()
    assert {log.name for log in part.path.iterdir()} == {"rows-0-0.log", "rows-0-1.log"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pooling": "max"}, "another pooling"),
        ({"layer": 0}, "another layer"),
        ({"special_tokens": False}, "another choice of special tokens"),
        ({"precision": "bf16"}, "another precision"),
        ({"model": "other"}, "another model"),
        ({"sequences": "other"}, "other sequences"),
    ],
)
def test_other_work_does_not_go_on_in_the_same_folder(windows, tokenizer, model, tmp_path, monkeypatch, change, words):
    file = tmp_path / "vectors.npz"
    with monkeypatch.context() as patched:
        stop_after(patched, 2)
        with pytest.raises(KeyboardInterrupt):
            quiet(windows, tokenizer, model, file=file, batch_tokens=300)
    change = dict(change)
    given = windows[::-1] if change.pop("sequences", None) else windows
    encoder = model
    if change.pop("model", None):
        encoder = DNABert2Model(model.config)
    before = sorted(path.name for path in part_folder(file).iterdir())
    with pytest.raises(InputError, match=f"holds the beginning of {words}"):
        quiet(given, tokenizer, encoder, file=file, **change)
    assert sorted(path.name for path in part_folder(file).iterdir()) == before and not file.exists()


def test_a_whole_output_of_the_same_call_is_taken(windows, tokenizer, model, tmp_path, monkeypatch):
    file = tmp_path / "vectors.npz"
    given = [*windows[:5], windows[0]]
    first = quiet(given, tokenizer, model, file=file)
    with monkeypatch.context() as patched:
        stop_after(patched, 0)  # any batch would raise
        again = quiet(given, tokenizer, model, file=file, ids=list("abcdef"))
    assert np.array_equal(first, again)
    with np.load(file, allow_pickle=False) as stored:
        assert stored["ids"].tolist() == list("abcdef")
    assert not np.array_equal(quiet(given, tokenizer, model, "max", file=file), first)  # other work replaces it
    with np.load(file, allow_pickle=False) as stored:
        assert json.loads(str(stored["metadata"]))["plan"]["pooling"] == "max"


def test_running_out_of_memory_is_a_sentence(windows, tokenizer, model, monkeypatch):
    def full(*arguments, **options):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(DNABert2Model, "forward_packed", full)
    with pytest.raises(InputError, match="smaller batch_tokens"):
        quiet(windows[:2], tokenizer, model)
