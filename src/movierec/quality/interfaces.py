"""Every outside interface, declared once: what its fields hold, and in which range.

Declared are the events of the site's log lines, the answers of its two APIs, the lake's rows made
of both, and our own answers. One declaration serves two ways: `faults` checks one object, `sql`
counts what breaks it in a table, in one pass and without rows in memory.

Ingest has rules of its own, made for speed; a test has it accept nothing that is no row here.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, Literal

from movierec import api_contract
from movierec.lake.schema import ADULT_UNKNOWN, AGE_UNKNOWN
from movierec.model.rating_scale import RatingScale
from movierec.model.segments import LARGEST_AGE
from movierec.model.user_id import LARGEST_USER_ID

Kind = Literal["whole", "number", "text", "texts", "truth", "time"]

MOVIE_ID: Final = r"[^\s,/=]{1,1000}"
LARGEST_MINUTE: Final = 999_999_999
LONGEST_RUNTIME_MINUTES: Final = 100_000
LARGEST_LIST: Final = 20
"""Movies that the site shows of an answer."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its kinds, its range, and whether it must be there."""

    name: str
    kinds: tuple[Kind, ...]
    required: bool = True
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    varies: bool = False
    """Whether the same value everywhere is a fault of who writes it."""


@dataclass(frozen=True, slots=True)
class Interface:
    """What one side sends to another."""

    name: str
    fields: tuple[Field, ...]


_USER: Final = Field("user_id", ("whole",), low=1, high=LARGEST_USER_ID)
_MOVIE: Final = Field("movie_id", ("text",), pattern=MOVIE_ID)
_TIME: Final = Field("event_time", ("time",))


def events(scale: RatingScale) -> Mapping[str, Interface]:
    """Return the site's log lines by kind, as the lake holds them."""
    rating = Field("rating", ("whole",), low=scale.lowest, high=scale.highest, varies=True)
    minute = Field("minute", ("whole",), low=0, high=LARGEST_MINUTE, varies=True)
    result = (
        Field("status", ("whole",), low=0, high=599),
        Field("latency_ms", ("whole",), required=False, low=0),
        Field("server", ("text",), required=False, pattern=MOVIE_ID.replace("=", "")),
    )
    fields = {
        "watch": (_MOVIE, minute),
        "rate": (_MOVIE, rating),
        "recommend": result,
        "create_account": (),
    }
    return {
        kind: Interface(f"log line, {kind}", (_TIME, _USER, *more)) for kind, more in fields.items()
    }


MOVIES: Final = Interface(
    "table movies",
    (
        _MOVIE,
        Field(
            "runtime_minutes",
            ("whole",),
            required=False,
            low=0,
            high=LONGEST_RUNTIME_MINUTES,
            varies=True,
        ),
        Field("adult", ("whole",), required=False, low=ADULT_UNKNOWN, high=1),
        Field("vote_average", ("number",), required=False, low=0),
        Field("vote_count", ("whole",), required=False, low=0),
        Field("popularity", ("number",), required=False, low=0),
        Field("cost_usd", ("number",), required=False, low=0),
    ),
)

USERS: Final = Interface(
    "table users",
    (
        _USER,
        Field("age", ("whole",), required=False, low=AGE_UNKNOWN, high=LARGEST_AGE, varies=True),
        Field("gender", ("text",), required=False),
    ),
)

SITE_MOVIE: Final = Interface(
    "the site's /movie/<id>",
    (
        Field("id", ("text",), pattern=MOVIE_ID),
        Field("title", ("text",), required=False),
        Field("runtime", ("whole",), required=False, low=0, high=LONGEST_RUNTIME_MINUTES),
        Field("adult", ("truth",), required=False),
        Field("genres", ("texts", "text"), required=False),
        Field("release_date", ("text", "whole"), required=False),
        Field("vote_average", ("number",), required=False, low=0),
        Field("vote_count", ("whole",), required=False, low=0),
        Field("popularity", ("number",), required=False, low=0),
    ),
)

SITE_USER: Final = Interface(
    "the site's /user/<id>",
    (
        Field("user_id", ("whole",), low=1, high=LARGEST_USER_ID),
        Field("age", ("whole",), required=False, low=0, high=LARGEST_AGE),
        Field("gender", ("text",), required=False),
        Field("occupation", ("text",), required=False),
    ),
)

RECOMMEND: Final = Interface(
    "our /recommend/<user>",
    (
        Field("body", ("text",), pattern=rf"{MOVIE_ID}(,{MOVIE_ID}){{0,{LARGEST_LIST - 1}}}"),
        Field(api_contract.CONTENT_TYPE, ("text",), choices=(api_contract.TEXT,)),
        Field(api_contract.MODEL_VERSION, ("text",), pattern=r"\S+"),
        Field(api_contract.FUNCTION_VERSION, ("text",), pattern=r"\$LATEST|[0-9]+"),
        Field(api_contract.RECOMMENDATION_ID, ("text",), pattern=r"\S+"),
        Field(api_contract.RECOMMENDATION_SOURCE, ("text",), choices=("model", "popular")),
        Field(api_contract.RECOMMENDATION_DETAIL, ("text",), required=False),
    ),
)
"""The body, and the headers beside it, of an answer of status 200."""


def faults(interface: Interface, found: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with an object, by field: missing, type, range or format."""
    wrong = {field.name: _fault(field, found.get(field.name)) for field in interface.fields}
    return {name: fault for name, fault in wrong.items() if fault}


def _fault(field: Field, value: object) -> str:
    if value is None or value == "":
        return "missing" if field.required else ""
    read = next((each for kind in field.kinds if (each := _READ[kind](value)) is not None), None)
    if read is None:
        return "type"
    if isinstance(read, float) and not _within(field, read):
        return "range"
    if field.choices and read not in field.choices:
        return "range"
    return "format" if field.pattern and not re.fullmatch(field.pattern, str(read)) else ""


def _within(field: Field, value: float) -> bool:
    return (field.low is None or value >= field.low) and (field.high is None or value <= field.high)


def _number(value: object) -> float | None:
    """Return a number, also if it is written as text, as some dumps do."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,19})?", value):
        return float(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else None


def _whole(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number == int(number) else None


def _truth(value: object) -> str | None:
    text = str(value).lower() if isinstance(value, (bool, str)) else ""
    return text if text in ("true", "false") else None


def _texts(value: object) -> object:
    named = (str, dict)
    whole = isinstance(value, list) and all(isinstance(one, named) for one in value)
    return value if whole else None


_READ: Final[Mapping[Kind, Callable[[Any], object]]] = {
    "whole": _whole,
    "number": _number,
    "text": lambda value: value if isinstance(value, str) else None,
    "texts": _texts,
    "truth": _truth,
    "time": lambda value: value,
}


def sql(interface: Interface, table: str, condition: str = "true") -> str:
    """Return a query of one row: rows, and of each field its missing, wrong, lowest and highest.

    Formats are not checked here: they take longer than all else, and an id's is checked where each
    id is read once.
    """
    parts = ["count(*) as n", *(part for field in interface.fields for part in _sql_of(field))]
    return f"select {', '.join(parts)} from {table} where {condition}"  # noqa: S608  declared names


def _sql_of(field: Field) -> Iterable[str]:
    name = field.name
    yield f"coalesce(sum(case when {name} is null then 1 else 0 end), 0) as {name}__missing"
    if not {"whole", "number"}.intersection(field.kinds):
        return
    limits = [f"{name} < {field.low}"] if field.low is not None else []
    limits += [f"{name} > {field.high}"] if field.high is not None else []
    outside = " or ".join(limits) or "false"
    yield f"coalesce(sum(case when {outside} then 1 else 0 end), 0) as {name}__outside"
    yield f"coalesce(cast(min({name}) as double), 0.0) as {name}__lowest"
    yield f"coalesce(cast(max({name}) as double), 0.0) as {name}__highest"


def values(interface: Interface, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `sql` counted, as plain values by field: JSON of the report."""
    rows = int(row["n"])
    fields = {field.name: _values(field, row, rows) for field in interface.fields}
    return {"rows": rows, "fields": fields}


def _values(field: Field, row: Mapping[str, Any], rows: int) -> dict[str, Any]:
    missing = int(row[f"{field.name}__missing"])
    found = {"missing": missing, "violations": missing if field.required else 0}
    if f"{field.name}__outside" not in row:
        return found
    found["violations"] += int(row[f"{field.name}__outside"])
    if rows == missing:
        return found
    low, high = (float(row[f"{field.name}__{end}"]) for end in ("lowest", "highest"))
    constant = field.varies and low == high and rows - missing >= _ENOUGH_TO_VARY
    return {**found, "lowest": low, "highest": high, "constant": constant}


_ENOUGH_TO_VARY: Final = 100
