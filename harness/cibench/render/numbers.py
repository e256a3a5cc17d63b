"""Write numbers as people read them: as many digits as their Monte Carlo error leaves."""

from __future__ import annotations

import math
from typing import Any

from cibench.utils.missing import missing

BLANK = "–"


def number(value: Any, error: Any = None) -> str:
    """Write a number to two digits of its error, to three significant digits without one."""
    if missing(value):
        return BLANK
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    known = not (missing(error) or nothing(error, value)) and float(error) < math.inf
    last = _magnitude(float(error)) - 1 if known else _magnitude(value) - 2
    if last < -7 or _magnitude(value) > 6:
        return f"{value:.2e}".replace("-", "−") if value else "0"
    text = f"{value:,.{max(0, -last)}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def nothing(error: Any, value: Any) -> bool:
    """Say whether an error is zero but for rounding."""
    return abs(float(error)) <= 1e-9 * abs(float(value))


def error_of(value: Any, error: Any) -> str:
    """Write a value's Monte Carlo standard error, "" where there is none."""
    if missing(error):
        return ""
    return "(0)" if nothing(error, value) else f"({number(error, error)})"


def signed(value: Any, error: Any = None) -> str:
    """Write a number with its sign, plus included; zero has none."""
    text = number(value, error)
    return f"+{text}" if text[0].isdigit() and text.strip("0.,") else text


def percent(share: Any, digits: int = 0) -> str:
    """Write a proportion in per cent, without the sign."""
    return BLANK if missing(share) else f"{100 * float(share):.{digits}f}"


def digits(low: Any, high: Any) -> int:
    """Return how many decimals of a percentage its limits support."""
    return 0 if missing(low) or missing(high) or float(high) - float(low) > 0.03 else 1


def limits(low: Any, high: Any) -> str:
    """Write the limits of a proportion in per cent as "60–68", "" where there are none."""
    if missing(low) or missing(high):
        return ""
    return f"{percent(low, digits(low, high))}–{percent(high, digits(low, high))}"


def plain(value: Any) -> str:
    """Write a setting or an option as it would be typed: 0.1, 500, tri."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    text = f"{value:,}" if isinstance(value, int) else f"{value:.12g}"
    return text.replace("-", "−")


def exact(value: Any, error: Any = None) -> str:
    """Write a truth: as it was typed, or to two digits of its error where it was simulated.

    What no person has typed, a computed number of many digits, is written with five.
    """
    if missing(value):
        return BLANK
    if not (missing(error) or error == 0):
        return number(value, error)
    typed = float(f"{value:.6g}") == float(f"{value:.12g}")
    return plain(float(value) if typed else float(f"{value:.5g}"))


def count(number_of: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: "1 fit", "2,400 fits"."""
    return f"{number_of:,} {noun if number_of == 1 else plural or noun + 's'}"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
