"""The token view from Python's side: what it says, selects, changes, finds, hands out, and what the page is sent."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import biollm_widgets as bio
from biollm_widgets.errors import InputError
from biollm_widgets.sequences import Record, read_fasta, reverse_complement
from biollm_widgets.widgets.token_chunks import CHUNK, COLUMNS
from biollm_widgets.widgets.token_view import TokenView

EXAMPLE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"
HOSTILE = "<script>alert(1)</script></style><b>x"


class Page:
    """Asks a view as its page does, and keeps the answers."""

    def __init__(self, view: TokenView) -> None:
        self.view, self.heard = view, []
        view.send = lambda content, buffers=None: self.heard.append((content, buffers))  # type: ignore[method-assign]

    def ask(self, verb: str, **given: Any) -> tuple[dict, list[bytes]]:
        self.view._hear(self.view, {"ask": verb, "number": 1, **given}, [])
        return self.heard[-1]


def columns(part: bytes) -> np.ndarray:
    """The numbers of one lane, (COLUMNS, n)."""
    return np.frombuffer(part, dtype="<i4").reshape(COLUMNS, -1)


@pytest.fixture
def view(bpe: Any) -> TokenView:
    return TokenView(EXAMPLE, [bpe, bio.KmerTokenizer(6)])


# What it says.


def test_the_title_is_the_finding(view: TokenView, bpe: Any) -> None:
    assert view.title == bio.tokenize(EXAMPLE, bpe).finding
    assert view.title == "59 bases became 17 tokens, 3.5 bases each, 0 unknown"


def test_several_sequences_are_counted_together(bpe: Any) -> None:
    view = TokenView([EXAMPLE, EXAMPLE[:20]], bpe)
    read = [bio.tokenize(one, bpe) for one in (EXAMPLE, EXAMPLE[:20])]
    tokens = sum(len(one) - 2 for one in read)
    assert view.title == f"2 sequences: 79 bases became {tokens} tokens, {79 / tokens:.1f} bases each, 0 unknown"


def test_nothing_to_show_says_what_to_do(bpe: Any) -> None:
    for view in (TokenView([], bpe), TokenView("", bpe)):
        assert any(
            "give TokenView a sequence" in note or "Give TokenView a sequence" in note for note in view._card["notes"]
        )
        assert (view._make_twin() and view.to_frame().empty) or len(view.to_frame()) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"color": "colour"}, "color is one of token, length, gc, frequency, not 'colour'"),
        ({"color": "scores"}, r"give scores=\.\.\."),
        ({"offset": "x"}, "offset is the number of the first letter"),
        ({"alphabet": "rna"}, 'alphabet is "dna" or "protein", not \'rna\''),
        ({"table": 99}, "genetic code"),
        ({"frames": [4]}, "A reading frame is 1, 2, 3, -1, -2 or -3, not 4"),
        ({"height": 3}, "height is a number of pixels"),
        ({"scores": [1.0, 2.0]}, "scores for .* are 2 numbers, but there are 19 tokens"),
        ({"scores": {"8-mer": [1.0]}}, "scores name '8-mer', but the tokenizers here are"),
        ({"scores": ["a"] * 19}, "not all numbers"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_a_sentence(bpe: Any, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        TokenView(EXAMPLE, bpe, **options)


def test_a_height_that_cannot_be_is_refused_later_too(view: TokenView) -> None:
    for height in (-5, True):
        with pytest.raises(InputError, match="height is a number of pixels from 80 on"):
            view.height = height
    assert view.height == 440


def test_what_is_no_sequence_or_no_tokenizer_is_refused_in_a_sentence(bpe: Any) -> None:
    with pytest.raises(InputError, match="This is FASTA, not a bare sequence"):
        TokenView(">one\nACGT\n", bpe)
    with pytest.raises(InputError, match="Sequence 2 is no text but int"):
        TokenView(["ACGT", 3], bpe)
    with pytest.raises(InputError, match="There is no tokenizer"):
        TokenView("ACGT", [])
    with pytest.raises(InputError, match="A tokenizer is needed"):
        TokenView("ACGT", "DNABERT-2")
    with pytest.raises(TypeError, match="no option 'colour'; did you mean color"):
        TokenView("ACGT", bpe, colour="gc")
    with pytest.raises(InputError, match="Reading frames are of DNA"):
        TokenView("MKTLFE", bio.CharTokenizer("protein"), frames=1)


def test_scores_are_taken_as_a_model_gives_them(bpe: Any) -> None:
    torch = pytest.importorskip("torch")
    values = torch.linspace(-3, 0, 19)
    for given in (values, values.reshape(1, -1), values.tolist(), values.numpy(), values[1:-1], {"bpe": values}):
        view = TokenView(EXAMPLE, {"bpe": bpe}, scores=given, color="scores", scores_name="log-probability")
        frame = view.to_frame()
        assert frame["score"][5] == pytest.approx(float(values[5]))
        assert view._card["scales"]["scores"]["label"] == "log-probability"
        _, parts = Page(view).ask("chunk", sequence=0, chunk=0)
        assert np.frombuffer(parts[1], dtype="<f4")[5] == pytest.approx(float(values[5]))
    many = TokenView([EXAMPLE, "ACGT"], {"bpe": bpe}, scores=[values, np.zeros(len(bio.tokenize("ACGT", bpe)))])
    assert many.to_frame()["score"].notna().all()
    with pytest.raises(InputError, match="scores hold 1 lists for 2 sequences"):
        TokenView([EXAMPLE, "ACGT"], bpe, scores=[values])


# What the page is sent.


def test_the_stretches_together_hold_every_token_of_a_genome_in_its_place(bpe: Any, shared_data: Any) -> None:
    text = read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence[:20_000]
    view = TokenView(text, {"bpe": bpe, "k": bio.KmerTokenizer(6)}, frames=[2])
    page = Page(view)
    seen: list[dict[int, tuple]] = [{}, {}]
    protein = ""
    for chunk in range(-(-len(text) // CHUNK)):
        content, parts = page.ask("chunk", sequence=0, chunk=chunk)
        for lane in range(2):
            numbers = columns(parts[2 * lane])
            for place, row in enumerate(numbers.T.tolist()):
                seen[lane][content["lanes"][lane]["first"] + place] = tuple(row[:4])
                start, end = row[1], row[2]
                assert content["text"][start - content["from"] : end - content["from"]] == text[start:end]
        frame = content["frames"][0]
        overlap = (1 + 3 * len(protein) - frame["start"]) // 3
        protein += frame["protein"][overlap:]
    for lane, read in enumerate(view.tokenizations[0].values()):
        assert len(seen[lane]) == len(read)
        expected = zip(read.columns.ids, read.columns.starts, read.columns.ends, read.counts, strict=True)
        assert [seen[lane][i] for i in range(len(read))] == [tuple(map(int, row)) for row in expected]
    from biollm_widgets.sequences import translate

    assert protein == translate(text, 2)


def test_flags_and_notes_say_special_and_why_unknown(bpe: Any) -> None:
    view = TokenView("ACGTnACGU", bpe)
    content, parts = Page(view).ask("chunk", sequence=0, chunk=0)
    _, start, _, _, note, flags = columns(parts[0])
    words = [content["lanes"][0]["notes"][i] if i >= 0 else "" for i in note]
    assert words[0] == "[CLS]" and words[-1] == "[SEP]" and flags[0] & 1 and flags[-1] & 1
    unknown = {(int(s), w) for s, w, f in zip(start, words, flags, strict=True) if f & 2}
    read = bio.tokenize("ACGTnACGU", bpe)
    assert unknown == {(t.start, t.reason) for t in read.unknown} and len(unknown) == 2


def test_overlapping_tokens_have_rows_of_their_own(view: TokenView) -> None:
    _, parts = Page(view).ask("chunk", sequence=0, chunk=0)
    _, start, _, _, _, flags = columns(parts[2])
    rows = (flags >> 4) & 15
    assert view._card["lanes"][1]["rows"] == 6
    inner = ~(flags & 1).astype(bool)
    assert [int(r) for r in rows[inner]] == [int(s) % 6 for s in start[inner]]


def test_a_long_sequence_opens_with_little_and_an_edit_sends_no_more(bpe: Any) -> None:
    text = EXAMPLE * 4000  # 236,000 bases
    view = TokenView(text, bpe)

    def weight() -> int:
        return sum(len(part) for chunk in view._opening["chunks"] for part in chunk["parts"]) + sum(
            len(chunk["text"]) for chunk in view._opening["chunks"]
        )

    opened = weight()
    assert opened < 400_000 < len(text) * 2
    sent = []
    view.send_state = lambda key=None: sent.append(key)  # type: ignore[method-assign]
    view.change(200_000, "G")
    assert weight() < opened + 1000
    assert {name for keys in sent for name in ([keys] if isinstance(keys, str) else keys or ())} <= {
        "_card", "_opening", "_range", "_found",
    }  # fmt: skip


def test_a_page_that_asks_for_what_there_is_not_gets_a_sentence(view: TokenView) -> None:
    page = Page(view)
    assert "no stretch 7" in page.ask("chunk", sequence=0, chunk=7)[0]["error"]
    assert "no sequence 3" in page.ask("chunk", sequence=3, chunk=0)[0]["error"]
    assert "not shown any more" in page.ask("about", lane="gone", token=5)[0]["error"]
    assert view.troubles == []


def test_letters_that_straddle_two_stretches_are_in_the_first(bpe: Any) -> None:
    text = (EXAMPLE * 300)[: CHUNK + 700]
    content, _ = Page(TokenView(text, bpe, frames=[1, 2, 3])).ask("chunk", sequence=0, chunk=0)
    # A line of the page has up to 512 letters, and a codon three, wherever they begin.
    assert content["from"] == 0 and content["text"] == text[: CHUNK + 512]
    assert all(frame["start"] + 3 * len(frame["protein"]) >= CHUNK for frame in content["frames"])


# Selecting.


def test_a_selection_from_python_reaches_the_page_and_knows_its_tokens(view: TokenView, bpe: Any) -> None:
    view.selection = (13, 21)
    assert view._range == [0, 13, 21]
    chosen = view.selection
    assert (chosen.start, chosen.end, chosen.sequence, len(chosen)) == (13, 21, EXAMPLE[13:21], 8)
    read = bio.tokenize(EXAMPLE, bpe)
    inside = [t for t in read if not t.special and t.start < 21 and t.end > 13]
    assert list(chosen.tokens) == inside and chosen.ids == [t.id for t in inside]
    assert len(chosen.by_tokenizer["6-mer"]) == 8 + 5
    view.selection = None
    assert view._range is None


def test_a_selection_from_the_page_reaches_python_and_those_who_watch(view: TokenView) -> None:
    heard = []
    view.observe(lambda change: heard.append(change["new"]), "selection")
    view.set_state({"_range": [0, 3, 7]})
    assert (view.selection.start, view.selection.end, view.selection.sequence) == (3, 7, EXAMPLE[3:7])
    view.set_state({"_range": None})
    assert [None if one is None else one.start for one in heard] == [3, None]


def test_a_selection_outside_is_refused_from_python_and_passed_over_from_a_page_that_is_behind(view: TokenView) -> None:
    with pytest.raises(InputError, match="A selection lies within 0 to 59"):
        view.selection = (50, 70)
    for strange in ("all", (1.5, 3.9), ("1", "3"), (1,), 7):
        with pytest.raises(InputError, match=r"A selection is \(start, end\)"):
            view.selection = strange
    view.set_state({"_range": [0, 50, 70]})
    assert view.selection is None and "within 0 to 59" in view.troubles[-1]
    view.select(3, 7)
    view.set_state({"_range": [0, 50, 70]})
    assert view._range == [0, 3, 7]  # the page takes it back too


# Edits.


def test_one_changed_base_changes_few_tokens_and_the_sentence_says_how_many(view: TokenView) -> None:
    view.change(30, "A" if EXAMPLE[30] != "A" else "C")
    said = view.what_changed()
    assert "6 of the 54 6-mers" in said[0] or "6 6-mers" in said[0] or "6 of 54" in " ".join(said)
    marked = view.to_frame("6-mer").query("changed")
    assert list(marked["start"]) == [25, 26, 27, 28, 29, 30]
    _, parts = Page(view).ask("chunk", sequence=0, chunk=0)
    flags = columns(parts[2])[5]
    assert int((flags & 4 > 0).sum()) == 6
    view.undo()
    assert view.what_changed() == [] and view._sheet.strips[0].letters == EXAMPLE


def test_once_anything_is_edited_every_row_says_whether_it_changed(bpe: Any) -> None:
    view = TokenView([EXAMPLE, EXAMPLE], bpe)
    assert "changed" not in view.to_frame()
    view.change(30, "A", number=1)
    frame = view.to_frame()
    assert frame["changed"].dtype == bool
    assert frame.groupby("sequence")["changed"].any().tolist() == [False, True]


def test_edits_follow_each_other_and_can_be_taken_back(view: TokenView) -> None:
    view.insert(0, "GG")
    view.delete(5, 8)
    view.reverse_complement()
    edited = view._sheet.strips[0].letters
    assert edited == reverse_complement(("GG" + EXAMPLE)[:5] + ("GG" + EXAMPLE)[8:])
    assert view.title.startswith("58 bases became")
    view.lower_case(0, 3)
    assert view._sheet.strips[0].letters[:3].islower()
    assert len(view._card["edits"]["0"]["log"]) == 4
    view.lower_case()
    assert view._sheet.strips[0].letters == edited.lower()
    view.upper_case()
    assert view._sheet.strips[0].letters == edited
    view.reset()
    assert view._sheet.strips[0].letters == EXAMPLE and view._card["edits"] == {}
    with pytest.raises(InputError, match="no change to take back"):
        view.undo()


def test_an_edit_that_cannot_be_is_refused_and_changes_nothing(view: TokenView) -> None:
    page = Page(view)
    before = view._version
    assert "error" in page.ask("edit", sequence=0, kind="change", given=[400, "A"])[0]
    assert "error" in page.ask("edit", sequence=0, kind="eval", given=[])[0]
    assert view._version == before and view.what_changed() == []


def test_an_edit_takes_scores_away_and_starting_again_brings_them_back(bpe: Any) -> None:
    view = TokenView(EXAMPLE, bpe, scores=np.linspace(-3, 0, 17), color="scores")
    assert view.to_frame()["score"].notna().sum() == 17
    scale = view._card["scales"]["scores"]
    view.change(3, "A")
    assert "score" not in view.to_frame()
    assert view.color == "scores" and view._card["scales"]["scores"] == scale and scale["low_said"] == "−3"
    assert '"Start again" brings them back' in view._card["edits"]["0"]["lanes"][-1]
    view.reset()
    assert view.to_frame()["score"].notna().sum() == 17


def test_scores_go_with_their_lane(bpe: Any) -> None:
    view = TokenView(EXAMPLE, {"3-mer": bpe, "letters": bio.CharTokenizer("dna")}, scores=np.zeros(17), color="scores")
    view.remove("3-mer")
    assert view.color == "token" and "scores" not in view._card["scales"]
    view.add("3-mer")
    assert view.labels == ["letters", "3-mer"] and "score" not in view.to_frame()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>ACGT", "[ACGT]ACG", "MKT<mask>AAE", "AC [MASK] GT"])
def test_what_looks_like_a_special_token_is_edited_as_the_tokenizer_reads_it(bpe: Any, text: str) -> None:
    for tokenizer in (bpe, bio.KmerTokenizer(3)):
        view = TokenView(text, tokenizer)
        letters = view._sheet.strips[0].letters
        assert letters == bio.tokenize(text, tokenizer).sequence
        view.delete(0, 1)
        view.change(0, "T")
        view.undo()
        assert view._sheet.strips[0].letters == letters[1:]
        view.reset()
        assert view._sheet.strips[0].letters == letters and not view.what_changed()


def test_an_edit_that_would_write_a_special_token_is_refused_and_changes_nothing(bpe: Any) -> None:
    view = TokenView("ACG[MAXSK]TTT", bpe)
    with pytest.raises(InputError, match="BPE would read other letters as a special token after this edit"):
        view.delete(6, 7)
    assert view._sheet.strips[0].letters == "ACG[MAXSK]TTT" and not view.what_changed()


def test_tokenizers_that_count_other_letters_are_refused_before_anything_changes(bpe: Any) -> None:
    said = r"BPE takes \[MASK\] as a special token, 3-mer takes it as letters; show them in views of their own"
    for order in ([bpe, bio.KmerTokenizer(3)], [bio.KmerTokenizer(3), bpe]):
        with pytest.raises(InputError, match=said):
            TokenView("ACG[MASK]TTT", order)
        view = TokenView("ACG[MASK]TTT", order[0])
        with pytest.raises(InputError, match=said):
            view.add(order[1])
        assert view.labels == list(view.tokenizations[0]) == [view.labels[0]]
    assert TokenView("ACG[MASK]TTT", {"one": bpe, "two": bpe}).compare().length == 6


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (("delete", 5, 10), None),
        (("delete", 0, 20), None),
        (("delete", 1, 3), (3, 8)),
        (("delete", 8, 12), (5, 8)),
        (("delete", 3, 7), (3, 6)),
        (("insert", 5, "GG"), (7, 12)),
        (("insert", 7, "GG"), (5, 12)),
        (("insert", 10, "GG"), (5, 10)),
        (("change", 6, "T"), (5, 10)),
        (("reverse_complement", 4, 20), (14, 19)),
        (("reverse_complement", 6, 9), (5, 10)),
        (("reverse_complement", 8, 20), None),
        (("reverse_complement", 10, 20), (5, 10)),
    ],
)
def test_the_selection_goes_with_its_letters(view: TokenView, edit: tuple, place: Any) -> None:
    view.select(5, 10)
    getattr(view, edit[0])(*edit[1:])
    chosen = view.selection
    assert (None if chosen is None else (chosen.start, chosen.end)) == place
    assert view._range == (None if place is None else [0, *place])
    assert chosen is None or chosen.sequence == view._sheet.strips[0].letters[slice(*place)]


def test_undo_and_starting_again_keep_a_selection_of_letters_that_were_there(view: TokenView) -> None:
    for back in (view.undo, view.reset):
        view.insert(3, "GG")
        view.select(10, 20)
        back()
        assert (view.selection.start, view.selection.end) == (8, 18)
        view.insert(12, "GG")  # within the selection: no stretch of the original
        back()
        assert view.selection is None
        view.reverse_complement()
        view.select(0, 4)
        back()
        assert (view.selection.start, view.selection.end) == (55, 59)
        view.delete(20, 30)
        view.select(18, 22)  # from both sides of the gap
        back()
        assert view.selection is None


# Comparing, searching, merges.


def test_lanes_come_and_go_and_the_last_stays(view: TokenView) -> None:
    page = Page(view)
    view.select(3, 7)
    page.ask("lane", add="letters")
    assert [len(tokens) for tokens in view.selection.by_tokenizer.values()][1:] == [7, 4]
    assert view.labels[-1] == "letters" and len(view.compare().to_frame()) == 3
    page.ask("lane", remove="6-mer")
    assert "6-mer" not in view.labels and "6-mer" in view._card["offered"]
    view.remove("letters")
    with pytest.raises(InputError, match="only tokenizer"):
        view.remove(view.labels[0])
    assert "no tokenizer offered" in page.ask("lane", add="9-mer")[0]["error"]


def test_equal_names_are_told_apart(bpe: Any, protein_bpe: Any) -> None:
    assert TokenView("ACGT", [bpe, protein_bpe, bpe]).labels == ["BPE", "BPE 512", "BPE 256"]
    assert TokenView("ACGT", [bpe, bpe, bpe]).labels == ["BPE", "BPE 256", "BPE 256 (2)"]
    view = TokenView("ACGT", {"mine": bpe})
    view.add(bpe)
    assert view.labels == ["mine", "BPE"]
    with pytest.raises(InputError, match="at most 12"):
        TokenView("ACGT", [bpe] * 13)


def test_a_motif_is_found_on_both_strands_and_marked(view: TokenView) -> None:
    found = view.search("TCGATC")
    assert {(match.start, match.strand) for _, match in found} >= {(EXAMPLE.index("TCGATC"), 1)}
    assert len(view._found["places"]) == len(found)
    assert view.selection.start == found[0][1].start
    assert "does not occur" in (view.search("AAAAAAAAAA"), view._found["words"])[1]
    # The capital of ß is two letters.
    assert [match.start for _, match in TokenView("ßACGT", bio.CharTokenizer()).search("ACGT")] == [1]
    with pytest.raises(InputError):
        view.search("")
    with pytest.raises(InputError, match="a motif or for a token"):
        view.search()


def test_a_token_is_found_by_name_and_by_id(bpe: Any) -> None:
    view = TokenView("ACGTnACGT", bpe)
    unknown = view.search(token="[UNK]")
    assert [match.start for _, match in unknown] == [4]
    some = view.tokenizations[0][view.labels[0]].token_at(1)
    assert [m.start for _, m in view.search(token=some.id)] == [m.start for _, m in view.search(token=some.text)]


def test_the_replay_of_merges_ends_with_the_tokens(view: TokenView, bpe: Any) -> None:
    page = Page(view)
    content, parts = page.ask("merges", sequence=0, lane=view.labels[0], start=0, end=59)
    starts, gone, ranks = (np.frombuffer(part, dtype="<i4") for part in parts)
    assert len(starts) == 59 and len(ranks) == content["steps"] and (content["start"], content["end"]) == (0, 59)
    ends = starts[gone == 0].tolist()
    assert ends == [t.start for t in bio.tokenize(EXAMPLE, bpe) if not t.special]
    assert sorted(gone[gone > 0].tolist()) == list(range(1, content["steps"] + 1))
    assert "not BPE" in page.ask("merges", sequence=0, lane="6-mer", start=0, end=59)[0]["error"] or (
        "no merges" in page.heard[-1][0]["error"]
    )


def test_a_stretch_replayed_alone_ends_as_in_the_whole(bpe: Any, shared_data: Any) -> None:
    text = read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence[:3000]
    view = TokenView(text, bpe)
    content, parts = Page(view).ask("merges", sequence=0, lane=view.labels[0], start=1000, end=1500)
    starts, gone, _ = (np.frombuffer(part, dtype="<i4") for part in parts)
    whole = [t for t in bio.tokenize(text, bpe) if not t.special and t.end > 1000 and t.start < 1500]
    assert starts[gone == 0].tolist() == [t.start for t in whole]
    assert (content["start"], content["end"]) == (whole[0].start, whole[-1].end)


def test_of_a_token_rank_and_merges_are_told(view: TokenView, bpe: Any) -> None:
    longest = max((t for t in bio.tokenize(EXAMPLE, bpe) if not t.special), key=lambda t: len(t.text))
    told = Page(view).ask("about", lane=view.labels[0], token=longest.id)[0]
    assert told["rank"] == longest.id - 4 and told["words"] == len(bpe.get_vocab()) - 5
    last = told["merges"][-1].split(" + ")
    assert "".join(last) == longest.text and len(told["merges"]) == len(longest.text) - 1
    assert Page(view).ask("about", lane="6-mer", token=7)[0]["merges"] == []


# Taking away.


def test_the_table_has_a_row_a_token_with_its_quantities(view: TokenView, bpe: Any) -> None:
    frame = view.to_frame()
    read = bio.tokenize(EXAMPLE, bpe)
    assert len(frame) == 19 + 56 and set(frame["tokenizer"]) == set(view.labels)
    one = frame.iloc[4]
    assert (one["id"], one["text"], one["start"], one["end"]) == (read[4].id, read[4].text, read[4].start, read[4].end)
    assert one["gc"] == pytest.approx(sum(b in "GC" for b in one["text"]) / len(one["text"]))
    assert one["times"] == read.ids.count(one["id"])
    assert pd.read_csv(io.StringIO(view.to_tsv()), sep="\t")["id"].tolist() == frame["id"].tolist()


def test_the_table_of_many_sequences_is_made_at_once(bpe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    view = TokenView([EXAMPLE, "ACGTnACGU", ""], [bpe, bio.KmerTokenizer(6)], scores=[np.zeros(17), np.ones(7), [0, 0]])
    made = []
    with monkeypatch.context() as patched:
        patched.setattr(pd, "DataFrame", lambda *given, real=pd.DataFrame: made.append(1) or real(*given))
        frame = view.to_frame()
    assert len(made) == 1  # a frame a sequence and lane took most of a minute for 3,000
    for (name, label), rows in frame.groupby(["sequence", "tokenizer"], sort=False):
        read = view.tokenizations[int(name[-1]) - 1][label].to_frame()
        pd.testing.assert_frame_equal(rows[list(read)].reset_index(drop=True), read, check_dtype=False)
        assert rows["score"].notna().any() == (label == view.labels[0])
    assert len(frame) == 19 + 56 + sum(map(len, view.tokenizations[1].values())) + 4


def test_the_selection_as_fasta_says_where_it_was(bpe: Any) -> None:
    view = TokenView(Record("chr", "", EXAMPLE), bpe, offset=1001)
    view.selection = (13, 21)
    assert view.to_fasta() == f">chr bases 1014-1021\n{EXAMPLE[13:21]}\n"
    view.selection = None
    assert read_fasta(view.to_fasta())[0].sequence == EXAMPLE


@pytest.mark.parametrize("ending", ["svg", "png", "fasta", "tsv", "html"])
def test_a_view_is_saved_by_the_ending_of_the_name(view: TokenView, ending: str, tmp_path: Any) -> None:
    path = view.save(tmp_path / f"view.{ending}")
    starts = {"svg": b"<svg", "png": b"\x89PNG", "fasta": b">", "tsv": b"sequence\t", "html": b"<!"}
    assert path.read_bytes().lstrip().startswith(starts[ending])


def test_another_ending_or_too_long_a_picture_is_refused(view: TokenView, bpe: Any, tmp_path: Any) -> None:
    with pytest.raises(InputError, match=r"view\.docx ends in none of \.svg"):
        view.save(tmp_path / "view.docx")
    with pytest.raises(InputError, match="too many for a picture"):
        TokenView("ACGT" * 5000, bpe).to_svg(0, 20_000)
    assert list(tmp_path.iterdir()) == []


def test_what_is_handed_to_the_page_is_what_python_makes(view: TokenView) -> None:
    content, parts = Page(view).ask("export", kind="tsv")
    assert parts[0].decode() == view.to_tsv() and content["name"] == "tokens.tsv" and content["text"]
    content, parts = Page(view).ask("export", kind="png")
    assert parts[0].startswith(b"\x89PNG") and not content["text"]
    assert "error" in Page(view).ask("export", kind="../../x")[0]


def test_a_picture_has_the_scale_of_all_sequences_as_the_page_has(bpe: Any) -> None:
    view = TokenView([EXAMPLE[:9], "A" * 200], bpe, color="frequency")
    high = view._card["scales"]["frequency"]["high_said"]
    assert high not in TokenView(EXAMPLE[:9], bpe, color="frequency").to_svg()
    assert high in view.to_svg()


# Text stays text, and proteins are as welcome as DNA.


def test_markup_in_a_name_a_sequence_or_a_token_is_text_in_the_twin(bpe: Any) -> None:
    view = TokenView({HOSTILE: HOSTILE + "ACGT"}, {HOSTILE: bio.CharTokenizer(), "b": bpe})
    for html in (view._make_twin(), view.to_html(), view.to_svg()):
        assert "<script>alert" not in html and "</style><b>" not in html
    assert "&lt;script&gt;" in view._make_twin()
    assert Page(view).ask("export", kind="svg")[0]["name"] == f"{'_script_alert_1___script___style__b_x'[:40]}.svg"


def test_a_page_alone_holds_the_state_and_no_text_of_a_learner_as_markup(bpe: Any) -> None:
    text = TokenView({HOSTILE: HOSTILE + "ACGT"}, {HOSTILE: bio.CharTokenizer(), "b": bpe}).to_html()
    [data] = re.findall(r'<script type="application/json" id="state">(.*?)</script>', text, re.S)
    state = json.loads(data)
    assert state["_card"]["sequences"][0] == [HOSTILE, len(HOSTILE) + 4]
    assert base64.b64decode(state["_opening"]["chunks"][0]["parts"][0]["$bytes"])
    read = bio.tokenize("ACGT", bpe)
    assert state["_known"][f"b/{read[1].id}"]["rank"] == read[1].id - 4
    assert text.count("</script>") == 2 and text.count("</style>") == 2  # the page and the widget have one each
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", text)


def test_a_page_alone_of_more_than_the_view_opens_with_is_the_saved_picture(bpe: Any) -> None:
    text = TokenView("ACGTTGCA" * 4000, bpe).to_html()
    assert "<script" not in text and "first 600 of 32,000 bases" in text


def test_a_protein_with_line_breaks_is_shown_as_residues(protein_bpe: Any) -> None:
    text = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVK\nALPDAQFEVV\n"
    view = TokenView(text, protein_bpe)
    assert view.title.startswith("70 residues became")
    assert view._card["unit"] == "residue" and "gc" not in view._card["scales"] and view._card["offered"] == ["letters"]
    content, parts = Page(view).ask("chunk", sequence=0, chunk=0)
    _, start, end, _, note, _ = columns(parts[0])
    breaks = [content["lanes"][0]["notes"][n] for s, e, n in zip(start, end, note, strict=True) if s == e]
    assert breaks.count("\n") == 2


def test_the_twin_of_many_letters_draws_few_and_says_so(bpe: Any) -> None:
    view = TokenView(EXAMPLE * 200, bpe)
    twin = view._make_twin()
    assert len(twin) < 400_000 and "first 600 of 11,800 bases" in twin
