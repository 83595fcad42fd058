"""https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, X-Amz-Client-Context."""

import base64

import pytest

from lambda_process_executor.invocation import client_context


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_context_becomes_one_line_of_ascii_json() -> None:
    assert client_context(encoded('{"custom":\n {"k": "ü"}}'), is_event=False) == (
        '{"custom": {"k": "\\u00fc"}}'
    )


def test_an_asynchronous_invocation_gets_none() -> None:
    assert not client_context(encoded("{}"), is_event=True)


@pytest.mark.parametrize("given", [None, "", "%%%", encoded("no json"), encoded("{")])
def test_what_is_no_context_is_dropped(given: str | None) -> None:
    assert not client_context(given, is_event=False)
