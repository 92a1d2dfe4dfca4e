"""What may seed a split, a sample or a simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

from biollm_widgets.errors import InputError


def checked_seed(seed: Any) -> int:
    """The seed as an int.

    Raises
    ------
    InputError
        When it is not a whole number from 0 to 2**32 - 1, which is what scikit-learn takes.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed!r}; give a whole number from 0 to {2**32 - 1}.")
    return int(seed)
