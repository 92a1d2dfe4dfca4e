"""TokenView: how a language model reads a sequence, token by token."""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

import numpy as np
import traitlets

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.sequences import Record, format_fasta
from biollm_widgets.tokenization import Match, Tokenization, vocabulary_rank, word_merges
from biollm_widgets.widgets.base import Widget, answers, module, refuse_unknown, sheet
from biollm_widgets.widgets.colours import LIGHT, VIRIDIS
from biollm_widgets.widgets.picture import Picture
from biollm_widgets.widgets.token_chunks import CHUNK, encode_lane
from biollm_widgets.widgets.token_picture import draw_tokens
from biollm_widgets.widgets.token_selection import Selection
from biollm_widgets.widgets.token_sheet import TokenSheet, check_frames
from biollm_widgets.widgets.twin import Table, twin

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.tokenization import Comparison

MOST_IN_LINE = 512  # letters in a line of the page: 5,000 pixels
AT_ONCE = 2 * CHUNK  # letters that travel with the view itself, so that it opens while the kernel is busy
DRAWN = 600  # letters in a picture that nobody chose the stretch of: ten lines of 60
PIECES = 2000  # letters in all lanes together that the saved picture has at most; a notebook keeps it as text
REPLAYED = 5000  # letters that the merge player takes at a time
MOST_FOUND = 5000  # places that the page marks
COLOURS = ("token", "length", "gc", "frequency", "scores")
KINDS = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "fasta": "text/plain",
    "tsv": "text/tab-separated-values",
}


class TokenView(Widget):
    """See how a model reads a sequence: its tokens as pieces along the sequence, and what changes them.

    Parameters
    ----------
    sequence : str, Record, a list of them, or a dict of name to str
        Read by the tokenizer as it is: lower case, N or a space show what they do.
    tokenizer
        What `bio.tokenize` takes; several in a list, or in a dict by the names to show, stand on one ruler.
    color : {"token", "length", "gc", "frequency", "scores"}
        What the colour of a piece says. "frequency" is how often the token occurs in the sequence.
    scores : array of float (tokens,), optional
        One number a token (log-probabilities, attributions), special tokens with or without; a dict by tokenizer for
        several, a list with one array a sequence for several sequences. Edits take them away.
    scores_name : str
        What the numbers are.
    frames : list of {1, 2, 3, -1, -2, -3}
        Reading frames to show under DNA, codon by codon.
    table : int
        NCBI's number of the genetic code: 1 standard, 11 bacteria.
    offset : int
        The number of the first letter on the ruler. (Positions in Python stay 0-based.)
    special_tokens : bool
        Whether the tokenizers add their own.
    alphabet : {"dna", "protein"}, optional
        Guessed from the letters where not given.
    height : int
        The most pixels that the sequence takes before it scrolls.

    Attributes
    ----------
    selection : Selection or None
        What is selected in the page; set it to `(start, end)`, `(number, start, end)` or None. It can be observed.

    Raises
    ------
    InputError
        When something given cannot be shown; says what and the remedy.
    TypeError
        For an option that there is not.
    """

    _front = module("token_data", "token_view")
    _css = sheet("token_view")
    _parts: ClassVar = {"token_panels": ("hand", "token_panels")}

    color = traitlets.Unicode("token").tag(sync=True)
    frames = traitlets.List(traitlets.Int()).tag(sync=True)
    height = traitlets.Int(440).tag(sync=True)
    selection = traitlets.Any(None, allow_none=True)
    _card = traitlets.Dict().tag(sync=True)  # words, lanes and scales: all that is not a stretch of sequence
    _opening = traitlets.Dict().tag(sync=True)  # the first stretches; the page asks for the others
    _range: Any = traitlets.List(traitlets.Int(), None, allow_none=True).tag(sync=True)  # number, start, end
    _found = traitlets.Dict().tag(sync=True)  # what was searched for, and where it is

    def __init__(
        self,
        sequence: Any,
        tokenizer: Any,
        *,
        color: str = "token",
        scores: Any = None,
        scores_name: str = "score",
        frames: Any = (),
        table: int = 1,
        offset: int = 1,
        special_tokens: bool = True,
        alphabet: Optional[str] = None,
        height: int = 440,
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self), unknown)
        self._sheet = TokenSheet(
            sequence, tokenizer, scores=scores, offset=offset, table=table, special_tokens=special_tokens,
            alphabet=alphabet,
        )  # fmt: skip
        self._scores_name = str(scores_name)
        self._version = 0
        super().__init__(
            color=self._known_color(color), frames=check_frames(frames, self._sheet.dna), height=_known_height(height)
        )
        self._refresh()

    # What is shown.

    @property
    def tokenizations(self) -> list[dict[str, Tokenization]]:
        """For each sequence what each tokenizer makes of it now, by label."""
        return [dict(strip.now) for strip in self._sheet.strips]

    @property
    def labels(self) -> list[str]:
        """The names of the tokenizers, in the order of their lanes."""
        return self._sheet.labels

    @property
    def title(self) -> str:
        """The finding, as the card says it."""
        return self._sheet.title

    def to_frame(self, tokenizer: Optional[str] = None) -> pandas.DataFrame:
        """One row a token.

        Parameters
        ----------
        tokenizer : str, optional
            The label of one lane; all of them where not given.

        Returns
        -------
        DataFrame
            sequence, tokenizer, index, id, token, text, start, end, gc (share of its bases that are G or C), times
            (in this sequence), length, special, unknown, reason; score where scores were given, changed after edits.
        """
        return self._sheet.frame(tokenizer)

    def compare(self, number: int = 0) -> Comparison:
        """The tokenizers beside each other on one sequence: tokens, letters a token, vocabulary use, shared borders."""
        return self._sheet.comparison(number)

    def add(self, tokenizer: Any) -> None:
        """Another lane: a tokenizer, or a name such as "6-mer" or "letters"."""
        with self._turn:
            self._sheet.add(tokenizer)
            self._after_lanes()

    def remove(self, label: str) -> None:
        """Take a lane away."""
        with self._turn:
            self._sheet.remove(label)
            self._after_lanes()

    def _after_lanes(self) -> None:
        if not self._can_color(self.color):
            self.color = "token"  # the lane that had scores is gone
        self.selection = self.selection  # with the tokens of the lanes that there are now
        self._refresh()

    # Selecting and searching.

    def select(self, start: int, end: int, number: int = 0) -> None:
        """Select the letters [start, end) of a sequence, here and in the page."""
        self.selection = (number, start, end)

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Any) -> Optional[Selection]:
        value = proposal["value"]
        if value is None:
            return None
        if isinstance(value, Selection):
            value = (value.number, value.start, value.end)
        try:
            number, start, end = (index(part) for part in ((0, *value) if len(value) == 2 else value))
        except (TypeError, ValueError):
            raise InputError(f"A selection is (start, end) or (number, start, end), not {value!r}.") from None
        strip = self._sheet.strip(number)
        if not 0 <= start <= end <= strip.length:
            raise InputError(
                f"A selection lies within 0 to {strip.length:,} and starts before it ends, not {start:,} to {end:,}."
            )
        if start == end:
            return None
        return Selection(start, end, strip.letters[start:end], number, strip.name, dict(strip.now))

    @traitlets.observe("selection")
    def _tell_selection(self, change: Any) -> None:
        chosen = change["new"]
        self._range = None if chosen is None else [chosen.number, chosen.start, chosen.end]

    @traitlets.observe("_range")
    def _hear_selection(self, change: Any) -> None:
        chosen, now = change["new"], self.selection
        if chosen != (None if now is None else [now.number, now.start, now.end]):
            try:
                self.selection = None if not chosen else tuple(chosen)
            except InputError as error:  # a page that is behind: it selected what an edit took away
                self._keep_trouble(str(error))
                self._range = None if now is None else [now.number, now.start, now.end]

    def search(self, motif: Optional[str] = None, *, token: Any = None) -> list[tuple[int, Match]]:
        """Find a motif or a token in all sequences, mark the places in the page, and select the first.

        Parameters
        ----------
        motif : str
            Letters; in DNA IUPAC letters match their bases (N any), and the other strand is searched too.
        token : str or int
            Instead of a motif: a token of the first tokenizer by its text, its name ("[UNK]") or its id.

        Returns
        -------
        list of (int, Match)
            The number of the sequence, and start, end and strand.
        """
        if (motif is None) == (token is None):
            raise InputError('Search for a motif or for a token: search("TATAAT") or search(token="[UNK]").')
        with self._turn:
            if motif is not None:
                what, found = str(motif).upper(), self._sheet.find_motif(str(motif))
            else:
                what, found = f"token {token}", self._sheet.find_token(token)
            count = len(found)
            words = f"{what}: {count:,} place{'s'[: count != 1]}"
            if count > MOST_FOUND:
                words += f", the first {MOST_FOUND:,} are marked"
            places = [[number, match.start, match.end, match.strand] for number, match in found[:MOST_FOUND]]
            self._found = {"words": words if count else f"{what} does not occur here.", "places": places}
            seen = next((place for place in places if place[2] > place[1]), None)
            if seen:
                self.selection = tuple(seen[:3])
        return found

    # Edits: each reads the sequence again with every tokenizer and says what changed.

    def change(self, position: int, letter: str, number: int = 0) -> None:
        """Put another letter at a position (0-based)."""
        self._edit(number, "change", position, letter)

    def insert(self, position: int, letters: str, number: int = 0) -> None:
        """Put letters in before a position (0-based; the length of the sequence for its end)."""
        self._edit(number, "insert", position, letters)

    def delete(self, start: int, end: int, number: int = 0) -> None:
        """Take the letters [start, end) away."""
        self._edit(number, "delete", start, end)

    def reverse_complement(self, start: int = 0, end: Optional[int] = None, number: int = 0) -> None:
        """Read the letters [start, end), or all, from the other strand."""
        self._edit(number, "reverse_complement", start, self._end(end, number))

    def lower_case(self, start: int = 0, end: Optional[int] = None, number: int = 0) -> None:
        """Write the letters [start, end), or all, in lower case."""
        self._edit(number, "lower_case", start, self._end(end, number))

    def upper_case(self, start: int = 0, end: Optional[int] = None, number: int = 0) -> None:
        """Write the letters [start, end), or all, in capitals."""
        self._edit(number, "upper_case", start, self._end(end, number))

    def undo(self, number: int = 0) -> None:
        """Take the last edit back."""
        self._back(number, self._sheet.undo)

    def reset(self, number: int = 0) -> None:
        """Take all edits back."""
        self._back(number, self._sheet.reset)

    def what_changed(self, number: int = 0) -> list[str]:
        """What the edits did to each tokenizer's tokens, in sentences; empty without edits."""
        edits = self._sheet.edits(number)
        return [] if edits is None else [edits["summary"], *edits["lanes"]]

    def _end(self, end: Optional[int], number: int) -> int:
        return self._sheet.strip(number).length if end is None else end

    def _edit(self, number: int, kind: str, *given: Any) -> None:
        with self._turn:
            self._sheet.edit(number, kind, *given)
            self._after_edit(number, self._sheet.strip(number).edited.edits[-1].moved)

    def _back(self, number: int, step: Callable[[int], None]) -> None:
        with self._turn:
            before = self._sheet.strip(number).edited
            step(number)
            after = self._sheet.strip(number).edited
            self._after_edit(number, lambda start, end: before.place_of(start, end, after))

    def _after_edit(self, number: int, moved: Callable[[int, int], Optional[tuple[int, int]]]) -> None:
        """The selection stays with its letters, or goes with them: the same numbers are other letters now."""
        chosen = self.selection
        if chosen is not None and chosen.number == number:
            place = moved(chosen.start, chosen.end)
            self.selection = None if place is None else (number, *place)
        self._found = {}
        self._refresh()

    # Taking away.

    def to_svg(self, start: Optional[int] = None, end: Optional[int] = None, number: int = 0) -> str:
        """A picture of the letters [start, end), of the selection, or of the first 600, as SVG."""
        return self._draw(start, end, number).to_svg()

    def to_png(self, start: Optional[int] = None, end: Optional[int] = None, number: int = 0) -> bytes:
        """The same as PNG, two pixels a point."""
        return self._draw(start, end, number).to_png()

    def to_fasta(self) -> str:
        """The selection as FASTA, its place in the header; all sequences where nothing is selected."""
        chosen = self.selection
        if chosen is None:
            rows = [(s.name or f"sequence_{i}", "", s.letters) for i, s in enumerate(self._sheet.strips, 1)]
        else:
            first = chosen.start + self._sheet.offset
            place = f"{self._sheet.unit}s {first}-{first + len(chosen) - 1}"
            rows = [(chosen.name or f"sequence_{chosen.number + 1}", place, chosen.sequence)]
        return format_fasta(
            [Record("_".join(name.split()), about, letters) for name, about, letters in rows if letters]
        )

    def to_tsv(self) -> str:
        """`to_frame()` as text with tabs."""
        return self.to_frame().to_csv(sep="\t", index=False)

    def save(self, path: Union[str, os.PathLike]) -> Path:
        """Write what the ending of the name says: .svg, .png, .fasta (or .fa), .tsv or .html.

        Raises
        ------
        InputError
            For another ending, or a place that cannot be written to.
        """
        path = Path(path)
        ending = {".fa": "fasta", ".htm": "html"}.get(path.suffix.lower(), path.suffix.lower().lstrip("."))
        if ending == "html":
            self.to_html(path)
            return path
        if ending not in KINDS:
            known = ", ".join(f".{kind}" for kind in KINDS)
            raise InputError(f"{path.name} ends in none of {known} or .html; choose one of these.")
        made = getattr(self, f"to_{ending}")()
        with whole_file(path) as temporary:
            temporary.write_bytes(made if isinstance(made, bytes) else made.encode("utf-8"))
        return path

    def _draw(self, start: Optional[int], end: Optional[int], number: int) -> Picture:
        strip = self._sheet.strip(number)
        chosen = self.selection
        if start is None and end is None and chosen is not None:
            number, start, end = chosen.number, chosen.start, chosen.end
            strip = self._sheet.strip(number)
        start = 0 if start is None else start
        end = min(strip.length, start + DRAWN) if end is None else end
        if not 0 <= start <= end <= strip.length:
            raise InputError(f"A picture is of letters within 0 to {strip.length:,}, not {start:,} to {end:,}.")
        if end - start > 20 * DRAWN:
            raise InputError(
                f"{end - start:,} letters are too many for a picture; name at most {20 * DRAWN:,}, "
                "for instance to_svg(0, 2000), or select fewer."
            )
        return self._picture_of(number, start, end)

    def _picture_of(self, number: int, start: int, end: int) -> Picture:
        lanes = self._sheet.lanes(number)
        changed = {label: marked for label in self.labels if (marked := self._sheet.changed(number, label)) is not None}
        return draw_tokens(
            lanes,
            start,
            end,
            offset=self._sheet.offset,
            color=self.color,
            scale=self._scales.get(self.color),
            frames=tuple(self._sheet.reading(number, frame) for frame in self.frames),
            selection=None if (c := self.selection) is None or c.number != number else (c.start, c.end),
            changed=changed,
            title=self.title,
        )

    # The static twin.

    def _plain(self) -> str:
        return f"{self.title}."

    def _make_twin(self, saved: bool = True) -> str:
        parts = self._sheet.strips
        picture, alt, notes = None, "", []
        if parts and parts[0].length:
            deep = sum(lane.stack[0] for lane in self._sheet.lanes(0))
            end = min(parts[0].length, DRAWN, max(60, PIECES // deep // 60 * 60))
            picture = self._picture_of(0, 0, end)
            alt = f"{self.title}. Tokens of the first {end:,} {self._sheet.unit}s: " + "; ".join(
                f"{label}: {_few([t.text for t in map(read.token_at, range(min(len(read), 12)))])}"
                for label, read in parts[0].now.items()
            )
            if end < parts[0].length:
                notes.append(f"The picture shows the first {end:,} of {parts[0].length:,} {self._sheet.unit}s.")
            if len(parts) > 1:
                notes.append(f"The picture shows {parts[0].name}, the first of {len(parts):,} sequences.")
            if (edits := self._sheet.edits(0)) is not None:
                notes += [edits["summary"], *edits["log"][-5:]]
        tables = []
        if parts and len(self.labels) > 1:
            header, rows = self._sheet.comparison_table(0)
            tables.append(Table(header, rows))
            notes.append(f"{self._sheet.comparison(0).finding}.")
        return twin(
            self.title,
            picture,
            alt,
            tables=tables,
            notes=[*notes, *self._sheet.notes],
            class_name=self._twin,
            saved=saved,
        )

    def _alone(self) -> Optional[dict[str, Any]]:
        held = len(self._opening["chunks"])
        if held < sum(max(1, -(-strip.length // CHUNK)) for strip in self._sheet.strips):
            return None  # more than the view opens with: the rest would have to come from Python
        known = {}
        for label, tokenizer in self._sheet.tokenizers.items():
            read = [strip.now[label] for strip in self._sheet.strips]
            used = sorted({number for one in read for number in np.unique(one.columns.ids).tolist()})
            known.update({f"{label}/{number}": about(tokenizer, number) for number in used[:2000]})
        names = ("_opening", "color", "frames", "height", "_range", "_found")
        kept = {name: getattr(self, name) for name in names}
        return kept | {"_card": {**self._card, "there": ""}, "_known": known}

    # State for the page.

    def _known_color(self, color: Any) -> str:
        can = [name for name in COLOURS if self._can_color(name)]
        if color not in can:
            why = " (give scores=...)" if color == "scores" else ""
            raise InputError(f"color is one of {', '.join(can)}, not {color!r}{why}.")
        return color

    def _can_color(self, name: str) -> bool:
        return {"scores": bool(self._sheet.scores), "gc": self._sheet.dna}.get(name, True)

    def _said_of(self, color: str) -> str:
        return {"gc": "GC", "frequency": "times here", "scores": self._scores_name}.get(color, color)

    @traitlets.validate("color")
    def _check_color(self, proposal: Any) -> str:
        return self._known_color(proposal["value"])

    @traitlets.validate("frames")
    def _check_frames(self, proposal: Any) -> list[int]:
        return check_frames(proposal["value"], self._sheet.dna)

    @traitlets.validate("height")
    def _check_height(self, proposal: Any) -> int:
        return _known_height(proposal["value"])

    @traitlets.observe("frames")
    def _redraw(self, _: Any) -> None:
        if self._version:
            with self._turn:
                self._refresh()

    @traitlets.observe("color")
    def _recolor(self, _: Any) -> None:
        self._renew_twin()

    def _refresh(self) -> None:
        """Tell the page anew what there is; it drops the stretches that it holds."""
        sheet_ = self._sheet
        self._version += 1
        facts = sheet_.lane_facts()
        self._scales = {name: sheet_.scale(name, self._scores_name) for name in COLOURS[1:] if self._can_color(name)}
        with self.hold_sync():
            self._card = {
                "version": self._version,
                "title": sheet_.title,
                "unit": sheet_.unit,
                "dna": sheet_.dna,
                "special": sheet_.special,
                "cuts": sum(fact["rows"] == 1 for fact in facts) > 1,
                "keys": self._keys(),
                "same": "Same token, same colour (eight colours are shared)",
                "bars": " (the bar under a token says the same)",
                "hint": "Point at a token to read about it; click it, or drag along the sequence, to select.",
                "there": "In Python: view.selection.",
                "offset": sheet_.offset,
                "chunk": CHUNK,
                "sequences": [[strip.name, strip.length] for strip in sheet_.strips],
                "lanes": facts,
                "offered": list(sheet_.offered()),
                "scales": {name: scale.to_dict() for name, scale in self._scales.items()},
                "colours": [[name, self._said_of(name)] for name in COLOURS if self._can_color(name)],
                "notes": [f"{note[0].upper()}{note[1:]}{'' if note.endswith('.') else '.'}" for note in sheet_.notes],
                "hues": list(LIGHT),
                "viridis": list(VIRIDIS),
                "frames": list(self.frames),
                "edits": {str(i): edits for i in range(len(sheet_)) if (edits := sheet_.edits(i)) is not None},
                "replayed": REPLAYED,
            }
            self._opening = self._first_chunks()
        self._renew_twin()

    def _keys(self) -> list[str]:
        """The marks of tokens that need a legend: those that some token here has."""
        read = [one.columns for strip in self._sheet.strips for one in strip.now.values()]
        has = {
            "unknown": any(bool(columns.unknown.any()) for columns in read),
            "special": self._sheet.special,
            "changed": any(strip.edited.edits for strip in self._sheet.strips),
        }
        return [name for name, there in has.items() if there]

    def _first_chunks(self) -> dict:
        chunks: list[dict] = []
        budget = AT_ONCE
        for number, strip in enumerate(self._sheet.strips):
            for chunk in range(max(1, -(-strip.length // CHUNK))):
                if budget <= 0 or len(chunks) >= 200:
                    break
                content, parts = self._chunk(number, chunk)
                chunks.append({**content, "parts": parts})
                budget -= min(CHUNK, strip.length) + 1
        return {"chunks": chunks}

    @answers("chunk")
    def _chunk(self, sequence: int, chunk: int) -> tuple[dict, list[bytes]]:
        """A stretch of `CHUNK` letters with all lanes."""
        strip = self._sheet.strip(sequence)
        last = max(1, -(-strip.length // CHUNK))
        if not isinstance(chunk, int) or not 0 <= chunk < last:
            raise InputError(f"There is no stretch {chunk!r} of this sequence; it has {last}.")
        start = chunk * CHUNK
        end = min(strip.length, start + CHUNK)
        lanes, parts = [], []
        for lane in self._sheet.lanes(sequence):
            said, blocks = encode_lane(lane, start, end, self._sheet.changed(sequence, lane.label))
            lanes.append(said)
            parts += blocks
        longest = max((lane["reach"] for lane in lanes), default=0)
        # A codon, and a line of the page, may begin in one stretch and end in the next.
        beyond = max(longest, MOST_IN_LINE)
        low, high = max(0, start - longest), min(strip.length, end + beyond)
        agreed = self._agreed(sequence)
        near = slice(*np.searchsorted(agreed, [start, end]).tolist())
        frames = []
        for frame in self.frames:
            lane_ = self._sheet.reading(sequence, frame)
            first = max(0, (start - lane_.start) // 3)
            after = max(first, -(-(end - lane_.start) // 3))
            frames.append({"start": lane_.start + 3 * first, "protein": lane_.protein[first:after]})
        content = {
            "version": self._version,
            "sequence": sequence,
            "chunk": chunk,
            "from": low,
            "text": strip.letters[low:high],
            "lanes": lanes,
            "agreed": agreed[near].tolist(),
            "frames": frames,
        }
        return content, parts

    def _agreed(self, number: int) -> np.ndarray:
        """Borders that all lanes with borders share, int32; none for a single one."""
        strip = self._sheet.strip(number)
        key = (number, self._version)
        if getattr(self, "_agreed_at", None) != key:
            empty = np.empty(0, dtype=np.int32)
            self._agreed_now = self._sheet.comparison(number).agreed if len(strip.now) > 1 else empty
            self._agreed_at = key
        return self._agreed_now

    @answers("about")
    def _about(self, lane: str, token: int) -> dict:
        """What is known of a token besides its place: name, rank, merges."""
        tokenizer = self._sheet.tokenizers.get(lane)
        if tokenizer is None:
            raise InputError("This tokenizer is not shown any more.")
        return about(tokenizer, token)

    @answers("compare")
    def _answer_compare(self, sequence: int) -> dict:
        found = self._sheet.comparison(sequence)
        head, rows = self._sheet.comparison_table(sequence)
        return {"said": [f"{note}." for note in (found.finding, *found.notes)], "head": head, "rows": rows}

    @answers("merges")
    def _answer_merges(self, sequence: int, lane: str, start: int, end: int) -> tuple[dict, list[bytes]]:
        """The replay of BPE on whole tokens of a stretch, at most `REPLAYED` letters."""
        strip = self._sheet.strip(sequence)
        read = strip.now.get(lane)
        if read is None:
            raise InputError("This tokenizer is not shown any more.")
        # Merges never cross the border of a final token, so whole tokens replayed alone end as they did in the whole.
        columns = read.columns
        first, last = read.covering(start, max(start + 1, min(end, start + REPLAYED)))
        kept = [i for i in range(first, last) if not columns.special[i]]
        if not kept:
            raise InputError("There is no token here to replay; select letters of the sequence.")
        low, high = int(columns.text_starts[kept[0]]), int(columns.text_ends[kept[-1]])
        alone = self._sheet.read_alone(sequence, lane, read.text[low:high])
        history = alone.merge_history
        shift = int(columns.starts[kept[0]])
        starts = np.array([piece.start for piece in history.initial], dtype="<i4") + shift
        ranks = np.array([step.rank for step in history.steps], dtype="<i4")
        content = {"start": shift, "end": int(columns.ends[kept[-1]]), "steps": len(history.steps)}
        return content, [starts.tobytes(), np.asarray(history.joined, dtype="<i4").tobytes(), ranks.tobytes()]

    @answers("edit")
    def _answer_edit(self, sequence: int, kind: str, given: list) -> dict:
        if kind == "undo":
            self.undo(sequence)
        elif kind == "reset":
            self.reset(sequence)
        else:
            self._edit(sequence, kind, *given)
        return {}

    @answers("lane")
    def _answer_lane(self, add: Optional[str] = None, remove: Optional[str] = None) -> dict:
        if add is not None:
            self.add(str(add))
        if remove is not None:
            self.remove(str(remove))
        return {}

    @answers("find")
    def _answer_find(self, what: str, kind: str) -> dict:
        if not what.strip():
            self._found = {}
        elif kind == "token":
            self.search(token=what.strip())
        else:
            self.search(what.strip())
        return {}

    @answers("export")
    def _answer_export(self, kind: str) -> tuple[dict, list[bytes]]:
        if kind not in KINDS:
            raise InputError(f"There is no {kind!r} to take away; there are {', '.join(KINDS)}.")
        made = getattr(self, f"to_{kind}")()
        name = self.selection.name if self.selection else (self._sheet.strips[0].name if self._sheet.strips else "")
        stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:40] or "tokens"
        data = made if isinstance(made, bytes) else made.encode("utf-8")
        return {"name": f"{stem}.{kind}", "kind": KINDS[kind], "text": not isinstance(made, bytes)}, [data]


def about(tokenizer: Any, token: int) -> dict:
    """Place in the vocabulary, words in it, and merges of a token by its id."""
    rank, words = vocabulary_rank(tokenizer, token)
    try:
        merges = [f"{step.left} + {step.right}" for step in word_merges(token, tokenizer)]
    except InputError:  # not BPE: no merges made it
        merges = []
    return {"rank": rank, "words": words, "merges": merges}


def _known_height(height: Any) -> int:
    if isinstance(height, bool) or not isinstance(height, int) or height < 80:
        raise InputError(f"height is a number of pixels from 80 on, not {height!r}.")
    return height


def _few(texts: list[str]) -> str:
    return " ".join("↵" if text.isspace() else text for text in texts)
