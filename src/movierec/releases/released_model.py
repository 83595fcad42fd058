"""The model that serves everybody: the one that the alias's stable version is pinned to."""

from movierec.errors import ReleaseNotFoundError
from movierec.releases.ports import ServedFunction


def released_model(function: ServedFunction) -> str | None:
    """Return the stable version's model, None before the first release.

    Raises ReleaseError and UnavailableError.
    """
    try:
        alias = function.alias()
        return function.model_of(alias.split.stable) if alias else None
    except ReleaseNotFoundError:
        return None
