"""What a request needs, in the OpenAPI document: the headers of a key or the cookie of a session, scope and weight."""

from litestar.openapi.spec import SecurityScheme
from litestar.openapi.spec.operation import Operation

from crossmargin.service.access.routes import Bound, Rule
from crossmargin.service.access.sessions import CSRF_COOKIE, CSRF_HEADER, SESSION_COOKIE

SIGNED = {
    "key": "X-Crossmargin-Key",
    "timestamp": "X-Crossmargin-Timestamp",
    "nonce": "X-Crossmargin-Nonce",
    "signature": "X-Crossmargin-Signature",
}
"""Headers of a request that is signed by a key."""
SCHEMES = {
    **{
        name: SecurityScheme(type="apiKey", name=header, security_scheme_in="header", description="See docs/access.md.")
        for name, header in SIGNED.items()
    },
    "session": SecurityScheme(
        type="apiKey", name=SESSION_COOKIE, security_scheme_in="cookie",
        description=f"A user's session; what changes something repeats the cookie `{CSRF_COOKIE}` in `{CSRF_HEADER}`.",
    ),
}  # fmt: skip


def describe_access(operation: Operation, rule: Rule) -> None:
    """Say what a request needs where the service is not open, and what it weighs in its caller's rate."""
    if rule.scope is None:
        return
    operation.security = [{name: [] for name in SIGNED}, {"session": []}]
    bound = {Bound.NONE: "", Bound.HOUSE: ", bound to all accounts"}.get(rule.bound, ", bound to the account")
    needs = f"Needs the scope `{rule.scope}`{bound}; weighs {rule.weight:g}."
    operation.description = f"{operation.description}\n\n{needs}"
