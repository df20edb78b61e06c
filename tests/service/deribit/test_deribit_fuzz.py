"""Whatever is asked, there is an answer: a result, or an error with a number; and it can be sent."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.service.deribit.connection import OWN, Connection
from crossmargin.service.deribit.credentials import Grant
from crossmargin.service.deribit.rpc import METHODS, Question, open_desk

NAMES = (
    "instrument_name", "currency", "kind", "amount", "contracts", "price", "depth", "count", "order_id", "label",
    "index_name",
    "simulated_positions", "add_positions", "type", "post_only", "reduce_only", "channels", "interval", "grant_type",
    "client_id", "client_secret", "timestamp", "signature", "nonce", "refresh_token", "access_token", "start_timestamp",
)  # fmt: skip
known = st.sampled_from(
    ["BTC-PERPETUAL", "BTC-27MAR26-100000-C", "BTC_USDC", "BTC", "any", "CROSS", "option", "limit", "10", "1e400", "95000",
     "ticker.BTC-PERPETUAL.raw", "user.changes.any.any.raw", '{"BTC-PERPETUAL": 1e9}', "[", "alice", "client_signature"]
)  # fmt: skip
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | known,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | known, inner, max_size=3),
    max_leaves=4,
)
METHOD_NAMES = sorted({*METHODS, *OWN} - {"private/cancel_all"})


def test_whatever_is_asked_there_is_an_answer(writer):
    desk = open_desk(writer)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(METHOD_NAMES), st.dictionaries(st.sampled_from(NAMES), known | anything, max_size=6))
    def ask(method, params):
        connection = Connection(desk, grant=Grant(account="alice"))
        found = connection.answer(Question(method=method, params=params, id=1))
        connection.news(slow=True)
        assert isinstance(found["error"]["code"], int) if "error" in found else "result" in found
        assert msgspec.json.decode(msgspec.json.encode(found))["id"] == 1

    ask()
