"""The tastes that a language model may name, as a declared schema.

Eight lists of short texts, and nothing else. Names are all that an answer can bring: a TasteMap
looks them up in the catalog, as it does with the words of a user's own text, so that a name which
the catalog does not have says nothing, and no answer reaches further than its own user's list.
"""

import dataclasses
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from movierec.model.texts import Description

SCHEMA_VERSION: Final = 1
"""Part of the key of a stored answer: a new schema asks for every text anew."""

LONGEST_LIST: Final = 20
LONGEST_TEXT: Final = 120
"""Characters: the longest title of the public catalogs has 105."""

Reason = Literal[
    "no_json",
    "no_object",
    "missing_key",
    "extra_key",
    "no_list",
    "too_many",
    "no_text",
    "too_long",
    "control_character",
    "truncated",
    "declined",
]
"""Why an answer is refused; the last two are the model's own end of it."""

# Control characters, lone surrogates, line and paragraph separators.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is not taken."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Tastes:
    """What a user likes and dislikes, by name."""

    liked_titles: tuple[str, ...] = ()
    liked_people: tuple[str, ...] = ()
    liked_genres: tuple[str, ...] = ()
    liked_keywords: tuple[str, ...] = ()
    disliked_titles: tuple[str, ...] = ()
    disliked_people: tuple[str, ...] = ()
    disliked_genres: tuple[str, ...] = ()
    disliked_keywords: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: object) -> Self | Refused:
        """Return the tastes in a JSON value, or why it has none. Total: it raises nothing."""
        if not isinstance(value, Mapping):
            return Refused("no_object")
        if missing_or_extra := _difference(value):
            return Refused(missing_or_extra)
        found: dict[str, tuple[str, ...]] = {}
        for name in NAMES:
            entries = _entries(value[name])
            if isinstance(entries, Refused):
                return entries
            found[name] = entries
        return cls(**found)

    def dump(self) -> dict[str, list[str]]:
        """Return the JSON object that `read` takes."""
        return {name: list(getattr(self, name)) for name in NAMES}

    def description(self) -> Description:
        """Return the names as a text: what a TasteMap reads."""
        return Description(self._text("liked_"), self._text("disliked_"))

    def _text(self, prefix: str) -> str:
        """Return one side's names; titles in quotation marks, which tell "Up" from the word."""
        lines: list[str] = []
        for name in NAMES:
            if name.startswith(prefix):
                titles = name.endswith("_titles")
                lines += [f'"{one}"' if titles else one for one in getattr(self, name)]
        return "\n".join(lines)


NAMES: Final = tuple(field.name for field in dataclasses.fields(Tastes))

# Without the bounds: not every server that enforces a schema knows `maxItems` and `maxLength`.
JSON_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {name: {"type": "array", "items": {"type": "string"}} for name in NAMES},
    "required": list(NAMES),
    "additionalProperties": False,
}
"""The schema as JSON Schema, for servers that hold a model's answer to one."""


def _difference(value: Mapping[Any, Any]) -> Literal["missing_key", "extra_key", ""]:
    if not value.keys() >= set(NAMES):
        return "missing_key"
    return "extra_key" if len(value) > len(NAMES) else ""


def _entries(value: object) -> tuple[str, ...] | Refused:
    if not isinstance(value, list):
        return Refused("no_list")
    if len(value) > LONGEST_LIST:
        return Refused("too_many")
    for entry in value:
        if reason := _fault(entry):
            return Refused(reason)
    return tuple(dict.fromkeys(stripped for entry in value if (stripped := entry.strip())))


def _fault(entry: object) -> Literal["no_text", "too_long", "control_character", ""]:
    if not isinstance(entry, str):
        return "no_text"
    if len(entry) > LONGEST_TEXT:
        return "too_long"
    if any(unicodedata.category(one) in _REFUSED_CATEGORIES for one in entry):
        return "control_character"
    return ""
