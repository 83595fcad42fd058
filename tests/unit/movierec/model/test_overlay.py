"""An overlay takes the place of a list, and its titles leave every list."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model import encoding, overlay
from movierec.model.artifact import TOP_K
from movierec.model.overlay import REASONS, Overlay
from movierec.model.ranking import Ranked
from tests.unit.movierec.model.test_ranking import PAD, files, recommender

__all__ = ["files"]  # the fixture: users 7, 8 and 30 of a model of 60 movies

N_MOVIES = 60


def listing(rows, *, groups=None, reasons=None, movie_ids=(), withdrawn=()):
    """Return an overlay of `rows`: indices by user id."""
    topk = np.full((len(rows), TOP_K), PAD, np.uint16)
    for place, user in enumerate(sorted(rows)):
        topk[place, : len(rows[user])] = rows[user]
    return Overlay(
        user_ids=np.array(sorted(rows), np.int64),
        topk=topk,
        groups=np.array(groups or [0] * len(rows), np.uint8),
        reasons=np.array(reasons or [0] * len(rows), np.uint8),
        movie_ids=movie_ids,
        withdrawn=frozenset(withdrawn),
    )


def test_a_list_of_the_overlay_takes_the_models_place(files):
    found = recommender(files).recommend(7, 3, listing({7: [9, 8, 4]}))
    assert found == Ranked(("m9", "m8", "m4"), "model")
    assert (found.reason, found.known_user) == ("fold_in", True)
    assert recommender(files).recommend(8, 3, listing({7: [9]})).movie_ids == ("m5", "m3")


def test_a_user_whom_the_model_does_not_know_has_a_list_of_its_own(files):
    found = recommender(files).recommend(99, 3, listing({99: [1, 2]}, reasons=[1]))
    assert found == Ranked(("m1", "m2"), "model")
    assert (found.reason, found.known_user) == ("description", False)


def test_a_list_by_group_alone_counts_as_popular(files):
    found = recommender(files).recommend(99, 3, listing({99: [1]}, reasons=[2]))
    assert (found.source, found.reason) == ("popular", "group")


def test_movies_that_came_since_follow_the_models(files):
    given = listing({7: [60, 3, 61]}, movie_ids=("new+1", "new+2"))
    assert recommender(files).recommend(7, 20, given).movie_ids == ("new+1", "m3", "new+2")


def test_a_withdrawn_title_is_in_no_list_and_the_reserve_fills_its_place(files):
    ours = recommender(files)
    gone = listing({30: [4, 5]}, withdrawn=("m1", "m4", "a"))
    assert ours.recommend(7, 3, gone).movie_ids == ("m0", "m2", "m3")
    assert ours.recommend(30, 3, gone).movie_ids == ("m5",)
    assert ours.recommend(1, 3, gone).movie_ids == ("b",)
    assert ours.popular(3, gone).movie_ids == ("b",)


@pytest.mark.parametrize(("group", "expected"), [(0, ("a",)), (2, ("adult",))])
def test_an_empty_list_gives_way_to_the_group_that_the_overlay_knows(files, group, expected):
    found = recommender(files).recommend(99, 3, listing({99: []}, groups=[group]))
    assert (found.movie_ids, found.source) == (expected, "popular")


def test_what_is_packed_is_unpacked():
    given = listing({1: [3], 7: [61, 2]}, reasons=[1, 0], movie_ids=("x", "y"), withdrawn=("m2",))
    found = overlay.unpack(overlay.pack(given), N_MOVIES)
    assert overlay.pack(found) == overlay.pack(given)
    assert (found.movie_ids, found.withdrawn) == (("x", "y"), frozenset({"m2"}))


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda o: replace(o, user_ids=o.user_ids[::-1]), "user_ids.npy does not ascend"),
        (lambda o: replace(o, topk=o.topk[:1]), "topk.npy has shape"),
        (lambda o: replace(o, topk=np.where(o.topk == 3, 999, o.topk)), "topk.npy names unknown"),
        (lambda o: replace(o, groups=o.groups.astype(np.int64)), "groups.npy has"),
        (lambda o: replace(o, reasons=o.reasons + np.uint8(len(REASONS))), "reasons.npy names"),
    ],
)
def test_parts_that_do_not_fit_are_named(fault, named):
    given = listing({1: [3], 7: [5]})
    with pytest.raises(ArtifactError, match=named):
        overlay.unpack(overlay.pack(fault(given)), N_MOVIES)


@pytest.mark.parametrize("body", [b"{}", b'{"number": 0}', b'{"number": "3"}', b"[]", b"x"])
def test_a_document_that_names_no_overlay_is_refused(body):
    with pytest.raises(ArtifactError):
        overlay.load_newest(body)
    assert overlay.load_newest(overlay.dump_newest(3)) == 3


def test_movie_ids_are_texts():
    packed = overlay.members(listing({1: [3]}))
    with pytest.raises(ArtifactError, match="withdrawn"):
        overlay.unpack({**packed, "withdrawn.json": encoding.dump_json([1])}, N_MOVIES)


def test_an_overlay_of_a_file_for_each_part_is_read():
    given = listing({1: [3], 7: [61, 2]}, movie_ids=("x", "y"), withdrawn=("m2",))
    assert overlay.pack(overlay.unpack(overlay.members(given), N_MOVIES)) == overlay.pack(given)


@pytest.mark.parametrize("files", [{}, {overlay.FILE: b"PK"}])
def test_what_is_no_overlay_is_refused(files):
    with pytest.raises(ArtifactError):
        overlay.unpack(files, N_MOVIES)
