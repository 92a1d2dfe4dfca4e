"""The picture of tokens shows each letter inside its piece, each token, and the marks that tell of it."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization import CharTokenizer, KmerTokenizer, tokenize
from biollm_widgets.widgets import colours
from biollm_widgets.widgets.lanes import Lane
from biollm_widgets.widgets.picture import Line, Picture, Rectangle, Text
from biollm_widgets.widgets.reading_lanes import reading_lane
from biollm_widgets.widgets.token_picture import CELL, EDGES, HATCHED, PIECE, draw_tokens

BASES = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"


def rectangles(picture: Picture) -> list[Rectangle]:
    return [item for item in picture.items if isinstance(item, Rectangle)]


def pieces(picture: Picture) -> list[Rectangle]:
    """What letters stand in: all rectangles of a piece's height but the outlines of hatched ones."""
    return [r for r in rectangles(picture) if r.height == PIECE and (r.fill or r.hatch or r.stroke == colours.EDGE)]


def words(picture: Picture) -> list[str]:
    return [item.words for item in picture.items if isinstance(item, Text)]


def lines_of_letters(picture: Picture) -> list[Text]:
    return [item for item in picture.items if isinstance(item, Text) and item.xs]


def within(picture: Picture) -> None:
    """Nothing reaches over the edges, and every letter in ink lies inside a piece."""
    held = pieces(picture)
    for item in picture.items:
        if isinstance(item, Rectangle):
            assert item.x >= 0 and item.x + item.width <= picture.width
            assert item.y >= 0 and item.y + item.height <= picture.height
        elif isinstance(item, Text):
            assert 0 <= item.y <= picture.height
            if item.xs and item.size == 13 and item.colour == colours.INK and item.weight == 400:
                for x in item.xs:
                    assert any(r.x <= x - 3 and x + 3 <= r.x + r.width and r.y < item.y < r.y + PIECE for r in held)


def test_each_token_is_a_piece_with_its_letters(dnabert2) -> None:
    lane = Lane("BPE 4,096", tokenize(BASES, dnabert2))
    picture = draw_tokens([lane], 0, 59, title="59 bases")
    within(picture)
    found = pieces(picture)
    tokens = [token for token in lane.tokenization.tokens if not token.special]
    assert [round((r.width + 2) / CELL) for r in found] == [len(token.text) for token in tokens]
    assert [r.fill for r in found] == [colours.tint(colours.LIGHT[colours.hue_of(t.id)]) for t in tokens]
    assert [line.words for line in lines_of_letters(picture)] == [BASES]
    assert {"1", "11", "51", "[CLS]", "[SEP]", "BPE 4,096", "15 tokens · 3.9 each"} <= set(words(picture))
    chips = [r for r in rectangles(picture) if r.dashed and r.height > 15]
    assert chips[0].x + chips[0].width <= found[0].x and chips[1].x >= found[-1].x + found[-1].width
    assert "TCTATCTA" in picture.description and picture.title == "59 bases"
    # The foot of each piece shows where it ends when its neighbour has the same hue.
    assert sum(r.fill in EDGES for r in rectangles(picture)) == len(tokens)


def test_overlapping_kmers_are_stacked_and_each_letter_is_there_as_often_as_kmers_have_it() -> None:
    picture = draw_tokens([Lane("6-mer", tokenize(BASES, KmerTokenizer(6)))], 0, 59)
    within(picture)
    rows = Counter(r.y for r in pieces(picture))
    assert sorted(rows.values()) == [9] * 6
    lines = lines_of_letters(picture)
    assert [line.words for line in lines] == [BASES[i : i + 54] for i in range(6)]


@pytest.mark.parametrize("width", [150, 420, 920, 1700])
def test_rows_are_wrapped_at_tens_and_what_is_cut_is_open(width: int, shared_data: Path, dnabert2) -> None:
    with gzip.open(shared_data / "genome" / "GCF_000005845.2_ASM584v2_genomic.fna.gz", "rt") as lines:
        next(lines)
        genome = "".join(next(lines).strip() for _ in range(10))
    lanes = [Lane("BPE", tokenize(genome, dnabert2)), Lane("3-mer", tokenize(genome, KmerTokenizer(3)))]
    picture = draw_tokens(lanes, 95, 395, offset=1001, width=width, frames=[reading_lane(genome, -2)])
    within(picture)
    assert picture.width <= max(width, 220)
    bpe = [line for line in lines_of_letters(picture) if line.size == 13 and line.weight == 400]
    assert "".join(line.words for line in bpe[::4])[:300] == genome[95:395]
    assert all(len(line.words) % 10 == 0 for line in bpe[::4])
    numbers = [word for word in words(picture) if word.replace(",", "").isdigit()]
    assert numbers[:2] == ["1,096", "1,101"] and "1,391" in numbers
    left, ends = bpe[0].xs[0] - CELL / 2, {line.xs[-1] + CELL / 2 for line in bpe[::4]}
    for piece in pieces(picture):
        assert piece.round_left == (piece.x > left)
        assert piece.round_right == (piece.x + piece.width not in ends)


def test_unknown_tokens_are_hatched_with_a_question_mark_and_lost_letters_stand_bare(protgpt2, dnabert2) -> None:
    read = tokenize("ACGTNNACGacgT", dnabert2)
    picture = draw_tokens([Lane("BPE", read)], 0, 13)
    within(picture)
    assert sum(r.hatch == HATCHED and r.height == PIECE for r in rectangles(picture)) == len(read.unknown)
    assert words(picture).count("?") == len(read.unknown) > 2
    assert "unknown to the tokenizer" in words(picture)
    # ProtGPT2's vocabulary has no token for a letter like this, and no unknown token: it is not read at all.
    lost = tokenize("MKT\u05d0AYI", protgpt2, alphabet="protein")
    if any("in no token" in note for note in lost.notes):
        bare = draw_tokens([Lane("BPE", lost)], 0, len(lost.sequence))
        assert [line.words for line in lines_of_letters(bare) if line.colour == colours.QUIET] != []
        assert "in no token" in words(bare)


def test_line_breaks_are_marks_between_letters(protgpt2) -> None:
    text = "\n".join(["<|endoftext|>", "M" + "KTAYIAKQRQ" * 5 + "ISFVKSHFS", "RQDILD", "<|endoftext|>"])
    read = tokenize(text, protgpt2, alphabet="protein")
    picture = draw_tokens([Lane("ProtGPT2", read)], 0, len(read.sequence))
    within(picture)
    breaks = sum(token.text == "\n" for token in read.tokens)
    assert words(picture).count("↵") == breaks + 1 == 4  # one more in the legend
    marks = [item for item in picture.items if isinstance(item, Line) and item.thick == 2][:-1]
    first, second = [line for line in lines_of_letters(picture)]
    assert marks[0].x1 == first.xs[0] - CELL / 2
    assert (marks[1].x1, marks[1].y1 < first.y < marks[1].y2) == (first.xs[-1] + CELL / 2, True)  # the end of its line
    assert marks[2].x1 == second.xs[-1] + CELL / 2
    assert words(picture).count("<|endoftext|>") == 2


def test_a_quantity_has_a_colour_a_bar_and_a_legend(dnabert2) -> None:
    lane = Lane("BPE", tokenize(BASES, dnabert2))
    picture = draw_tokens([lane], 0, 59, color="length")
    within(picture)
    lengths = [token.end - token.start for token in lane.tokenization.tokens if not token.special]
    found = pieces(picture)
    assert [r.fill for r in found] == [colours.tint(colours.viridis(n / 8)) for n in lengths]
    bars = [r for r in rectangles(picture) if r.height == 3 and r.fill == colours.TEXT]
    assert [bar.width / piece.width for bar, piece in zip(bars, found, strict=True)] == pytest.approx(
        [n / 8 for n in lengths]
    )
    assert "token length, 0 to 8 bases" in words(picture)
    assert (
        sum(r.fill == colours.tint(stop) for stop in colours.VIRIDIS for r in rectangles(picture) if r.height == 11)
        == 32
    )


def test_a_token_without_a_value_has_an_outline_and_no_bar(dnabert2) -> None:
    read = tokenize(BASES, dnabert2)
    values = np.full(len(read), np.nan)
    values[[3, 5]] = -1, 2
    picture = draw_tokens([Lane("BPE", read, values)], 0, 59, color="scores")
    assert sum(r.fill is None and r.stroke == colours.EDGE for r in pieces(picture)) == 13
    assert sum(r.height == 3 and r.fill == colours.TEXT for r in rectangles(picture)) == 2
    with pytest.raises(InputError, match="quantity is one of"):
        draw_tokens([Lane("BPE", read)], 0, 59, color="colour")


def test_changed_tokens_are_underlined_and_the_selection_is_framed(dnabert2) -> None:
    lanes = [Lane("BPE", tokenize(BASES, dnabert2)), Lane("letters", tokenize(BASES, CharTokenizer("dna")))]
    changed = np.zeros(17, dtype=bool)
    changed[[2, 4]] = True
    picture = draw_tokens(lanes, 0, 59, changed={"BPE": changed}, selection=(13, 21))
    found = pieces(picture)
    lines = [r for r in rectangles(picture) if r.height == 3 and r.fill == colours.INK]
    assert [(r.x, r.width) for r in lines[:2]] == [(found[n].x, found[n].width) for n in (1, 3)]
    assert len(lines) == 3 and "changed" in words(picture)
    [frame] = [r for r in rectangles(picture) if r.stroke == colours.ACCENT]
    assert (frame.x, frame.width) == (lines_of_letters(picture)[0].xs[13] - CELL / 2, 8 * CELL)
    assert frame.y < found[0].y and frame.y + frame.height > found[-1].y + PIECE


@pytest.mark.parametrize("frame", [1, 3, -1, -2])
def test_amino_acids_stand_under_the_middle_of_their_codons(frame: int) -> None:
    read = reading_lane(BASES, frame)
    picture = draw_tokens([Lane("letters", tokenize(BASES, CharTokenizer("dna")))], 0, 59, frames=[read])
    base = lines_of_letters(picture)[0].xs
    amino = [line for line in lines_of_letters(picture) if line.weight == 600]
    assert "".join(line.words for line in amino) == read.protein
    assert [line.xs[0] for line in amino] == [base[read.start + 3 * n + 1] for n in range(len(read.protein))]
    assert read.label in words(picture)
    assert f"{read.label}: {read.protein}." in picture.description


@pytest.mark.parametrize("lanes, start, end", [([], 0, 0), ([""], 0, 9), ([BASES], 20, 20), ([BASES], 70, 90)])
def test_nothing_to_draw_is_said(lanes: list[str], start: int, end: int) -> None:
    picture = draw_tokens([Lane("6-mer", tokenize(text, KmerTokenizer(6))) for text in lanes], start, end)
    assert any("no letter to show" in word for word in words(picture))
    assert picture.height > 20


def test_labels_are_words_and_long_ones_end_in_dots(dnabert2) -> None:
    label = "</style></title><script>alert(1)</script>"
    picture = draw_tokens([Lane(label, tokenize(BASES, dnabert2))], 0, 59, title=label)
    assert any(word.endswith("…") for word in words(picture))
    root = ElementTree.fromstring(picture.to_svg())
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert root[0].text == label and picture.to_png(1)


def test_letters_stand_out_on_what_is_drawn_under_them() -> None:
    for page in (0, 1):
        stop = colours.tint(colours.LIGHT[5])[page]
        assert colours.contrast(colours.INK[page], stop) >= 4.5
        ground = colours.mix(colours.ACCENT.light, 0.1, colours.SURFACE[page])
        assert colours.contrast(colours.QUIET[page], ground) >= 4.5
        assert colours.contrast(colours.INK[page], HATCHED[page]) >= 4.5
