import pytest

from lambda_process_executor.runtime_api import Kind, kind_of


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/2018-06-01/runtime/invocation/next", Kind.NEXT),
        ("POST", "/2018-06-01/runtime/invocation/r1/response", Kind.RESPONSE),
        ("POST", "/2018-06-01/runtime/invocation/r1/error", Kind.ERROR),
        ("POST", "/2018-06-01/runtime/init/error", Kind.INIT_ERROR),
        ("POST", "/2018-06-01/runtime/invocation/next", Kind.UNKNOWN),
        ("GET", "/2018-06-01/runtime/restore/next", Kind.UNKNOWN),
        ("GET", "/", Kind.UNKNOWN),
    ],
)
def test_a_path_says_what_is_asked(method: str, path: str, kind: Kind) -> None:
    assert kind_of(method, path)[0] is kind
