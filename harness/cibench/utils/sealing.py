"""Seal truths: a commitment is the SHA-256 of a canonical text that holds a secret nonce.

Whoever has the commitment learns nothing from it, for nobody can guess 256 bits; whoever gave it
cannot change the truth afterwards, for no other text has the same digest.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cibench.utils.files import canonical

BYTES = 32


def nonce() -> str:
    """Return 256 secret random bits in hexadecimal, from the operating system."""
    return secrets.token_hex(BYTES)


def sealed_text(content: Mapping[str, Any]) -> str:
    """Return the text that is hashed: JSON, keys sorted, without spaces."""
    return canonical(content)


def commitment(content: Mapping[str, Any]) -> str:
    """Return the commitment to a content, which must hold a nonce among its values."""
    return fingerprint(sealed_text(content).encode())


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal, as `sha256sum` prints it."""
    return sha256(content).hexdigest()
