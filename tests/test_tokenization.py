"""Tokens: the published tokenizers' own, each in its place, and the merges that lead there."""

from __future__ import annotations

import json
import math
import random
import time
from itertools import pairwise

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, BertTokenizer, EsmTokenizer

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import Record, clean_dna, read_fasta, wrap
from biollm_widgets.tokenization import CharTokenizer, KmerTokenizer, merge_history, tokenize

# The chapter's worked example, as printed there.
EXAMPLE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"
IDS = [1, 5, 194, 32, 757, 1239, 2092, 294, 24, 359, 88, 93, 32, 75, 77, 19, 2]
PIECES = [
    "[CLS]", "A", "CGTA", "GCA", "TCGGA", "TCTATCTA", "TCGACA", "CTTGG", "TTA", "TCGA", "TCTA", "CGA", "GCA", "TCTC",
    "GTTA", "GC", "[SEP]",
]  # fmt: skip


@pytest.fixture(scope="module")
def dnabert2(shared_data):
    return AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")


@pytest.fixture(scope="module")
def protgpt2(shared_data):
    return AutoTokenizer.from_pretrained(shared_data / "protgpt2_tokenizer")


@pytest.fixture(scope="module")
def raw_dnabert2(shared_data):
    return Tokenizer.from_file(str(shared_data / "dnabert2_tokenizer" / "tokenizer.json"))


@pytest.fixture(scope="module")
def genome(shared_data):
    return read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence


@pytest.fixture(scope="module")
def proteins(shared_data):
    return [r.sequence for r in read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")]


def small_bpe(**settings) -> Tokenizer:
    """A BPE of five merges over ACGT, with whatever a test wants to be different."""
    vocab = ["[UNK]", "A", "C", "G", "T", "AA", "AAA", "CG", "ACG", "TT"]
    merges = [("A", "A"), ("C", "G"), ("AA", "A"), ("A", "CG"), ("T", "T")]
    settings = {"unk_token": "[UNK]", **settings}
    return Tokenizer(models.BPE({word: i for i, word in enumerate(vocab)}, merges, **settings))


# --- tokens and places


def test_the_worked_example_of_the_chapter_id_for_id_and_token_for_token(dnabert2, raw_dnabert2):
    for tokenizer in (dnabert2, raw_dnabert2):
        result = tokenize(EXAMPLE, tokenizer)
        assert result.ids == IDS
        assert [token.token for token in result] == PIECES
        assert [token.text for token in result] == PIECES
        assert [token.special for token in result] == [True] + [False] * 15 + [True]
        assert result.finding == "59 bases became 15 tokens, 3.9 bases each, 0 unknown"
        assert result.notes == []
        assert result.bases_per_token == pytest.approx(59 / 15)
        assert (result[-1].start, result[-1].end) == (59, 59)


def test_tokens_tile_random_windows_of_the_genome(dnabert2, genome):
    rng = random.Random(2)
    for _ in range(60):
        start = rng.randrange(len(genome) - 600)
        window = genome[start : start + rng.randint(1, 600)]
        result = tokenize(window, dnabert2)
        assert result.ids == dnabert2(window)["input_ids"]
        cursor = 0
        for token in result.tokens[1:-1]:
            assert token.start == cursor
            assert window[token.start : token.end] == token.text == token.token
            cursor = token.end
        assert cursor == len(window)


def test_what_the_model_does_not_know_is_told_in_words(dnabert2):
    result = tokenize("ACgNURA-*1", dnabert2)
    reasons = {token.text: token.reason for token in result if token.unknown}
    assert set(reasons) == {"g", "N", "U", "R", "-", "*", "1"}
    assert "lower case" in reasons["g"]
    assert "any base" in reasons["N"]
    assert "RNA" in reasons["U"]
    assert "A or G" in reasons["R"]
    assert (reasons["-"], reasons["*"], reasons["1"]) == ("a gap", "a stop", "a digit")
    assert all(token.token == "[UNK]" and token.end - token.start == 1 for token in result if token.unknown)
    assert len(result.notes) == 7


def test_white_space_takes_no_position_and_is_told_where_it_cuts(dnabert2):
    plain, spaced = tokenize("TCTATCTATCGACA", dnabert2), tokenize("TCTA TCTA\nTCGACA ", dnabert2)
    assert spaced.sequence == plain.sequence == "TCTATCTATCGACA"
    assert spaced.ids != plain.ids
    assert [(t.text, t.start, t.end) for t in spaced][1:-1] == [("TCTA", 0, 4), ("TCTA", 4, 8), ("TCGACA", 8, 14)]
    assert (spaced[-1].start, spaced[-1].end) == (14, 14)
    assert spaced.notes == ["2 spaces or line breaks inside the text: no token reaches across, so the cuts differ"]


def test_special_tokens_written_into_the_text_take_no_position(dnabert2):
    result = tokenize("[CLS]ACGT[MASK]A", dnabert2)
    assert result.sequence == "ACGTA"
    assert [(t.text, t.start, t.end, t.special) for t in result] == [
        ("[CLS]", 0, 0, True),
        ("[CLS]", 0, 0, True),
        ("A", 0, 1, False),
        ("C", 1, 2, False),
        ("GT", 2, 4, False),
        ("[MASK]", 4, 4, True),
        ("A", 4, 5, False),
        ("[SEP]", 5, 5, True),
    ]


def test_line_breaks_in_a_protein_do_not_shift_positions(protgpt2, proteins):
    rng = random.Random(4)
    for protein in rng.sample(proteins, 30):
        text = f"<|endoftext|>\n{wrap(protein)}\n<|endoftext|>"
        result = tokenize(text, protgpt2)
        assert result.ids == protgpt2(text)["input_ids"]
        assert result.sequence == protein
        cursor = 0
        for token in result:
            if token.special or token.text == "\n":
                assert token.start == token.end == cursor
            else:
                assert token.start == cursor
                assert protein[token.start : token.end] == token.text
                cursor = token.end
        assert cursor == len(protein)
        assert sum(token.id == 199 for token in result) == text.count("\n")
        assert result[0].special and result[-1].special
        assert result.alphabet == "protein"


def test_a_token_with_a_line_break_inside_has_residues_on_both_sides():
    tokenizer = Tokenizer(models.BPE({"M": 0, "K": 1, "\n": 2, "K\n": 3, "K\nM": 4}, [("K", "\n"), ("K\n", "M")]))
    result = tokenize("MK\nMK", tokenizer)
    assert [(t.text, t.start, t.end) for t in result] == [("M", 0, 1), ("K\nM", 1, 3), ("K", 3, 4)]
    assert [(s.merged, s.start, s.end) for s in result.merges[1]] == [("K\n", 1, 2), ("K\nM", 1, 3)]


def test_letters_beyond_ascii_keep_their_place_in_byte_level_bpe(protgpt2):
    result = tokenize("MA\u00e9\nQW", protgpt2)
    assert [(t.start, t.end) for t in result if t.text == "\u00e9"] == [(2, 3), (2, 3)]
    assert result[-1].end == 5
    assert [piece.token for piece in result.merge_history.final] == [token.token for token in result]


def test_empty_sequences_have_special_tokens_only(dnabert2, protgpt2):
    assert tokenize("", dnabert2).ids == [1, 2]
    assert tokenize("", protgpt2).ids == []
    assert tokenize("", KmerTokenizer(3)).ids == [2, 3]
    empty = tokenize("", dnabert2)
    assert math.isnan(empty.bases_per_token)
    assert empty.finding == "0 bases became 0 tokens"
    assert empty.merges == [(), ()]
    assert len(empty.to_frame()) == 2
    assert json.loads(json.dumps(empty.to_dict()))["bases_per_token"] is None


def test_several_sequences_records_and_no_special_tokens(dnabert2):
    first, second = tokenize(["ACGT", Record("gene", "", "TTT")], dnabert2, special_tokens=False)
    assert first.ids == dnabert2("ACGT", add_special_tokens=False)["input_ids"]
    assert (first.name, second.name, second.alphabet) == ("sequence_1", "gene", "dna")
    assert tokenize([], dnabert2) == []
    assert tokenize(clean_dna("acgt"), dnabert2).sequence == "ACGT"


def test_the_frame_has_a_row_a_token(dnabert2):
    frame = tokenize(EXAMPLE, dnabert2).to_frame()
    assert list(frame["id"]) == IDS
    assert list(frame.columns) == [
        "index", "id", "token", "text", "start", "end", "length", "special", "unknown", "reason",
    ]  # fmt: skip
    assert frame["length"].sum() == 59


def test_nothing_is_cut_off_or_padded_whatever_was_set_before(dnabert2, raw_dnabert2, genome):
    text = genome[:3000]
    whole = dnabert2(text)["input_ids"]
    dnabert2([text, "ACGT"], truncation=True, max_length=20, padding="max_length")
    assert tokenize(text, dnabert2).ids == whole
    raw_dnabert2.enable_truncation(20)
    raw_dnabert2.enable_padding(length=5000)
    try:
        assert tokenize(text, raw_dnabert2).ids == whole
        assert raw_dnabert2.truncation is not None  # the owner's setting stands
    finally:
        raw_dnabert2.no_truncation()
        raw_dnabert2.no_padding()


def test_letters_that_a_tokenizer_drops_are_counted_and_shift_nothing():
    """The tokenizers library itself gives wrong offsets after a letter that it drops: T would stand at 3."""
    result = tokenize("ACGNNT", small_bpe(unk_token=None))
    assert [(token.text, token.start, token.end) for token in result] == [("ACG", 0, 3), ("T", 5, 6)]
    assert result.notes == ["2 bases in no token: the model does not see that they are there"]
    assert [piece.token for piece in result.merge_history.final] == ["ACG", "T"]


@pytest.mark.parametrize(
    ("sequence", "tokenizer", "words"),
    [
        ("ACGT", "zhihan1996/DNABERT-2-117M", "make one with AutoTokenizer"),
        ("ACGT", 5, "A tokenizer is needed, not int"),
        (5, KmerTokenizer(3), "not int"),
        (b"ACGT", KmerTokenizer(3), "not bytes"),
        (["ACGT", None], KmerTokenizer(3), "not NoneType"),
    ],
)
def test_what_cannot_be_tokenized_is_refused_in_words(sequence, tokenizer, words):
    with pytest.raises(InputError, match=words):
        tokenize(sequence, tokenizer)


def test_a_slow_tokenizer_has_places_too(tmp_path):
    """DNABERT's own way: a BertTokenizer on k-mers with spaces between; and WordPiece pieces inside a word."""
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ACG", "CGT", "##T"]))
    slow = BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=False)
    result = tokenize("ACG CGTT NNN ACG", slow)
    assert result.ids == [2, 5, 6, 7, 1, 5, 3]
    assert [(t.text, t.start, t.end) for t in result][1:-1] == [
        ("ACG", 0, 3), ("CGT", 3, 6), ("T", 6, 7), ("NNN", 7, 10), ("ACG", 10, 13),
    ]  # fmt: skip
    assert [t.unknown for t in result] == [False] * 4 + [True] + [False] * 2
    assert (result[-1].special, result[-1].start) == (True, 13)


def test_the_protein_tokenizer_of_esm_which_is_slow_everywhere(tmp_path):
    vocab = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocab))
    slow = EsmTokenizer(str(tmp_path / "vocab.txt"))
    result = tokenize("MK jjY\n<mask>L", slow)
    assert result.ids == slow("MK jjY\n<mask>L")["input_ids"]
    assert result.sequence == "MKjjYL"
    assert [(t.text, t.start, t.end, t.special, t.unknown) for t in result] == [
        ("<cls>", 0, 0, True, False), ("M", 0, 1, False, False), ("K", 1, 2, False, False),
        ("jj", 2, 4, False, True), ("Y", 4, 5, False, False), ("<mask>", 5, 5, True, False),
        ("L", 5, 6, False, False), ("<eos>", 6, 6, True, False),
    ]  # fmt: skip
    with pytest.raises(InputError, match="not made by a BPE"):
        _ = result.merge_history


# --- k-mers and letters


def test_kmers_have_the_ids_of_dnaberts_published_vocabulary():
    """The lines of vocab.txt of DNABERT-3: five special tokens, then AAA, AAT, AAC, AAG, ATA, ... , GGG."""
    vocab = KmerTokenizer(3).vocab
    assert list(vocab)[:10] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "AAA", "AAT", "AAC", "AAG", "ATA"]
    assert list(vocab)[-3:] == ["GGT", "GGC", "GGG"]
    assert (vocab["TAA"], vocab["CAA"], vocab["GAA"]) == (21, 37, 53)
    for k in (3, 4, 5, 6):
        assert len(KmerTokenizer(k).vocab) == KmerTokenizer(k).vocab_size == 4**k + 5


def test_kmers_overlap_and_agree_with_the_vocabulary_on_random_text():
    rng = random.Random(6)
    for _ in range(60):
        k = rng.randint(1, 6)
        tokenizer = KmerTokenizer(k)
        text = "".join(rng.choices("ACGTN", weights=[9, 9, 9, 9, 1], k=rng.randint(0, 50)))
        result = tokenize(text, tokenizer)
        windows = [text[i : i + k] for i in range(len(text) - k + 1)]
        assert result.ids == [2, *(tokenizer.vocab.get(window, 1) for window in windows), 3]
        assert [(t.start, t.end, t.text) for t in result.tokens[1:-1]] == [
            (i, i + k, window) for i, window in enumerate(windows)
        ]
        if windows and "N" not in text:
            assert tokenizer.decode(result.ids) == text
        assert tokenizer.convert_ids_to_tokens(result.ids) == [t.token for t in result]


def test_what_a_unigram_does_not_know_is_marked():
    pieces = [("<unk>", 0.0), ("A", -1.0), ("CG", -1.5)]
    read = tokenize("ANCG", Tokenizer(models.Unigram(pieces, unk_id=0)))
    assert [(t.text, t.token, t.unknown) for t in read] == [("A", "A", False), ("N", "N", True), ("CG", "CG", False)]
    assert "N" in read.unknown[0].reason


def test_a_vocabulary_is_read_once_for_many_sequences_and_anew_when_it_has_other_words():
    one = Tokenizer(models.WordPiece({"[UNK]": 0, "A": 1, "C": 2}, unk_token="[UNK]"))
    asked = []

    class Counted:
        """The same tokenizer, which counts how often it is asked."""

        def __getattr__(self, name):
            return getattr(one, name)

        def get_vocab(self):
            asked.append(1)
            return one.get_vocab()

    counted = Counted()
    reads = tokenize(["AG", "CG", "A", "G"], counted)
    assert len(asked) == 1 and [len(read.unknown) for read in reads] == [1, 1, 0, 1]
    assert set(reads[0].words.known) == {"A", "C"}
    one.model = models.WordPiece({"[UNK]": 0, "A": 1, "G": 2}, unk_token="[UNK]")
    assert set(tokenize("C", counted).words.known) == {"A", "G"}


def test_one_n_makes_k_tokens_unknown():
    result = tokenize("ACGTACNGTACGTA", KmerTokenizer(4))
    assert [token.start for token in result.unknown] == [3, 4, 5, 6]
    assert "N stands for any base" in result.unknown[0].reason


def test_a_space_in_kmers_is_unknown_and_takes_no_position():
    result = tokenize("ACG TA", KmerTokenizer(3))
    assert [(t.text, t.start, t.end, t.reason) for t in result.tokens[1:-1]] == [
        ("ACG", 0, 3, ""), ("CG ", 1, 3, "a space"), ("G T", 2, 4, "a space"), (" TA", 3, 5, "a space"),
    ]  # fmt: skip


def test_a_sequence_shorter_than_k_is_told():
    result = tokenize("ACG", KmerTokenizer(6))
    assert result.ids == [2, 3]
    assert result.notes == ["3 bases in no token: the model does not see that they are there"]


def test_a_million_kmers_in_a_moment(genome):
    start = time.perf_counter()
    ids = KmerTokenizer(6).encode(genome[:1_000_000])
    assert len(ids) == 1_000_000 - 5 + 2
    assert time.perf_counter() - start < 2


def test_letters_are_tokens_of_one():
    result = tokenize("ACGTa N", CharTokenizer("dna"))
    assert result.ids == [2, 5, 6, 7, 8, 1, 1, 1, 3]
    assert [token.reason for token in result.unknown][1] == "a space"
    assert result.sequence == "ACGTaN"
    protein = CharTokenizer("protein")
    assert protein.vocab_size == 25
    assert protein.decode(protein.encode("MKTAYW")) == "MKTAYW"
    assert CharTokenizer("GATC").encode("GATC", add_special_tokens=False) == [5, 6, 7, 8]


def test_batches_of_kmers_are_padded_and_masked():
    tokenizer = KmerTokenizer(3)
    batch = tokenizer(["ACGT", "ACG"], padding=True, return_tensors="np")
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 4)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch["input_ids"][1, 3] == tokenizer.pad_token_id == 0
    assert tuple(tokenizer(["ACGT"], return_tensors="pt")["input_ids"].shape) == (1, 4)
    with pytest.raises(InputError, match="padding=True"):
        tokenizer(["ACGT", "ACG"], return_tensors="np")


@pytest.mark.parametrize("k", [0, -1, 13, 2.0, True, "6"])
def test_a_k_that_makes_no_sense_is_refused(k):
    with pytest.raises(InputError, match="1 to 12 bases"):
        KmerTokenizer(k)


@pytest.mark.parametrize(("alphabet", "words"), [("", "at least one"), ("ACCA", "twice"), ("A C", "white space")])
def test_an_alphabet_that_makes_no_sense_is_refused(alphabet, words):
    with pytest.raises(InputError, match=words):
        CharTokenizer(alphabet)
    with pytest.raises(InputError, match="There is no token 99"):
        CharTokenizer("dna").convert_ids_to_tokens(99)


# --- merges


def test_the_merges_of_the_worked_example(dnabert2):
    result = tokenize(EXAMPLE, dnabert2)
    assert [f"{s.left}+{s.right}" for s in result.merges[4]] == ["G+G", "T+C", "GG+A", "TC+GGA"]
    assert result.merges[0] == result.merges[1] == ()
    for token, made in zip(result, result.merges, strict=True):
        if made:
            assert made[-1].merged == token.token
            assert (made[-1].start, made[-1].end) == (token.start, token.end)
            assert len(made) == len(token.text) - 1
    steps = result.merge_history.steps
    assert [step.number for step in steps] == list(range(1, 45))
    assert [piece.token for piece in result.merge_history.pieces(0)] == list(EXAMPLE)


def test_the_replay_ends_in_the_tokenizers_own_tokens_on_the_genome(dnabert2, genome):
    rng = random.Random(8)
    for _ in range(40):
        start = rng.randrange(len(genome) - 700)
        window = genome[start : start + rng.randint(1, 700)]
        history = merge_history(window, dnabert2)
        assert [piece.token for piece in history.final] == dnabert2.tokenize(window)
        assert [(p.start, p.end) for p in history.final] == [
            span for span in dnabert2(window, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        ]


def test_the_replay_ends_in_the_tokenizers_own_tokens_on_proteins(protgpt2, proteins):
    rng = random.Random(9)
    for protein in rng.sample(proteins, 40):
        text = "<|endoftext|>\n" + wrap(protein)
        history = merge_history(text, protgpt2)
        assert ["<|endoftext|>", *(piece.token for piece in history.final)] == protgpt2.tokenize(text)
        assert "".join(protein[p.start : p.end] for p in history.final) == protein


def test_each_step_joins_the_neighbours_that_come_first_in_the_list(dnabert2, genome):
    """An independent, quadratic replay: look for the lowest rank, leftmost, at every step."""
    merges = json.loads(dnabert2.backend_tokenizer.to_str())["model"]["merges"]
    ranks = {tuple(m.split(" ")) if isinstance(m, str) else tuple(m): i for i, m in enumerate(merges)}
    window = genome[50_000:50_200]
    pieces = list(window)
    history = merge_history(window, dnabert2)
    states = history.states()
    for step in history.steps:
        assert [piece.token for piece in next(states)] == pieces
        known = [(ranks[pair], i) for i, pair in enumerate(pairwise(pieces)) if pair in ranks]
        rank, place = min(known)
        assert (step.rank, step.left, step.right) == (rank, pieces[place], pieces[place + 1])
        assert step.start == sum(map(len, pieces[:place]))
        pieces[place : place + 2] = [step.merged]
    assert [piece.token for piece in next(states)] == pieces == dnabert2.tokenize(window)
    assert history.pieces(7) == list(history.states())[7]


def test_random_text_with_unknown_letters_spaces_and_runs_replays():
    rng = random.Random(10)
    variants = [
        small_bpe(),
        small_bpe(fuse_unk=True),
        small_bpe(unk_token=None),
        small_bpe(ignore_merges=True),
    ]
    for tokenizer in variants:
        for cut in (None, pre_tokenizers.Whitespace()):
            if cut is not None:
                tokenizer.pre_tokenizer = cut
            for _ in range(60):
                text = "".join(rng.choices("AAACGTTNn" + (" \n" if cut else ""), k=rng.randint(0, 30)))
                result = tokenize(text, tokenizer)
                final = [piece.token for piece in result.merge_history.final]
                assert final == tokenizer.encode(text).tokens, repr(text)
                assert sum(map(len, result.merges)) == len(result.merge_history)
                spans = [(piece.start, piece.end) for piece in result.merge_history.final]
                assert spans == [(token.start, token.end) for token in result], repr(text)


def test_a_run_of_one_letter_merges_from_the_left():
    history = merge_history("AAAAA", small_bpe())
    assert [(s.start, s.end) for s in history.steps] == [(0, 2), (2, 4), (2, 5)]
    assert [piece.token for piece in history.final] == ["AA", "AAA"]


def test_ten_thousand_bases_replay_in_a_moment(raw_dnabert2, genome):
    merge_history("ACGT", raw_dnabert2)
    start = time.perf_counter()
    history = merge_history(genome[:10_000], raw_dnabert2)
    groups = history.by_token
    assert time.perf_counter() - start < 2  # 0.1 s on a free core; a quadratic replay takes a minute
    assert sum(map(len, groups)) == len(history) == 10_000 - len(history.final)


def test_what_has_no_merges_says_so(dnabert2):
    with pytest.raises(InputError, match="not made by a BPE"):
        merge_history("ACGT", KmerTokenizer(3))
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "ACGT": 1}, unk_token="[UNK]"))
    with pytest.raises(InputError, match="WordPiece, not BPE"):
        merge_history("ACGT", words)
    with pytest.raises(InputError, match="at random"):
        merge_history("ACGT", small_bpe(dropout=0.5))
    with pytest.raises(InputError, match="0 to 44 merges"):
        tokenize(EXAMPLE, dnabert2).merge_history.pieces(45)


def test_a_tokenizer_that_changes_the_text_first_replays_or_says_that_it_cannot():
    upper = small_bpe()
    upper.normalizer = normalizers.Replace("U", "T")
    assert [piece.token for piece in merge_history("ACGUU", upper).final] == ["ACG", "TT"]
    longer = small_bpe()
    longer.normalizer = normalizers.Replace("U", "TT")
    with pytest.raises(InputError, match="another length"):
        merge_history("ACGU", longer)
