"""ProteinPanel: let a language model write proteins, watch them grow, and judge them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.protein.generation import Settings
from biollm_widgets.protein.loading import MODEL, known_name, path_of
from biollm_widgets.widgets import protein_files, protein_table
from biollm_widgets.widgets import protein_words as words
from biollm_widgets.widgets.base import answers, module, refuse_unknown, sheet
from biollm_widgets.widgets.live import Live
from biollm_widgets.widgets.picture import Picture
from biollm_widgets.widgets.protein_ask import KEYS, Ask
from biollm_widgets.widgets.protein_model import Model
from biollm_widgets.widgets.protein_picture import draw_proteins
from biollm_widgets.widgets.protein_sheet import ProteinSheet
from biollm_widgets.widgets.protein_twin import saved_card

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.protein.generation import Generation, NextToken, Step

SHOWN = 24  # of the likeliest tokens


class ProteinPanel(Live):
    """Design proteins with a language model: ask, see how it samples, watch them grow, judge them, take them along.

        panel = ProteinPanel()
        panel

    The button Generate works in a thread beside the notebook; `await panel.generate()` does the same and the cell waits
    for it. Cancel ends at the next token and keeps what is there. In a script, in a terminal and under nbgrader,
    `panel.generate_sync()` works in the foreground, and Ctrl-C does what Cancel does.

    Parameters
    ----------
    model : str, path, or a causal language model of transformers
        As `bio.generate` takes it; loaded when it is first needed. A loaded one goes with its `tokenizer`.
    prompt, n, max_length, do_sample, temperature, top_k, top_p, repetition_penalty, eos_token_id, seed, precision
        What the controls begin with; see `bio.generate`, whose defaults they have. The same seed and settings give the
        same proteins there, here, and by `biollm generate`.
    device : str or torch.device
    references : References, FASTA path or records
        Known proteins: the nearest to each design is looked for, about a second each.
    name : str
        What the panel is called.

    Raises
    ------
    InputError
        For settings that cannot be, a prompt that is no protein, or a loaded model that writes no text.
    TypeError
        For an option that there is not.
    """

    _front = module("protein_panel")
    _css = sheet("protein_panel")
    _parts: ClassVar = {
        "protein_sampling": ("protein_sampling",),
        "protein_judging": ("protein_judging",),
        "protein_take": ("hand", "protein_take"),
    }

    _calm = 0.5  # seconds: often enough to see them grow, and drawing takes time from the model
    _control: Any = None  # of the work that goes on

    def __init__(
        self,
        model: Any = MODEL,
        *,
        tokenizer: Any = None,
        prompt: Optional[str] = "",
        n: int = Settings.n,
        max_length: int = Settings.max_length,
        do_sample: bool = True,
        temperature: float = Settings.temperature,
        top_k: int = Settings.top_k,
        top_p: float = Settings.top_p,
        repetition_penalty: float = Settings.repetition_penalty,
        eos_token_id: Optional[int] = None,
        seed: Optional[int] = None,
        precision: str = "float32",
        device: Any = None,
        references: Any = None,
        name: str = "",
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self), unknown)
        ask = Ask(
            Settings(
                prompt=prompt or "",
                n=n,
                max_length=max_length,
                do_sample=do_sample,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                repetition_penalty=repetition_penalty,
                eos_token_id=eos_token_id,
                seed=seed,
                model=known_name(path_of(model)),
                precision=precision,
            )
        )
        self._name = str(name)
        self._model = Model(model, tokenizer, device)
        self._references = references
        self._sheet = ProteinSheet(ask, self._model, self._name)
        super().__init__()

    # Generating.

    def generate(self, **changes: Any) -> Coroutine[Any, Any, Generation]:
        """Let the model write: `generation = await panel.generate(n=5)`. Changes are settings, and stay.

        Returns
        -------
        Generation
            As of `bio.generate`; after Cancel with what was written until then.

        Raises
        ------
        InputError
            For a setting that cannot be, or when this panel is at work already.
        Exception
            Whatever generating raises, as itself.
        """
        from biollm_widgets.widgets.running import Awaited

        return Awaited(self, self._generating(changes, "await panel.generate"))

    def generate_sync(self, **changes: Any) -> Generation:
        """The same where nothing can be awaited; returns when it is done."""
        from biollm_widgets.widgets.running import run_here

        return run_here(self, self._generating(changes, "panel.generate_sync"))

    def _generating(self, changes: dict[str, Any], call: str) -> Any:
        from biollm_widgets.widgets.protein_run import Generating

        self._change(changes)
        for key, check in self._sheet.checks.items():  # nothing begins while something that was typed cannot be
            if check["wrong"]:
                raise InputError(f"First mend {words.LABELS[key]}: {check['words']}")
        return Generating(self._sheet.ask.settings, call)

    def _change(self, changes: dict[str, Any]) -> None:
        ask = self._sheet.ask
        for key in changes:
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, 1)
                meant = f"did you mean {near[0]}? They" if near else "they"
                raise TypeError(f"There is no setting {key!r}; {meant} are {', '.join(KEYS)}.")
        with self._turn:
            ask.change_all(changes)
            self._sheet.look_again()

    def cancel(self) -> None:
        """End at the next token and keep what is there; what the button does."""
        control = self._control
        if control is None:
            raise InputError("Nothing is at work here, so there is nothing to cancel.")
        if control.stop.is_set() or self._sheet.phase == "judging":
            control.skip.set()
        control.stop.set()
        self._sheet.stopping = self._urgent = True

    def close(self) -> None:
        self._ask_to_stop()
        super().close()

    def _ask_to_stop(self) -> None:
        """An interrupt, whenever it comes."""
        if self._control is not None:
            self.cancel()

    def judge(self, references: Any) -> None:
        """Compare what is there with known proteins, and all that comes later too.

        Parameters
        ----------
        references : References, FASTA path or records
        """
        from biollm_widgets.widgets.protein_run import Judging
        from biollm_widgets.widgets.running import run_here

        run_here(self, Judging(references))

    # What is known.

    @property
    def generation(self) -> Generation:
        """What was generated last.

        Raises
        ------
        InputError
            Before there is any.
        """
        with self._turn:
            self._drain()
            if self._sheet.generation is None and self._sheet.steered:
                raise InputError("The proteins are still growing; ask again when they are there.")
            if self._sheet.generation is None:
                raise InputError("Nothing was generated yet; press Generate, or write await panel.generate().")
            return self._sheet.generation

    @property
    def settings(self) -> Settings:
        """The settings as the controls stand; the seed is None where each time has a new one."""
        return self._sheet.ask.settings

    @property
    def title(self) -> str:
        """The finding, as the card says it."""
        return str(self._now()["title"])

    @property
    def state(self) -> str:
        """idle, loading, growing, judging, done, stopped or failed."""
        return str(self._now()["phase"])

    def to_frame(self) -> pandas.DataFrame:
        """The table: one row a design, the least surprising first; see `Generation.to_frame`."""
        generation = self.generation
        with self._turn:
            frame = self._sheet.frame
        if frame is None or "flags" not in frame:  # judging was cancelled
            frame = generation.to_frame()
        return frame.copy()

    def explore(self, design: Optional[int] = None, position: Optional[int] = None, shown: int = SHOWN) -> NextToken:
        """What can come next, and what the settings make of it.

        Parameters
        ----------
        design : int
            A design by its place, from 0: with the settings that it was made with. The prompt as it stands otherwise.
        position : int
            Which of the design's tokens is chosen, from 0, those of the prompt included; the last where not given.
        shown : int
            How many of the likeliest tokens to list, before and after the settings.
        """
        self._model.here()
        return self._explored(design, position, shown)[0]

    def walk(self, design: int) -> tuple[Step, ...]:
        """A design token by token, each with its probability."""
        from biollm_widgets.protein.generation import walk

        made = self._design(design)
        self._model.here()
        return walk(made, self._model.explorer.pieces)

    def _design(self, place: Any) -> Any:
        generation = self.generation
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(generation):
            raise InputError(f"There are {len(generation)} designs, counted from 0; {place!r:.40} is none of them.")
        return generation[place]

    def _explored(self, design: Any, position: Any, shown: Any) -> tuple[NextToken, Optional[int]]:
        """The choice, and which token was taken."""
        explorer = self._model.explorer
        shown = min(max(1, shown), 200) if isinstance(shown, int) else SHOWN
        if design is None:
            settings = self._sheet.ask.settings.checked()
            return explorer.after(explorer.opening(settings.prompt), settings, shown), None
        made = self._design(design)
        ids = [choice.id for choice in (*made.opening, *made.choices)]
        place = len(ids) - 1 if position is None else position
        if isinstance(place, bool) or not isinstance(place, int) or not 0 < place < len(ids):
            raise InputError(f"{made.name} has {len(ids)} tokens; name one from 1 (0 is given) to {len(ids) - 1}.")
        return explorer.after(ids[:place], self.generation.settings, shown, ids[place]), ids[place]

    # Taking away.

    def to_fasta(self, path: Union[str, os.PathLike, None] = None) -> str:
        """See `Generation.to_fasta`."""
        return self.generation.to_fasta(path)

    def to_csv(self, path: Union[str, os.PathLike, None] = None) -> str:
        """The table of `to_frame()` as CSV; written to `path` too, if given."""
        text = protein_files.content(self.generation, self.to_frame(), "csv")
        assert isinstance(text, str)
        return self._written(text, path)

    def to_json(self, path: Union[str, os.PathLike, None] = None) -> str:
        """The settings that make the same proteins again; see `Generation.to_json`."""
        return self.generation.to_json(path)

    def to_alphafold3(self, folder: Union[str, os.PathLike, None] = None, *, msa_free: bool = False) -> list[dict]:
        """See `Generation.to_alphafold3`."""
        return self.generation.to_alphafold3(folder, msa_free=msa_free)

    def to_svg(self) -> str:
        """The picture as SVG."""
        return self._draw().to_svg()

    def to_png(self) -> bytes:
        """The picture as PNG, two pixels a point."""
        return self._draw().to_png()

    def save(self, path: Union[str, os.PathLike]) -> None:
        """Write .fasta, .csv, .json (the settings), .svg, .png or .html (a page of its own).

        Raises
        ------
        InputError
            For another ending, a place that cannot be written to, or before anything was generated.
        """
        kind = Path(path).suffix.lstrip(".").lower()
        if kind == "html":
            self.to_html(path)
            return
        if kind not in ("fasta", "csv", "json", "svg", "png"):
            raise InputError(f"{path}: the ending is one of .fasta, .csv, .json, .svg, .png, .html.")
        data = self._file(kind, False, None)
        with whole_file(path) as temporary:
            temporary.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))

    def _written(self, text: str, path: Union[str, os.PathLike, None]) -> str:
        if path is not None:
            with whole_file(Path(path).expanduser()) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="")
        return text

    def _file(self, kind: str, msa_free: bool, designs: Any) -> Union[str, bytes]:
        if kind == "svg":
            return self.to_svg()
        if kind == "png":
            return self.to_png()
        return protein_files.content(
            protein_files.chosen(self.generation, designs), self.to_frame(), kind, bool(msa_free)
        )

    def _draw(self) -> Picture:
        return draw_proteins(self._now())

    # For `base.Widget`.

    def _make_twin(self, saved: bool = True) -> str:
        return saved_card(self._now(), self._twin, saved)

    def _plain(self) -> str:
        return f"{self._sheet.title}."

    def _live_plain(self) -> str:
        return "ProteinPanel. The picture beside this text is how it stood last."

    def _alone(self) -> Optional[dict[str, Any]]:
        # What the page would ask Python for: the part that opens the table.
        texts = {stem: module(*files) for stem, files in self._parts.items() if stem == "protein_judging"}
        return {"_shot": {**self._now(), "buttons": [], "live": False}, "_texts": texts}

    # Questions of the page.

    @answers("settings")
    def _answer_settings(self, changes: Any = None, explore: Any = None) -> dict:
        """Take what was typed; with `explore`, a number of tokens, bring what comes next along: a slider asks once."""
        sheet = self._sheet
        for key, given in (changes if isinstance(changes, dict) else {}).items():
            sheet.ask.change(str(key), given)
        sheet.look_again()
        answer = {"ask": dict(sheet.ask.typed), "checks": sheet.checks}
        if explore is not None:
            try:
                answer.update(self._answer_explore(shown=explore))
            except InputError as error:
                answer["unexplored"] = str(error)
        return answer

    @answers("authors")
    def _answer_authors(self, explore: Any = None) -> dict:
        self._sheet.ask.authors()
        return self._answer_settings(explore=explore)

    @answers("ready")
    def _answer_ready(self) -> dict:
        from biollm_widgets.widgets.protein_run import load

        load(self)
        return {"model": self._sheet.about_model, "checks": self._sheet.checks}

    @answers("explore")
    def _answer_explore(self, design: Any = None, position: Any = None, shown: Any = SHOWN) -> dict:
        if self._sheet.steered and self._sheet.phase in ("loading", "growing"):
            raise InputError("The model is writing; what comes next is shown when it has ended.")
        found, taken = self._explored(design, position, shown)
        return {"next": _next(found, taken)}

    @answers("walk")
    def _answer_walk(self, design: Any = None) -> dict:
        plain = protein_table.plain
        steps = [
            {
                "i": step.index,
                "id": step.id,
                "text": step.text,
                "start": step.start,
                "end": step.end,
                "p": plain(step.probability),
                "p_model": plain(step.by_model),
                "given": step.given,
            }
            for step in self.walk(design)
        ]
        return {"steps": steps}

    @answers("design")
    def _answer_design(self, design: Any = None) -> dict:
        made = self._design(design)
        frame = self._sheet.frame
        [record] = frame[frame["name"] == made.name].to_dict("records")
        return protein_table.details(made, record, self._sheet.table["columns"])

    @answers("generate")
    def _answer_generate(self) -> None:
        from biollm_widgets.widgets.running import run_alone

        run_alone(self, self._generating({}, "panel.generate"))

    @answers("cancel")
    def _answer_cancel(self) -> None:
        self.cancel()

    @answers("references")
    def _answer_references(self, path: Any = "") -> dict:
        from biollm_widgets.widgets.protein_run import Judging
        from biollm_widgets.widgets.running import run_alone

        text = path.strip() if isinstance(path, str) else ""
        if not text:
            raise InputError("Name a FASTA file of known proteins, as Python would open it.")
        place = Path(text).expanduser()
        if not place.is_file():
            raise InputError(f"There is no file {text[:200]} where Python runs ({Path.cwd()}); check the name.")
        run_alone(self, Judging(place))
        return {"words": f"Reading {place.name}."}

    @answers("file")
    def _answer_file(self, kind: str = "", msa_free: Any = False, designs: Any = None) -> Any:
        if kind not in protein_files.FILES:
            raise InputError(f"There is no file of the kind {kind!r}; take one of {', '.join(protein_files.FILES)}.")
        data = self._file(kind, bool(msa_free), designs)
        name, media = protein_files.FILES[kind]
        head = {"name": name, "kind": media}
        return ({**head, "text": data}, []) if isinstance(data, str) else (head, [data])

    @answers("write")
    def _answer_write(self, folder: Any = "", msa_free: Any = False) -> dict:
        text = folder.strip() if isinstance(folder, str) else ""
        if not text:
            raise InputError("Name a folder to write into; it is made where there is none.")
        place, written = protein_files.write_all(self.generation, self.to_frame(), Path(text), bool(msa_free))
        count = words.count(len(written), "file")
        return {"words": f"Wrote {count} into {place.resolve()}.", "files": [str(path) for path in written]}

    # Events on their way to the page.

    def _hear_event(self, event: dict[str, Any]) -> None:
        """An event of the work, in its own thread."""
        if event["event"] != "step":
            self._urgent = True
            self._waiting.append(event)
        if not self._pumped:
            self._tick()

    def _drain(self) -> None:
        sheet = self._sheet
        while self._waiting:
            event = self._waiting.popleft()
            kind = event["event"]
            if kind == "say":
                sheet.said = event["words"]
            elif kind == "loaded":
                sheet.look_again()
                self._redraw = True
            elif kind == "reading":
                sheet.reading(event["settings"])
            elif kind == "growing":
                sheet.growing(event["growth"])
            elif kind == "made":
                sheet.made(event["generation"])
            elif kind == "judging":
                sheet.judging(event["done"], event["of"])
            elif kind == "judged":
                sheet.judged(event["frame"])
                self._redraw = True
            elif kind == "end":
                sheet.end(event["state"], event["words"])
                self._redraw = True
        sheet.advance()


def _next(found: NextToken, taken: Optional[int]) -> dict[str, Any]:
    """A choice as a page gets it."""
    return {
        "candidates": [
            {
                "id": one.id,
                "text": one.text,
                "kind": one.kind,
                "before": one.before,
                "after": one.after,
                "cut_by": one.cut_by,
                "penalized": one.penalized,
                "chosen": one.id == taken,
            }
            for one in found.candidates
        ],
        "stages": [
            {"name": one.name, "label": words.STAGES.get(one.name, one.name), "left": one.left, "entropy": one.entropy}
            for one in found.stages
        ],
        "vocabulary": found.vocabulary,
        "before_rest": found.before_rest,
        "after_rest": found.after_rest,
        "finding": found.finding,
    }
