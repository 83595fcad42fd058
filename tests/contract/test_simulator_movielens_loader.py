"""MovieLens folders as the site's people and films."""

import numpy as np
import pytest

from movierec.errors import UsageError
from simulator import movielens_loader
from simulator.film_catalog import genre_names
from simulator.settings import WorldSpec
from simulator.user_demographics import OCCUPATIONS

FILMS = [
    "1::Toy Story (1995)::Animation|Children's|Comedy",
    "7::Misérables, Les (1995)::Drama|Musical",
    "9::Alien (1979)::Sci-Fi",
]
PEOPLE = ["1::F::1::10::48067", "2::M::56::16::70072"]
RATINGS = ["1::1::5::978300760", "1::9::1::978300761", "2::7::4::978300762"]


@pytest.fixture
def folder(tmp_path):
    for name, rows in (("movies", FILMS), ("users", PEOPLE), ("ratings", RATINGS)):
        (tmp_path / f"{name}.dat").write_text("\n".join(rows) + "\n", encoding="latin-1")
    return tmp_path


def test_people_and_films_of_a_folder_become_a_world(folder):
    world = movielens_loader.load(folder, 1)
    assert list(world.films.ids) == ["toy+story+1995", "misrables_+les+1995", "alien+1979"]
    assert [genre_names(int(mask)) for mask in world.films.genres] == [
        ["Animation", "Comedy", "Family"],
        ["Drama", "Music"],
        ["Science Fiction"],
    ]
    people = world.users
    assert people.gender.tolist() == [0, 1]
    assert [OCCUPATIONS[o] for o in people.occupation] == ["K-12 student", "self-employed"]
    assert 8 <= people.age[0] <= 17
    assert 56 <= people.age[1] <= 80


def test_what_was_rated_high_is_liked_more(folder):
    truth = movielens_loader.load(folder, 1).preferences
    affinity = truth.affinity(np.array([0, 0]), np.array([0, 2]))
    assert affinity[0] > affinity[1]


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no movies\.dat"):
        movielens_loader.load(tmp_path, 1)


@pytest.mark.parametrize("line", ["x", "1::F::one::10::48067", "1::X::1::10::48067"])
def test_a_broken_file_is_refused(folder, line):
    (folder / "users.dat").write_text(line)
    with pytest.raises(UsageError, match="cannot be read"):
        movielens_loader.load(folder, 1)


@pytest.mark.data
@pytest.mark.parametrize("name", ["ml-100k", "ml-1m", "ml-latest-small"])
def test_a_movielens_folder_makes_a_world(data_folder, name):
    world = WorldSpec(0, 0, 1, data_folder / name).build()
    sizes = {"ml-100k": (943, 1682), "ml-1m": (6040, 3883), "ml-latest-small": (610, 9742)}
    assert (len(world.users), len(world.films)) == sizes[name]
    assert len(set(world.films.ids)) == len(world.films)
    assert {"toy+story+1995", "casablanca+1942"} <= set(world.films.ids)
    users = np.arange(len(world.users)).repeat(5)
    rng = np.random.default_rng(1)
    met = world.preferences.affinity(users, world.preferences.discover(users, rng)).mean()
    by_chance = world.preferences.affinity(
        users, rng.integers(0, len(world.films), len(users))
    ).mean()
    assert met > by_chance + 0.3
