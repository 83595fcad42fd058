"""Secrets Manager: a secret's text."""

from typing import Any

from movierec.aws.session import client, translated
from movierec.errors import ConfigError


def secret(arn: str) -> str:
    """Return a secret's text. Raises ConfigError when it is missing or not for this role."""
    aws: Any = client("secretsmanager")
    with translated(f"read secret {arn}", {}, ConfigError):
        found = aws.get_secret_value(SecretId=arn)
    text: str = found.get("SecretString", "").strip()
    if not text:
        raise ConfigError(f"secret {arn} has no text: store the key as plain text")
    return text
