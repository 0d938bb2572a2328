"""What the checks of exercises share: is it a number, and which one?"""

from __future__ import annotations

from typing import Any

import numpy as np


def number(found: Any, what: str) -> float:
    """Return a single number as a float. Raises AssertionError that names `what` for anything else."""
    assert found is not None, f"the function returns nothing; end it with `return ...` ({what})"
    assert found is not ..., f"the function still returns `...`; put {what} in its place"
    shape = np.shape(found)
    assert shape == (), f"expected one number, {what}; found {type(found).__name__} of shape {shape}"
    assert isinstance(found, (int, float, np.number)) or hasattr(found, "item"), f"expected a number, found {found!r}"
    value = float(found)
    assert np.isfinite(value), f"expected a finite number, {what}; found {value}"
    return value


def array(found: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Return what was found as an array of `shape`. Raises AssertionError that names `what` for anything else."""
    assert found is not None, f"the function returns nothing; end it with `return ...` ({what})"
    assert found is not ..., f"the function still returns `...`; put {what} in its place"
    values = np.asarray(found)
    assert values.shape == shape, f"expected {what} of shape {shape}, found {values.shape}"
    return values


def pair(found: Any, what: str) -> Any:
    """Return what was found if it is two things in order. Raises AssertionError that names `what` for anything else."""
    assert found is not None, f"the function returns nothing; end it with `return ...` ({what})"
    assert isinstance(found, (tuple, list, np.ndarray)) and len(found) == 2, f"expected {what}"
    return found


def close(found: Any, expected: Any, tolerance: float = 1e-6) -> bool:
    """Tell whether two numbers, or arrays of one shape, agree up to rounding; one number is expected of each value."""
    a, b = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    return b.shape in ((), a.shape) and bool(np.allclose(a, b, atol=tolerance, rtol=tolerance))
