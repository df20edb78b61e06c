"""The search for planted secrets in what a service tells anybody."""

import base64
import json

MASTER = "5eed" * 16
PASSWORD = "canary-password-7Qx"  # noqa: S105


def forms(secret):
    """Return how a secret may stand in a text or a file."""
    plain = secret.encode()
    return {plain, plain.hex().encode(), base64.b64encode(plain).rstrip(b"="), json.dumps(secret)[1:-1].encode()}


def leaks(sinks, secrets):
    """Return which secret is in which sink."""
    return [
        (where, name)
        for where, content in sinks.items()
        for name, secret in secrets.items()
        if any(form in content for form in forms(secret))
    ]
