"""Titles of movies, as the lake's catalog has them."""

import numpy as np

from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import titles


def load(lake, day, **names):
    at = np.full(len(names), np.datetime64(f"2026-11-{day}T10:00", "us"))
    columns = {"movie_id": list(names), "title": list(names.values()), "loaded_at": at}
    lake.append("movies", [columns], transactions={})


def test_the_newest_title_of_each_movie_counts(tmp_path):
    lake = DeltaLake(str(tmp_path / "lake"))
    load(lake, 20, alien="Alein", heat="Heat", nameless=None, other="Other")
    load(lake, 21, alien="Alien")
    found = titles(lake, ["alien", "heat", "nameless", "unknown"])
    assert found == {"alien": "Alien", "heat": "Heat"}


def test_without_a_catalog_there_are_no_titles(tmp_path):
    assert titles(DeltaLake(str(tmp_path / "lake")), ["alien"]) == {}
