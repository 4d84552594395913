"""All mutants: those of each module list themselves as it is loaded."""

from __future__ import annotations

import identity  # noqa: F401
import performance  # noqa: F401
from narrow import MUTANTS, TOGETHER, Mutant

__all__ = ["MUTANTS", "TOGETHER", "Mutant"]
