"""What the lake says of a user and of movies, for the explanation of a list."""

import numpy as np

from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.lake import text_queries
from movierec.lake.queries import present_versions
from movierec.lake.schema import MOVIES, USERS
from movierec.model.texts import Description
from movierec.taste.served_list import Facts


def read(lake: DeltaLake, user_id: int) -> Facts:
    """Return the facts as they are now."""
    versions = present_versions(lake, (MOVIES, USERS))
    _, wrote = text_queries.read_descriptions(lake, versions, np.array([user_id]))
    catalog = LakeCatalog(lake)()
    return Facts(
        description=wrote[0] if wrote else Description(),
        runtimes_minutes=catalog.runtime_minutes if catalog else {},
        texts=lambda ids: text_queries.read_movies(lake, versions, ids).texts,
    )
