"""What a cell of a learner showed, as a notebook keeps it: cut where it is too much, and with nothing active in it."""

from __future__ import annotations

from typing import Any

from biollm_widgets.grading.safe_html import safe_html

# Kinds that a page shows as they are; HTML is made harmless, everything else is left out.
_PLAIN = ("text/plain", "image/png", "image/jpeg", "image/gif", "text/latex")


class Outputs:
    """The outputs of a notebook's cells, as messages of the kernel come.

    Parameters
    ----------
    most : int
        Bytes of one cell; what is beyond is cut.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._named: dict[str, list[Any]] = {}  # outputs that may be updated later, by the name they were shown under

    def begin(self, cell: Any) -> None:
        """A cell is run: what it showed before is gone."""
        self._cell, self._left, self._clears = cell, self._most, False
        self.cut = self.flooded = False
        self._beyond = 0
        cell.outputs = []

    def take(self, message: dict[str, Any]) -> None:
        """Take a message; one that is malformed is passed over. `flooded` says that it is far more than is kept."""
        try:
            if not self.cut:
                self._take(message["msg_type"], message["content"])
                return
            self._beyond += _weight(message.get("content"))
        except Exception:  # whatever a learner's Python can send
            return
        if self._beyond > 20 * self._most:
            self.flooded, self._beyond = True, 0

    def _take(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "execute_input":
            count = content.get("execution_count")
            self._cell.execution_count = count if isinstance(count, int) else None
        elif kind == "clear_output":
            if content.get("wait"):
                self._clears = True
            else:
                self._cell.outputs = []
        elif kind == "update_display_data":
            for output in self._named.get(str(content["transient"]["display_id"]), []):
                self._pay(content)
                output["data"], output["metadata"] = _kept(content["data"]), {}
        elif kind in ("stream", "display_data", "execute_result", "error"):
            if self._clears:
                self._cell.outputs, self._clears = [], False
            self._add(kind, content)

    def _pay(self, content: dict[str, Any]) -> None:
        """Count what something weighs; raises ValueError for what is too much."""
        self._left -= _weight(content)
        if self._left < 0:
            if not self.cut:
                self.cut = True
                self._cell.outputs.append(_stream("stdout", "\n… more output than is kept; the rest was left out.\n"))
            raise ValueError("too much")

    def _add(self, kind: str, content: dict[str, Any]) -> None:
        if self.cut:
            return
        if kind == "stream":
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            text = str(content["text"])
            if len(text) > self._left:
                text = text[: max(0, self._left)]
                content = {"text": "x" * (self._left + 1)}
            last = self._cell.outputs[-1] if self._cell.outputs else None
            if last is not None and last.output_type == "stream" and last.name == name:
                last.text += text
            else:
                self._cell.outputs.append(_stream(name, text))
            self._pay({"text": content["text"]})
            return
        self._pay(content)
        import nbformat

        if kind == "error":
            lines = [str(line) for line in content.get("traceback", [])]
            made = nbformat.v4.new_output(
                "error", ename=str(content["ename"]), evalue=str(content["evalue"]), traceback=lines
            )
        else:
            extra = {"execution_count": self._cell.execution_count} if kind == "execute_result" else {}
            made = nbformat.v4.new_output(kind, data=_kept(content["data"]), **extra)
        self._cell.outputs.append(made)
        shown = (content.get("transient") or {}).get("display_id")
        if shown is not None:
            self._named.setdefault(str(shown), []).append(made)


def say(cell: Any, words: str) -> None:
    """Add a sentence of the grader's to what a cell shows."""
    cell.outputs.append(_stream("stdout", f"{words}\n"))


def _stream(name: str, text: str) -> Any:
    import nbformat

    return nbformat.v4.new_output("stream", name=name, text=text)


def _weight(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return 16 + sum(_weight(one) for one in value.values())
    if isinstance(value, list):
        return 16 + sum(_weight(one) for one in value)
    return 16


def _kept(data: dict[str, Any]) -> dict[str, Any]:
    kept = {kind: str(data[kind]) for kind in _PLAIN if kind in data}
    if "text/html" in data:
        kept["text/html"] = safe_html(str(data["text/html"]))
    return kept or {"text/plain": ""}
