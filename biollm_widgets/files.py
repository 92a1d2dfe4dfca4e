"""Writing files so that an output stands under its name only when it is whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

from biollm_widgets.errors import InputError


@contextmanager
def whole_file(path: Union[str, os.PathLike]) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` when the block ends well, remove it otherwise.

    The rename is atomic, so a reader (or a stop in the middle) meets the old file or the new one, never a part.
    The temporary name ends like `path`, for writers that look at the ending.

    Raises
    ------
    InputError
        When the folder of `path` cannot be made or written to, or when `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file to write to.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=path.suffix)
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(f"Cannot write {path} ({reason}); choose a place you may write to.") from problem
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner may read; an output gets the rights that any new file would get.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
