"""Malformed books: a book with one thing wrong is read or refused, never a crash and never a NaN."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.errors import CrossMarginError
from crossmargin.files.book import read_book

ROWS: dict[str, dict[str, Any]] = {
    "accounts": {"account": "a"},
    "balances": {"account": "a", "currency": "BTC", "amount": 1.0},
    "positions": {"account": "a", "instrument": "deribit:BTC-PERPETUAL", "quantity": 1.0},
    "orders": {"account": "a", "instrument": "okx:BTC-USDT-SWAP", "side": "buy", "quantity": 1.0, "price": 1.0},
}
NONSENSE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12), st.just([]), st.just({})
)


def _reads_or_refuses(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        book = read_book(path)
    except CrossMarginError:
        return
    for portfolio in book:
        assert all(math.isfinite(balance.amount) for balance in portfolio.balances)
        assert all(math.isfinite(position.quantity) for position in portfolio.positions)
        assert all(math.isfinite(order.quantity * order.price) for order in portfolio.orders)


@settings(max_examples=700)
@given(data=st.data())
def test_a_malformed_book_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    tables = {name: [dict(row)] for name, row in ROWS.items()}
    table = data.draw(st.sampled_from(sorted(tables)))
    column = data.draw(st.sampled_from([*ROWS[table], "unit", "kind", "?"]))
    tables[table][0][column] = data.draw(NONSENSE)
    content = msgspec.json.encode(tables)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    if data.draw(st.booleans()):
        # Cut bytes may end inside a character.
        content = content.decode(errors="ignore").encode(data.draw(st.sampled_from(["utf-16", "utf-8-sig"])))
    folder = tmp_path_factory.getbasetemp()
    suffix = data.draw(st.sampled_from([".json", ".json", ".csv"]))
    _reads_or_refuses(folder / f"malformed{suffix}", content)
