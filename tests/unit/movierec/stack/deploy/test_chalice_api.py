"""What is known of a deployed API: its record, and its address at the emulator."""

import pytest

from movierec.errors import UnavailableError
from movierec.stack.deploy import chalice_api


@pytest.mark.parametrize("text", ["", "{}", '{"resources": []}', "[1]"])
def test_a_record_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UnavailableError, match="deploy again"):
        chalice_api.parse_deployed(text)


def test_a_local_url_leads_to_the_emulator() -> None:
    url = chalice_api.local_url("http://127.0.0.1:4566/", "abc", "live")

    assert url == "http://127.0.0.1:4566/_aws/execute-api/abc/live"
