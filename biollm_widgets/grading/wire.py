"""Values between the grader and a learner's process: JSON and arrays of plain numbers, never a pickle.

A message is a frame: its length (8 bytes), the length of its JSON (4 bytes), the JSON, and for each array its length (8
bytes) and its bytes in NumPy's own format. Whoever reads a frame trusts nothing in it: lengths have limits, arrays hold
numbers or texts of fixed length, and what is of no known kind comes as an `Odd`, a thing with a name and nothing else.
"""

from __future__ import annotations

import io
import json
import math
import select
import socket
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

FRAME = 60.0  # seconds in which a frame that has begun comes to its end
MOST = 256 * 2**20  # bytes of a frame
MOST_TEXT = 32 * 2**20  # bytes of its JSON, which takes many times as much when it is read
_MOST_EMPTY = 2**20  # texts of no letters in an array, of which any number takes no bytes
DEEPEST = 40  # levels of lists in lists
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = 2**12  # bytes of an array that are looked at for what it says of itself
_PLAIN = "biufcUS"  # kinds of arrays that hold no objects


class Broken(Exception):
    """What came over the wire is no frame, or its other end is gone."""


class Slow(Exception):
    """Nothing came in time."""


class Odd:
    """Something of a kind that does not travel; `__class__.__name__` is the kind's name."""

    def __init__(self, length: Optional[int]) -> None:
        self._length = length

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError(f"A {type(self).__name__} has no length.")
        return self._length


def odd(kind: str, length: Optional[int]) -> Any:
    """An `Odd` that says that it is of a kind of this name."""
    name = "".join(letter for letter in kind if letter.isalnum() or letter in "_.")[:60] or "object"
    return type(name, (Odd,), {})(length)


class Extra(NamedTuple):
    """How one side packs what is its own: a function, a network, a folder. `pack` gives None for anything else."""

    pack: Callable[[Any, Packer], Optional[list]]
    unpack: Callable[[list, list], Any]


class Packer:
    """Makes what JSON can hold of a value, and puts its arrays aside.

    Attributes
    ----------
    arrays : list of ndarray
    """

    def __init__(self, extra: Optional[Extra] = None) -> None:
        self.arrays: list[np.ndarray] = []
        self._extra = extra
        self._bytes = 0

    def aside(self, array: np.ndarray) -> int:
        """Put an array aside; its number.

        Raises
        ------
        ValueError
            For one that holds objects, or that is too large with the others.
        """
        if array.dtype.kind not in _PLAIN:
            raise ValueError("objects")
        self._bytes += array.nbytes
        if self._bytes > MOST // 2:
            raise ValueError("too large")
        self.arrays.append(np.ascontiguousarray(array) if array.ndim else array)
        return len(self.arrays) - 1

    def pack(self, value: Any, depth: int = 0) -> Any:
        """What JSON can hold: None, truth values, small whole numbers and texts are themselves, the rest has a tag."""
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            return value if abs(value) < 2**53 else ["int", str(value) if abs(value) < 10**300 else "0"]
        if type(value) is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if value is ...:
            return ["..."]
        if depth > DEEPEST:
            return ["odd", "too deep", None]
        try:
            if self._extra and (made := self._extra.pack(value, self)) is not None:
                return made
            return self._known(value, depth)
        except Exception:  # too deep, too large, or an object that answers nothing one asks it
            return ["odd", type(value).__name__, None]

    def _known(self, value: Any, depth: int) -> Any:
        kind = type(value).__module__.partition(".")[0]
        for tag, of in (("list", list), ("tuple", tuple), ("set", (set, frozenset))):
            if isinstance(value, of):
                return [tag, self._items(list(value), depth + 1)]
        if isinstance(value, dict):
            return ["dict", [[self.pack(k, depth + 1), self.pack(v, depth + 1)] for k, v in list(value.items())]]
        if isinstance(value, (bool, int, float, str)):  # a kind of its own, derived from a plain one
            plain = next(of for of in (bool, int, float, str) if isinstance(value, of))
            return self.pack(plain(value), depth + 1)
        if isinstance(value, np.generic):
            return ["scalar", self.aside(np.asarray(value))]
        if isinstance(value, Path):
            return ["path", str(value)]
        if isinstance(value, np.ndarray) and value.dtype.kind in _PLAIN:
            return ["array", self.aside(np.asarray(value))]
        if isinstance(value, np.ndarray):
            return ["objects", list(value.shape), [self.pack(item, depth + 1) for item in value.reshape(-1).tolist()]]
        if kind == "torch" and hasattr(value, "detach"):
            return self._tensor(value)
        if kind == "pandas":
            made = self._pandas(value, depth)
            if made is not None:
                return made
        try:
            length = len(value)
        except Exception:
            length = None
        return ["odd", type(value).__name__, length]

    def _tensor(self, value: Any) -> Any:
        import torch

        plain = value.detach().cpu().resolve_conj().resolve_neg()
        if plain.is_sparse or plain.is_quantized:
            return ["odd", "Tensor", None]
        if plain.dtype == torch.bfloat16:
            plain = plain.float()
        return ["tensor", self.aside(plain.numpy())]

    def _pandas(self, value: Any, depth: int) -> Any:
        import pandas as pd

        if isinstance(value, pd.DataFrame):
            columns = [self._column(value.iloc[:, place], depth) for place in range(value.shape[1])]
            names = [self.pack(name, depth + 1) for name in value.columns.tolist()]
            return ["frame", names, columns, self._column(value.index, depth)]
        if isinstance(value, pd.Series):
            index = self._column(value.index, depth)
            return ["series", self.pack(value.name, depth + 1), self._column(value, depth), index]
        if isinstance(value, pd.Index):
            return ["index", self._column(value, depth)]
        return None

    def _column(self, values: Any, depth: int) -> Any:
        array = values.to_numpy()
        if array.dtype.kind in "biuf":
            return ["array", self.aside(array)]
        return ["list", self._items(array.tolist(), depth + 2)]

    def _items(self, values: list, depth: int) -> list:
        return [item if type(item) is str else self.pack(item, depth) for item in values]


def unpack(data: Any, arrays: list, extra: Optional[Extra] = None, depth: int = 0) -> Any:
    """The value of what `Packer.pack` made.

    Raises
    ------
    Broken
        For what it cannot have made.
    """
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if depth > 2 * DEEPEST or not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise Broken("It holds something that no packer makes.")
    tag, *rest = data

    def inner(one: Any) -> Any:
        return unpack(one, arrays, extra, depth + 1)

    try:
        if tag == "...":
            return ...
        if tag == "int":
            return int(rest[0])
        if tag == "float":
            return float(rest[0])
        if tag == "path":
            return Path(rest[0])
        if tag in ("list", "tuple", "set"):
            items = [one if type(one) is str else inner(one) for one in rest[0]]
            return items if tag == "list" else tuple(items) if tag == "tuple" else set(items)
        if tag == "dict":
            return {inner(key): inner(value) for key, value in rest[0]}
        if tag in ("array", "scalar", "tensor"):
            array = arrays[rest[0]]
            if tag == "tensor":
                import torch

                return torch.from_numpy(array.copy())
            return array if tag == "array" else array.reshape(())[()]
        if tag == "objects":
            made = np.empty(len(rest[1]), dtype=object)
            made[:] = [inner(one) for one in rest[1]]
            return made.reshape(rest[0])
        if tag in ("frame", "series", "index"):
            return _pandas(tag, rest, inner)
        if tag == "odd":
            return odd(str(rest[0]), rest[1] if isinstance(rest[1], int) and 0 <= rest[1] < 2**31 else None)
        if extra is not None:
            return extra.unpack(data, arrays)
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"A {tag} in it cannot be read ({type(error).__name__}).") from None
    raise Broken(f"It holds a {tag[:20]!r}, which nothing makes.")


def _pandas(tag: str, rest: list, inner: Callable[[Any], Any]) -> Any:
    import pandas as pd

    if tag == "index":
        return pd.Index(inner(rest[0]))
    if tag == "series":
        return pd.Series(inner(rest[1]), index=inner(rest[2]), name=inner(rest[0]))
    names, columns, index = [inner(name) for name in rest[0]], [inner(one) for one in rest[1]], inner(rest[2])
    # By place, for names may come twice.
    frame = pd.DataFrame(dict(enumerate(columns)), index=index)
    frame.columns = pd.Index(names)
    return frame


@lru_cache(256)
def _said(header: bytes) -> tuple[tuple[int, ...], bool, Any]:
    """What the header of an array says: its shape, whether columns come first, its type. In training they repeat."""
    held = io.BytesIO(header)
    version = np.lib.format.read_magic(held)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(held)


@lru_cache(256)
def _header(dtype: Any, shape: tuple[int, ...]) -> bytes:
    """The header of an array whose rows come first."""
    held = io.BytesIO()
    said = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(held, said)
    return held.getvalue()


class Wire:
    """One end of a wire that frames go over.

    Parameters
    ----------
    end : socket
        Of one process alone.
    extra : Extra, optional
        How this end packs and unpacks what is its own.
    gone : callable, optional
        Whether the other end is known to be gone; asked while waiting.
    """

    def __init__(self, end: socket.socket, extra: Optional[Extra] = None, gone: Callable[[], bool] = lambda: False):
        self._end, self._extra, self._gone = end, extra, gone
        self.closed = False

    def send(self, value: Any, seconds: float = 60) -> None:
        """Send a value.

        Raises
        ------
        Broken
            The other end is gone.
        Slow
            It does not read.
        """
        packer = Packer(self._extra)
        text = json.dumps(packer.pack(value)).encode()
        parts = [struct.pack("!I", len(text)), text]
        for array in packer.arrays:
            header, held = _header(array.dtype, array.shape), array.tobytes()
            parts += [struct.pack("!Q", len(header) + len(held)), header, held]
        parts.insert(0, struct.pack("!Q", sum(map(len, parts))))
        try:
            self._end.settimeout(seconds)
            self._end.sendall(b"".join(parts))
        except TimeoutError:
            raise Slow("The other end does not read.") from None
        except OSError:
            self.closed = True
            raise Broken("The other end is gone.") from None

    def receive(self, seconds: float) -> Any:
        """The next value.

        Raises
        ------
        Slow
            It did not come in time; the next `receive` may still get it.
        Broken
            What came is no frame, or the other end is gone.
        """
        until = time.monotonic() + FRAME
        self._wait(time.monotonic() + seconds)
        length = struct.unpack("!Q", self._read(8, until))[0]
        if length > MOST:
            raise self._break("It is too long.")
        frame = memoryview(self._read(length, until))
        text, place = self._piece(frame, 0, "!I")
        if len(text) > MOST_TEXT:
            raise self._break("It is too long.")
        try:
            data = json.loads(bytes(text))
        except (ValueError, RecursionError):
            raise self._break("It is not JSON.") from None
        arrays = []
        while place < length:
            held, place = self._piece(frame, place, "!Q")
            arrays.append(self._array(held))
        return unpack(data, arrays, self._extra)

    def _piece(self, frame: memoryview, place: int, kind: str) -> tuple[memoryview, int]:
        """What stands at a place of a frame behind its length, and the place after it."""
        begin = place + struct.calcsize(kind)
        if begin <= len(frame):
            end = begin + struct.unpack_from(kind, frame, place)[0]
            if end <= len(frame):
                return frame[begin:end], end
        raise self._break("Its parts are longer than the whole.")

    def _array(self, data: memoryview) -> np.ndarray:
        """An array whose header says no more than there is; a copy, for whoever changes it."""
        try:
            # The length of the header stands behind the magic word and the version.
            begin = 10 + int.from_bytes(data[8:10], "little")
            if bytes(data[:8]) != _MAGIC:
                begin = 12 + int.from_bytes(data[8:12], "little")
            if begin > _HEADER:
                raise ValueError
            shape, columns, dtype = _said(bytes(data[:begin]))
            if dtype.kind not in _PLAIN or math.prod(shape) * dtype.itemsize != len(data) - begin:
                raise ValueError
            if not dtype.itemsize and math.prod(shape) > _MOST_EMPTY:
                raise ValueError
            flat = np.frombuffer(data[begin:], dtype) if dtype.itemsize else np.zeros(math.prod(shape), dtype)
            return flat.reshape(shape, order="F" if columns else "C").copy(order="K")
        except Exception:
            raise self._break("An array in it cannot be read.") from None

    def _wait(self, until: float) -> None:
        while not self._there():
            if self._gone():
                raise Broken("The other end is gone.")
            if time.monotonic() > until:
                raise Slow("Nothing came in time.")

    def _there(self) -> bool:
        """Whether something has come, after a moment's waiting."""
        try:
            return bool(select.select([self._end], [], [], 0.2)[0])
        except (OSError, ValueError):  # closed meanwhile
            raise self._break("The other end is gone.") from None

    def _read(self, length: int, until: float) -> bytes:
        parts, left = [], length
        while left:
            try:
                self._end.setblocking(False)  # mostly it is there; whoever waits looks now and then who is still there
                part = self._end.recv(min(left, 2**20))
            except BlockingIOError:
                self._wait(until)
                continue
            except OSError:
                part = b""
            if not part:
                raise self._break("The other end is gone.")
            if time.monotonic() > until:
                raise self._break("It did not come to its end.")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _break(self, why: str) -> Broken:
        """Close this end; what to raise."""
        self.closed = True
        self._end.close()
        return Broken(why)

    def close(self) -> None:
        self.closed = True
        self._end.close()
