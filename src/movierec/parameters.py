"""Read JSON parameters into a frozen dataclass, with type checks."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args, get_origin

from movierec.errors import UsageError


def read_parameters[T](cls: type[T], values: Mapping[str, Any]) -> T:
    """Return a `cls` from JSON: numbers, text, booleans, literals, tuples of one type.

    Raises UsageError.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"parameters are {values!r}: expected an object")
    fields = {f.name: f.type for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # T is one
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise UsageError(
            f"no such parameter: {', '.join(unknown)}; there are {', '.join(sorted(fields))}"
        )
    return cls(**{name: _typed(name, value, fields[name]) for name, value in values.items()})


def _typed(name: str, value: object, wanted: Any) -> object:  # noqa: ANN401  a field's type
    if get_origin(wanted) is Literal:
        require(value in get_args(wanted), name, value, f"one of {', '.join(get_args(wanted))}")
        return value
    if get_origin(wanted) is tuple:
        require(isinstance(value, list | tuple), name, value, "a list")
        return tuple(_typed(name, each, get_args(wanted)[0]) for each in cast("list[Any]", value))
    fits = isinstance(value, (int, float) if wanted is float else wanted)
    # In Python True is an int.
    fits = fits and isinstance(value, bool) == (wanted is bool)
    require(fits, name, value, f"of type {wanted.__name__}")
    try:
        return wanted(value)
    except OverflowError as exc:
        raise UsageError(f"parameter {name} is too large for a {wanted.__name__}") from exc


def require(holds: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001
    """Raise UsageError naming the parameter, unless `holds`."""
    if not holds:
        raise UsageError(f"parameter {name} is {value!r}: expected {expected}")
