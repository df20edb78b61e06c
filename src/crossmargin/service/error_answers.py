"""The one shape in which a request is refused or fails: a rule, then the finding."""

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from crossmargin.errors import CrossMarginError
from crossmargin.service import projection
from crossmargin.service.access import api as access_api
from crossmargin.service.access.rate_limits import TooManyError
from crossmargin.service.access.roles import ForbiddenError, UnauthorizedError
from crossmargin.service.command_queue import Busy
from crossmargin.service.error_records import failed_record, refused_record, rule_and_finding
from crossmargin.service.reading import NotHereError
from crossmargin.service.views import Record
from crossmargin.service.writer import Starting
from crossmargin.store.journal import UnwrittenError

_LOG = logging.getLogger(__name__)


def _error(status: int, rule: str, finding: str) -> Response[Record]:
    return Response({"error": {"rule": rule, "finding": finding}}, status_code=status)


def _refused(_: Request[Any, Any, State], error: CrossMarginError) -> Response[Record]:
    status, record = refused_record(error)
    return Response(record, status_code=404 if isinstance(error, NotHereError) else status)


def _busy(_: Request[Any, Any, State], error: Busy) -> Response[Record]:
    return _error(503, "the queue of commands must have room", str(error))


def _starting(request: Request[Any, Any, State], error: Starting) -> Response[Record]:
    request.state.is_starting = True  # what is on its way up has not failed
    answer = _error(503, "the engine must be open", str(error))
    answer.headers["Retry-After"] = "1"
    return answer


def _unavailable(_: Request[Any, Any, State], error: CrossMarginError) -> Response[Record]:
    rule, finding = rule_and_finding(str(error))
    return _error(503, rule, finding)


def _malformed(_: Request[Any, Any, State], error: msgspec.ValidationError | UnicodeDecodeError) -> Response[Record]:
    return _error(400, "a body must fit its schema", str(error))


def _http(_: Request[Any, Any, State], error: HTTPException) -> Response[Record]:
    if isinstance(error, ValidationException):
        return _error(error.status_code, "a request must fit its description", _misfits(error))
    return _error(error.status_code, error.detail, "")


def _misfits(error: ValidationException) -> str:
    """Tell what does not fit, and nothing of what was sent: the framework's own text repeats the query."""
    found = [each for each in error.extra or () if isinstance(each, dict)]
    return "; ".join(f"{each.get('key', 'body')}: {each.get('message')}" for each in found)


def _failed(request: Request[Any, Any, State], error: Exception) -> Response[Record]:
    # whoever runs the service learns all
    _LOG.error("failed to answer %s %s", request.method, request.scope["path_template"], exc_info=error)
    status, record = failed_record()
    return Response(record, status_code=status)


ERROR_ANSWERS: ExceptionHandlersMap = {
    CrossMarginError: _refused,
    UnauthorizedError: access_api.unauthorized,
    ForbiddenError: access_api.forbidden,
    TooManyError: access_api.too_many,
    Busy: _busy,
    Starting: _starting,
    UnwrittenError: _unavailable,
    projection.DatabaseDownError: _unavailable,
    msgspec.ValidationError: _malformed,
    UnicodeDecodeError: _malformed,  # of a body that is not UTF-8
    HTTPException: _http,
    Exception: _failed,
}
