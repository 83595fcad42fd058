"""Names of people, companies and series in the site's fields that no column of `movies` holds.

TMDB's shapes, and those of dumps made of it: a list of objects with `name`, one such object, names
in a text, a list written as JSON text, and `credits` with lists of its own. Anything else is
ignored: the reading is total.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from movierec.lake import catalog_fields

MOST: Final = 30
"""Names of a movie. A cast goes on for hundreds, whom nobody names when saying what they like."""

LONGEST: Final = 100
"""Characters of a name."""

_MOST_OF_CAST: Final = 15

_MAKERS: Final = ("director", "directors", "created_by", "writer", "writers", "screenplay")
_ACTORS: Final = ("cast", "actors", "starring")
_OTHERS: Final = ("belongs_to_collection", "production_companies")

_CREW: Final = "crew"
_CREDITS: Final = "credits"

# Of a crew, by job; the other jobs' people are known to the trade alone.
_JOBS: Final = frozenset({"director", "writer", "screenplay", "novel", "original music composer"})


def people(other: str | None) -> tuple[str, ...]:
    """Return the names in a movie's `other`, each once: makers, cast, then the rest."""
    found = _decoded(other) if other else None
    if not isinstance(found, Mapping):
        return ()
    names = (name.strip() for name in _names(found))
    distinct = dict.fromkeys(name for name in names if 0 < len(name) <= LONGEST)
    return tuple(distinct)[:MOST]


def _names(found: Mapping[str, Any]) -> Iterator[str]:
    sources = (found, *_credits(found.get(_CREDITS)))
    for source in sources:
        yield from _of(source, _MAKERS)
        yield from _crew(source.get(_CREW))
    for source in sources:
        yield from tuple(_of(source, _ACTORS))[:_MOST_OF_CAST]
    yield from _of(found, _OTHERS)


def _credits(value: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401  any JSON value
    """Yield what `credits` holds in the form of a movie's own fields."""
    value = _decoded(value)
    if isinstance(value, Mapping):
        yield value
    elif isinstance(value, list):
        # One list of both: those with a job are crew.
        members = [one for one in value if isinstance(one, Mapping)]
        yield {
            _CREW: [one for one in members if "job" in one],
            "cast": [one for one in members if "job" not in one],
        }


def _of(source: Mapping[str, Any], fields: Iterable[str]) -> Iterator[str]:
    for field in fields:
        yield from _listed(source.get(field))


def _crew(value: Any) -> Iterator[str]:  # noqa: ANN401  any JSON value
    members = _decoded(value)
    for one in members if isinstance(members, list) else ():
        if isinstance(one, Mapping) and str(one.get("job")).lower() in _JOBS:
            yield from _listed(one)


def _listed(value: Any) -> list[str]:  # noqa: ANN401  any JSON value
    value = _decoded(value)
    listed = catalog_fields.names([value] if isinstance(value, Mapping) else value) or []
    return [name for name in listed if name != catalog_fields.MISSING]


def _decoded(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Return the value of JSON text, anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return catalog_fields.decode(value)
    except ValueError:
        return None
