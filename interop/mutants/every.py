"""All mutants: those of each module list themselves as it is loaded."""

from __future__ import annotations

import identity  # noqa: F401
import narrow  # noqa: F401
import performance  # noqa: F401
from mutants import MUTANTS, TOGETHER, UNSEEN, Mutant

__all__ = ["MUTANTS", "TOGETHER", "UNSEEN", "Mutant"]
