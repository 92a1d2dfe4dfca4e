"""The line of code that goes on from a checkpoint."""

from __future__ import annotations

import json


def line_that_resumes(call: str, checkpoint: str, *given: str) -> str:
    r"""`call(given, resume_from_checkpoint="checkpoint")`, to be copied and run.

    A path may hold quotes, and on Windows it is full of backslashes.

    >>> print(line_that_resumes("progress.fit_sync", "C:\\runs\\checkpoint-4", "trainer"))
    progress.fit_sync(trainer, resume_from_checkpoint="C:\\runs\\checkpoint-4")
    """
    # JSON's escapes are Python's. Letters of any language stay; what cannot be shown or sent does not.
    path = json.dumps(checkpoint, ensure_ascii=not checkpoint.isprintable())
    return f"{call}({', '.join([*given, f'resume_from_checkpoint={path}'])})"
