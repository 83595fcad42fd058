import pytest

from movierec.cli import http_client
from movierec.errors import UsageError


@pytest.mark.parametrize("url", ["nonsense", "http://[", "http://host:port/", "http://a b/"])
def test_what_is_no_url_is_refused(url):
    asked = http_client.opened(url, timeout_s=1, next_step="is it up?")
    with pytest.raises(UsageError, match="name a URL"), asked:
        pass
