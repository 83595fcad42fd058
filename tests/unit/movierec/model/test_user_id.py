"""One parser of user ids: the same texts are valid everywhere."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from movierec.errors import ConfigError
from movierec.model.user_id import LARGEST_USER_ID, max_user_id, parse_user_id

NO_IDS = ["", "0", "-1", "+1", "007", "00", "1.0", "1e3", "abc", " 7", "7 ", "7\n", "1_0", "0x7"]


@pytest.mark.parametrize("text", [*NO_IDS, "\u0667", "%37", str(2**63), "9" * 5000])
def test_what_is_no_canonical_id_is_none(text):
    assert parse_user_id(text) is None


@given(st.integers(1, LARGEST_USER_ID))
@example(1)
@example(LARGEST_USER_ID)
def test_every_positive_int64_is_a_user_id(user_id):
    assert parse_user_id(str(user_id)) == user_id


@given(st.text() | st.text(alphabet="0123456789", max_size=25))
def test_an_id_is_written_in_one_way(text):
    found = parse_user_id(text)
    if found is None:
        assert not (text.isascii() and text.isdigit() and text[0] != "0" and int(text) < 2**63)
    else:
        assert str(found) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 1_000_000), ("1", 1), ("999999999999999999", 999_999_999_999_999_999)],
)
def test_the_largest_user_id_of_a_site_is_a_setting(text, expected):
    assert max_user_id({"MOVIEREC_MAX_USER_ID": text}) == expected


@pytest.mark.parametrize("text", ["0", "1000000000000000000", str(2**63), "-7", "many"])
def test_a_largest_user_id_that_no_line_could_have_is_refused(text):
    with pytest.raises(ConfigError, match="MOVIEREC_MAX_USER_ID"):
        max_user_id({"MOVIEREC_MAX_USER_ID": text})
