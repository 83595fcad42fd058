"""Users and movies: what a user got, why, and what they did; a movie's exposure."""

import json
import re

import pytest

from console.pages.users_page import PAGE, REASONS, Explained, why
from console.reading import Found
from console.rendering import Renderer
from movierec.lake.served import Served
from movierec.model import explanation
from movierec.model.explanation import Explanation, Pull, Word
from tests.unit.console import recorded
from tests.unit.console.browser import FILES, Answer
from tests.unit.console.recorded import MODEL, NOW
from tests.unit.movierec.releases.release_lab import put_model

HARBOR = "the+quiet+harbor+1999"


def test_a_user_is_shown_with_what_the_site_says(browse, busy):
    found = browse(busy).get("/users?user=7").panel("user")

    assert "User 7 Age, gender 34, F Occupation scientist" in found
    assert "Likes slow mysteries by the sea" in found


def test_a_users_lists_lead_to_titles_models_and_traces(browse, busy):
    page = browse(busy).get("/users?user=7")
    found = page.panel("user")

    assert "The Quiet Harbor" in found
    assert "2026-11-19 03:15:00 77ab310" in found
    assert "made anew from what the user has done since the training" in found
    assert re.search(r'href="/provenance\?id=0b5e[0-9a-f]{4}-7d1c-4f63"', page.text)


def test_what_was_watched_after_a_list_is_marked(browse, busy):
    when = [NOW]
    watch = {"kind": ["watch"], "user_id": [7], "movie_id": [HARBOR], "minute": [12]}
    busy.lake.append("events", [{**watch, **recorded.times(when)}], transactions={})

    found = browse(busy).get("/users?user=7").panel("user")

    assert "The Quiet Harbor watched" in found
    assert "watched to minute 12" in found


@pytest.mark.parametrize(
    ("source", "reason", "says"),
    [
        ("model", None, "the model's list"),
        ("model", "fold_in", "the model's list, made anew from"),
        ("popular", None, "the popular list of the user's group: the model does not know"),
        ("popular", "group", "the popular list of the user's group"),
        ("fallback", None, "the proxy's own popular list"),
        ("", None, "unknown"),
    ],
)
def test_a_list_says_why_it_is_what_it_is(source, reason, says):
    detail = json.dumps({"v": 1, "reason": reason}) if reason else None

    assert why(Served(0, "id", 7, (), "m", "1", source, 200, 1.0, detail)).startswith(says)


def test_a_user_of_whom_nothing_is_known_is_said_so(browse, busy):
    found = browse(busy).get("/users?user=999999").panel("user")

    assert "The site has said nothing of this user." in found
    assert "Nothing was ever served to this user." in found
    assert "no viewing and no rating" in found


@pytest.mark.parametrize("user", ["me", "-1", "0", "7.5", "7;drop"])
def test_what_is_no_id_is_refused_in_words(browse, busy, user):
    page = browse(busy).get(f"/users?user={user}")

    assert "is no id: expected a positive number" in page.panel("user")


def test_a_list_is_explained_on_demand(browse, busy):
    browser = browse(busy)
    first = browser.get("/users?user=7")
    assert "Explain the list" in first.panel("explained")
    assert "explain=1" in first.text

    put_model(busy.store, MODEL)
    found = browser.get("/users?user=7&explain=1").panel("explained")
    assert "is from before explanations" in found


def test_an_explanation_names_titles_and_words_and_marks_new_movies():
    found = Explanation(
        MODEL,
        7,
        "blend",
        2,
        (
            explanation.Explained("new+1", (), (Word("the sea", 0.4, 0.8),), new=True),
            explanation.Explained(HARBOR, (Pull("old+2", 0.1, 0.3),), (Word("slow", 0.2, 0.7),)),
            explanation.Explained("third+3", ()),
        ),
        "fold_in",
        4,
    )
    asked = PAGE.asked({"user": "7", "explain": "1"}, NOW)
    panel = PAGE.panel("explained")
    assert panel is not None
    value = Explained(REASONS[found.made_from], found, {HARBOR: "The Quiet Harbor"})
    shown = Renderer(FILES).panel(PAGE, panel, asked, Found(value), {"csrf": "", "operate": False})
    words = Answer(200, [], str(shown)).words

    assert "lists from blend, refresh 4: made anew from what the user has done" in words
    assert "new+1 new “the sea” 80% 2 The Quiet Harbor old+2 30% , “slow” 70%" in words
    assert "third+3 its popularity" in words


def test_before_the_first_release_there_is_nothing_to_explain(browse):
    page = browse(recorded.empty()).get("/users?user=7&explain=1")

    assert "no model serves yet" in page.panel("explained")


def test_a_movie_is_shown_with_its_exposure_by_model(browse, busy):
    found = browse(busy).get(f"/users?movie={HARBOR.replace('+', '%2B')}").panel("movie")

    assert "Title The Quiet Harbor Genres Drama, Mystery" in found
    assert "License cost 0.11 USD a play" in found
    assert re.search(r"2026-11-19 03:15:00 77ab310 \d{3} \d{3} \d\.\d", found)


def test_a_movie_that_nobody_knows_says_what_to_do(browse, busy):
    found = browse(busy).get("/users?movie=it's+%3Cb%3E").panel("movie")

    assert "it's <b>" in found
    assert "movierec catalog sync" in found
    assert "No list of this time span had it." in found


def test_an_id_that_is_too_long_is_refused(browse, busy):
    assert "at most" in browse(busy).get(f"/users?movie={'x' * 5_000}").panel("movie")


def test_without_anything_asked_the_page_says_how_to(browse):
    page = browse(recorded.empty()).get("/users")

    assert "enter an id above" in page.panel("user")
    assert "enter an id above" in page.panel("movie")
