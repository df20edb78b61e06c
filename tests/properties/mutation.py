"""A plain seeded mutator of JSON, TOML and CSV: one to three things made wrong, and at times the bytes themselves."""

import copy
import random  # noqa: TID251 (every test seeds its own)
from typing import Any

import msgspec

NAN, INF = float("nan"), float("inf")
NUMBERS: list[Any] = [
    NAN,
    INF,
    -INF,
    0,
    -0.0,
    -1.0,
    1e-320,
    1e-12,
    -1e-12,
    1e12,
    1e18,
    1e160,
    -1e160,
    1.7e308,
    2**70,
    0.1,
]
FACTORS: list[Any] = [-1, 0, 1e-9, 1e-3, 0.5, 0.999, 1.001, 2, 3, 1e3, 1e9, 1e150]
OTHERS: list[Any] = [None, True, "", "x", "nan", "inf", "1e400", "-5", "USD", "\ud7ff\u0000", [], {}, [[]], {"a": 1}]
INSTRUMENTS = [
    "deribit:BTC/USD:BTC",
    "deribit:BTC-PERPETUAL",
    "binance:BTC/USDT:USDT",
    "deribit:BTC/USD:BTC-260626-100000-C",
    "deribit:BTC/USD:BTC-000101-1-P",
    "deribit:BTC/USD:BTC-991231-99999999999999999999-C",
    "okx:NEW/USDT:USDT",
    "x:BTC/USD:ETH",
    "USD",
    "BTC",
    "2026-01-15T09:21:30",
    "9999-12-31T23:59:59Z",
]


def mutated(tables: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a copy of `tables` with one to three places changed."""
    copied = copy.deepcopy(tables)
    for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
        _change(copied, rng)
    return copied


def _change(tables: dict[str, Any], rng: random.Random) -> None:
    """Spoil a place drawn from all, tables and rows included."""
    places: list[tuple[Any, Any]] = []
    nodes: list[Any] = [tables]
    while nodes:
        node = nodes.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        nodes += [node[key] for key in keys if isinstance(node[key], dict | list)]
    if places:
        _spoil(*rng.choice(places), rng)


def _spoil(node: Any, key: Any, rng: random.Random) -> None:
    value = node[key]
    if isinstance(value, float | int) and rng.random() < 0.7:
        node[key] = rng.choice(NUMBERS) if rng.random() < 0.4 else value * rng.choice(FACTORS)
        return
    match rng.randrange(6):
        case 0:
            del node[key]
        case 1:
            node[key] = rng.choice(OTHERS)
        case 2 if isinstance(node, dict):
            node[rng.choice(["?", "unit", "kind", "account", "price", "mark", "quantity"])] = node[key]
        case 2:
            node.append(copy.deepcopy(node[key]))
        case 3 if isinstance(node[key], str):
            node[key] = rng.choice(INSTRUMENTS)
        case _:
            node[key] = rng.choice(NUMBERS)


def spoiled_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return `content`, one time in six cut, changed in a byte, or in another encoding."""
    match rng.randrange(30):
        case 0:
            return content[: rng.randrange(len(content) + 1)]
        case 1 if content:
            place = rng.randrange(len(content))
            return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]
        case 2:
            return content.decode().encode("utf-16")
        case 3:
            return content.decode().encode("utf-8-sig")
        case 4:  # a key twice, with its value or another
            return content.replace(b"{", b'{"price": 1, "price": -1,', 1) if rng.random() < 0.5 else content * 2
    return content


def as_json(tables: dict[str, Any]) -> bytes:
    """Return `tables` as JSON; NaN and infinities become null, as JSON has none."""
    return msgspec.json.encode(tables)


def as_csv(tables: dict[str, Any], kinds: dict[str, str]) -> bytes:
    """Return the tables named in `kinds` as one CSV with a column `kind`; NaN and infinities stand as such."""
    rows = [
        {"kind": kinds[name], **row}
        for name, table in tables.items()
        if name in kinds and isinstance(table, list)
        for row in table
        if isinstance(row, dict)
    ]
    columns = list(dict.fromkeys(column for row in rows for column in row)) or ["kind"]
    lines = [",".join(columns)]
    lines += [",".join("" if row.get(name) is None else str(row[name]) for name in columns) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def as_toml(table: dict[str, Any]) -> bytes:
    """Return `table` as TOML with inline tables; NaN and infinities stand as such."""
    return "".join(f"{_toml_key(key)} = {_toml(value)}\n" for key, value in table.items()).encode()


def _toml_key(key: object) -> str:
    return msgspec.json.encode(str(key)).decode()


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f"{_toml_key(key)} = {_toml(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case None:
            return '"none"'
        case float():
            return repr(value) if "." in repr(value) or value != value or abs(value) == INF else f"{value:.1f}"
        case int():
            return str(value)
    return msgspec.json.encode(str(value)).decode()
