"""The Apptainer container that this process runs in, and command lines that lead into one from its host."""

from __future__ import annotations

import os


def image() -> str:
    """The image that this process runs in, as Apptainer (or Singularity) tells it; empty where it runs in none."""
    return os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER") or ""


def into(image: str, *words: str, keep: tuple[str, ...] = ()) -> list[str]:
    """The words of a command that runs `words` in a container, with the environment variables `keep` as they are here.

    Variables of the host are seen in the container anyway; those that were given with --env are not known outside.
    """
    kept = [word for name in keep if name in os.environ for word in ("--env", f"{name}={os.environ[name]}")]
    return ["apptainer", "exec", *kept, image, *words]
