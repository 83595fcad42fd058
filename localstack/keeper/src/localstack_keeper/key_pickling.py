"""Pickling of ACM's and KMS's keys and certificates."""

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)


def reduce(obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
    """Return how one of cryptography's objects is pickled: as DER."""
    if isinstance(obj, x509.Certificate):
        return _certificate, (obj.public_bytes(Encoding.DER),)
    if hasattr(obj, "private_bytes"):
        der = obj.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return _private_key, (der,)
    if hasattr(obj, "public_bytes"):
        der = obj.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _public_key, (der,)
    return NotImplemented


# Functions of our own, for a pickle to name: theirs do not know their module.
def _private_key(der: bytes) -> Any:  # noqa: ANN401 - one of many kinds
    return load_der_private_key(der, password=None)


def _public_key(der: bytes) -> Any:  # noqa: ANN401 - one of many kinds
    return load_der_public_key(der)


def _certificate(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)
