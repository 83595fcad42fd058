"""What the site's APIs and exports say of each user and movie, by the options of a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from simulator import incomplete_documents, license_costs, site_api_documents
from simulator.growing_site import Site
from simulator.self_descriptions import Describer

# Share of those who say something about themselves when they create an account.
_NEWCOMERS_DESCRIBED: Final = 0.6


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """Keys that documents have, and how many of them lack some.

    `described` is the share of the users of old with self-descriptions; above 0 all users have the
    two keys. Accounts created since the site opened have them in any case.
    """

    tagline: bool = True
    cost: bool = False
    described: float = 0.0
    incomplete: float = 0.0


class SiteRecords:
    """The documents of a site's users and movies; one and the same each time."""

    def __init__(self, site: Site, options: RecordOptions) -> None:
        self.site, self._options = site, options
        self._describer: Describer | None = None

    def user(self, user_id: int) -> dict[str, Any] | None:
        """Return a user's document, None if there is no such user."""
        if not 1 <= user_id <= self.site.user_count():
            return None
        index = user_id - 1
        found = site_api_documents.user(self.site.world, index)
        share = _NEWCOMERS_DESCRIBED if user_id > self.site.first_users else self._options.described
        if share:
            found |= self._description(index, share)
        return incomplete_documents.user(found, index, self._options.incomplete)

    def _description(self, index: int, share: float) -> dict[str, str | None]:
        if self._describer is None:
            self._describer = Describer(self.site.first_world)
        factors = self.site.world.preferences.user_factors[index]
        writes = Random(f"described {index}").random() < share
        said = self._describer.describe(factors) if writes else self._describer.silence(factors)
        return {
            "self_description_likes": said.likes,
            "self_description_dislikes": said.dislikes,
        }

    def movie(self, movie_id: str) -> dict[str, Any] | None:
        """Return a movie's document, None if the site does not have it (yet)."""
        index = self.site.world.films.index.get(movie_id)
        return None if index is None else self._movie(index)

    def _movie(self, index: int) -> dict[str, Any]:
        world = self.site.world
        found = site_api_documents.movie(world, index, tagline=self._options.tagline)
        if self._options.cost:
            found["cost"] = license_costs.usd_per_play(world, index)
        year = world.films.titles[index].year
        return incomplete_documents.movie(found, index, year, self._options.incomplete)

    def user_lines(self) -> Iterator[str]:
        """Yield each user's document as a line of JSON."""
        documents = (self.user(user_id) for user_id in range(1, self.site.user_count() + 1))
        return (site_api_documents.dump(found) + "\n" for found in documents if found is not None)

    def movie_lines(self) -> Iterator[str]:
        """Yield the document of each movie that is out as a line of JSON."""
        count = len(self.site.world.films)
        return (site_api_documents.dump(self._movie(index)) + "\n" for index in range(count))
