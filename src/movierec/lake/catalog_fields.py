"""Read the fields of the site's JSON objects, whatever type this year's site gives them.

A reader takes any JSON value and returns what the lake's column holds, None if the value says
nothing that the column can hold. None of them guesses or raises.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

MISSING: Final = "null"
"""The text that the site writes for a value that it does not have."""

# int() of a text of thousands of digits is slow, and an error.
_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_DECIMAL: Final = re.compile(r"[0-9]{1,19}(\.[0-9]{1,19})?")
_PART_OF_DATE: Final = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2]))?")
_DAY: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ].*)?")
_BETWEEN_NAMES: Final = re.compile(r"\s*[,|]\s*")

_ADULT: Final = {"true": 1, "false": 0}
_GENDERS: Final = {"f": "F", "female": "F", "m": "M", "male": "M"}


def decode(text: bytes | str) -> Any:  # noqa: ANN401  any JSON value
    """Return JSON text's value; NaN and the infinite come as text. Raises ValueError.

    So that what is kept of an object can be written as JSON that every reader takes.
    """
    try:
        return json.loads(text, parse_constant=str, parse_float=_finite)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


class Fields:
    """An object's fields; what no column takes in full is left for `rest`."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._left = dict(found)

    def take[T](self, name: str, read: Callable[[Any], T | None]) -> T | None:
        """Return a field as its column holds it, None if it is missing or of no use there."""
        value = self._left.get(name)
        if value in (None, "", MISSING):
            self._left.pop(name, None)
            return None
        held = read(value)
        # A list or text may say more than its column: the genres' ids, a time of day.
        if held is not None and (held == value or not isinstance(held, (list, str))):
            del self._left[name]
        return held

    def take_cost(self) -> float | None:
        """Return the cost of a play; its field is named `cost` by some sites, *_cost by others."""
        names = [name for name in self._left if name.lower().endswith("cost")]
        for name in sorted(names, key=lambda name: (name != "cost", name != "license_cost")):
            cost = self.take(name, decimal)
            if cost is not None:
                return cost
        return None

    def rest(self) -> str | None:
        """Return the other fields as JSON, None if there are none.

        In ASCII: half of a surrogate pair is then kept, which Arrow's text cannot hold.
        """
        return json.dumps(self._left, separators=(",", ":")) if self._left else None


def text(value: Any) -> str | None:  # noqa: ANN401  any JSON value
    """Return a text that is not empty and that Arrow can hold."""
    if not isinstance(value, str) or not value or any("\ud800" <= c <= "\udfff" for c in value):
        return None
    return value


def whole(least: int, most: int) -> Callable[[Any], int | None]:
    """Return a reader of whole numbers; some dumps write one as text or with a fraction of 0."""

    def read(value: Any) -> int | None:  # noqa: ANN401  any JSON value
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if least <= value <= most else None

    return read


def decimal(value: Any) -> float | None:  # noqa: ANN401  any JSON value
    """Return a number from 0, also if it is written as text, with a dollar sign or without."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value.removeprefix("$")):
        value = float(value.removeprefix("$"))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < 1e300 else None  # noqa: PLR2004  a larger int is no float


def adult(value: Any) -> int | None:  # noqa: ANN401  any JSON value
    """Return 1 or 0 for true or false, as a text in any case or as itself."""
    return _ADULT.get(str(value).lower()) if isinstance(value, (str, bool)) else None


def gender(value: Any) -> str | None:  # noqa: ANN401  any JSON value
    """Return F or M however they are written, another text as it is."""
    found = text(value)
    return None if found is None else _GENDERS.get(found.lower(), found)


def names(value: Any) -> list[str] | None:  # noqa: ANN401  any JSON value
    """Return the names in a list of objects or texts, or in a text with commas or bars."""
    return _items(value, "name")


def languages(value: Any) -> list[str] | None:  # noqa: ANN401  any JSON value
    """Return language codes, or names where there is no code; the list is as in `names`."""
    return _items(value, "iso_639_1", "name")


def _items(value: Any, *keys: str) -> list[str] | None:  # noqa: ANN401  any JSON value
    if isinstance(value, str):
        value = _BETWEEN_NAMES.split(value.strip())
    if not isinstance(value, list):
        return None
    found = (_item(one, keys) for one in value)
    return [one for one in found if one is not None]


def _item(value: Any, keys: tuple[str, ...]) -> str | None:  # noqa: ANN401  any JSON value
    if not isinstance(value, dict):
        return text(value)
    return next(filter(None, (text(value.get(key)) for key in keys)), None)


def release_date(value: Any) -> str | None:  # noqa: ANN401  any JSON value
    """Return a day as YYYY-MM-DD, or as much of it as there is: YYYY-MM, YYYY."""
    shown = str(value) if isinstance(value, (str, int)) else ""
    day = _DAY.fullmatch(shown)
    if day is None:
        return shown if _PART_OF_DATE.fullmatch(shown) else None
    try:
        return date.fromisoformat(day[1]).isoformat()
    except ValueError:
        return None
