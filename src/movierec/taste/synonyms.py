"""How people call genres, beside the catalog's own names."""

from collections.abc import Mapping, Sequence
from typing import Final

GENRES: Final[Mapping[str, Sequence[str]]] = {
    "action": ("action packed", "martial arts", "explosions", "car chase", "fight scene"),
    "adventure": ("adventurous", "quest", "swashbuckler"),
    "animation": ("animated", "anime", "cartoon", "pixar", "stop motion"),
    "comedy": ("funny", "comic", "hilarious", "humor", "humour", "laugh", "sitcom", "slapstick"),
    "crime": ("criminal", "gangster", "mafia", "heist", "noir", "true crime", "mob"),
    "documentary": ("docu", "doc", "nonfiction", "non fiction"),
    "drama": ("dramatic", "tearjerker", "melodrama"),
    "family": ("kid", "children", "disney"),
    "fantasy": ("fairy tale", "magic", "magical", "wizard", "sword and sorcery"),
    "foreign": ("subtitle", "subtitled", "world cinema", "arthouse"),
    "history": ("historical", "historic", "period piece", "costume drama", "epic"),
    "horror": ("scary", "slasher", "gore", "gory", "zombie", "frightening", "creepy"),
    "music": ("musical", "concert", "singing"),
    "mystery": ("mysterious", "whodunit", "detective", "puzzle"),
    "romance": ("romantic", "love story", "chick flick"),
    "science fiction": ("sci fi", "scifi", "sf", "futuristic", "space", "cyberpunk"),
    "thriller": ("suspense", "suspenseful", "thrilling"),
    "war": ("military", "battlefield", "world war"),
    "western": ("cowboy", "wild west"),
}
"""By genre; each as `movierec.taste.words.stems` reads it."""

ALIASES: Final[Mapping[str, str]] = {
    "sci fi": "science fiction",
    "musical": "music",
    "children": "family",
    "film noir": "crime",
    "romcom": "romance",
    "documentaries": "documentary",
}
"""What some catalogs call a genre, by the name it has above."""
