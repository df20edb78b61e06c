"""A small server that speaks the dashboard's part of the API with made-up accounts.

For work on the dashboard and for its browser tests: every account is a parabola in the price and a line in the vol, so that
its pages have something to draw. It margins nothing. ``python tests/service/stand_in.py --port 8765 --accounts 10000``
"""

# ruff: noqa: TID251 -- a server has a clock

import argparse
import asyncio
import json
import mimetypes
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote

import uvicorn

STATIC = Path(__file__).parents[2] / "src" / "crossmargin" / "service" / "static"
PRICE = {"BTC": 62_000.0, "ETH": 2_450.0}
VOL = {"BTC": 0.55, "ETH": 0.68}
STATES = ("HEALTHY", "MARGIN_CALL", "LIQUIDATION")


def moment(seconds: float) -> dict:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"
    return {"iso": stamp, "epoch_ms": int(seconds * 1000)}


def money(value: float) -> str:
    return f"{value:.2f}"


@dataclass(frozen=True)
class Parabola:
    """Profit ``delta m + gamma m^2 / 2 + vega v`` at price move m and vol move v; the requirement grows with the move."""

    name: str
    collateral: float
    delta: float
    gamma: float
    vega: float

    def pnl(self, move: float, vol: float = 0.0) -> float:
        return self.delta * move + self.gamma * move * move / 2 + self.vega * vol

    def maintenance(self, move: float) -> float:
        return 0.12 * abs(self.delta + self.gamma * move) + 0.05 * abs(self.gamma) + 0.1 * abs(self.vega)

    def row(self, move: float = 0.0, vol: float = 0.0, added: float = 0.0, extra: float = 0.0) -> dict:
        equity = self.collateral + self.pnl(move, vol) + added
        maintenance = self.maintenance(move) + extra
        initial = maintenance * 1.3
        usage = maintenance / equity if equity > 0 else None
        state = STATES[2] if usage is None or usage >= 1 else STATES[1] if initial > equity else STATES[0]
        side = "-12 %, vols +31 %" if self.delta > 0 else "+12 %, vols -20 %"
        return {
            "account": self.name, "state": state, "method": "scenario_grid", "equity": money(equity),
            "initial": money(initial), "maintenance": money(maintenance), "excess": money(equity - initial),
            "maintenance_ratio": None if usage is None else 1 / usage, "margin_usage": usage,
            "worst_scenario": f"BTC {side}",
        }  # fmt: skip


def book(number: int) -> Parabola:
    # The golden ratio's multiples spread evenly, which is all that a made-up book needs.
    u, v, w = ((number * step) % 1.0 for step in (0.6180339887, 0.7548776662, 0.5698402910))
    size = 10 ** (4 + 3 * u)
    delta = size * (2 * v - 1) * 4
    gamma = size * (2 * w - 1) * 6
    parabola = Parabola(f"desk-{number:05d}", 0.0, delta, gamma, size * (w - 0.5))
    return Parabola(parabola.name, parabola.maintenance(0) * (1.02 + 4 * u * v), delta, gamma, parabola.vega)


class House:
    """The accounts, and a market that wanders in a closed curve."""

    def __init__(self, accounts: int, *, still: bool = False, touched: int = 400) -> None:
        self.still, self.touched = still, touched
        self.books = {b.name: b for b in map(book, range(1, accounts + 1))}
        self.sequence = 0
        self.started = time.time()

    def move(self) -> float:
        phase = self.sequence % 40 / 40
        return 0.01 * (4 * abs(phase - 0.5) - 1)

    def rows(self) -> list[dict]:
        return [b.row(self.move()) for b in self.books.values()]

    def overview(self) -> dict:
        rows = self.rows()
        states = [row["state"] for row in rows]
        return {
            "time": moment(time.time()), "sequence": self.sequence,
            **{name: money(sum(float(row[name]) for row in rows)) for name in ("equity", "initial", "maintenance")},
            "accounts_by_state": {state: states.count(state) for state in STATES}, "insurance_fund": "25000000.00",
            "breakers": [
                {"name": "mark band BTC", "active": False, "reason": None},
                {"name": "withdrawals", "active": True, "reason": "an index source disagrees by more than 1 %"},
            ],
            "feeds": [
                {"source": "deribit", "age_ms": 180, "state": "live"},
                {"source": "kraken", "age_ms": 48_000, "state": "stale"},
            ],
        }  # fmt: skip

    def account(self, name: str) -> dict:
        b = self.books[name]
        return b.row(self.move()) | {
            "balances": [{"currency": "USDC", "amount": money(b.collateral)}],
            "positions": [
                {"instrument": "BTC-PERPETUAL", "quantity": f"{b.delta / PRICE['BTC']:.4f}", "entry_price": "61500.00",
                 "mark_price": money(PRICE["BTC"]), "value": money(b.delta), "value_currency": "USDT"},
                {"instrument": "BTC-26DEC25-70000-C", "quantity": f"{b.gamma / PRICE['BTC']:.4f}", "entry_price": "2100.00",
                 "mark_price": "2310.00", "value": money(b.gamma * 0.037), "value_currency": "BTC"},
            ],
            "orders": [],
        }  # fmt: skip

    def explain(self, name: str) -> dict:
        b = self.books[name]
        loss = b.maintenance(self.move()) * 1.3
        worst = b.row()["worst_scenario"]
        parts = [("BTC-PERPETUAL", 0.7, "moves with the index"), ("BTC-26DEC25-70000-C", 0.3, "its gamma loses most")]
        leaves = [{"label": n, "amount": money(loss * 0.9 * s), "why": w, "children": []} for n, s, w in parts]
        return {
            "label": "initial requirement", "amount": money(loss), "why": "worst scenario, plus add-ons", "children": [
                {"label": "worst scenario", "amount": money(loss * 0.9), "why": worst, "children": leaves},
                {"label": "concentration", "amount": money(loss * 0.1), "why": "more than a day's volume", "children": []},
            ],
        }  # fmt: skip

    def surface(self, name: str, coin: str) -> dict:
        b = self.books[name]
        moves, vols = [i / 20 for i in range(-10, 11)], [j / 10 for j in range(-5, 6)]
        excess = [[b.collateral + b.pnl(m, v) - b.maintenance(m) for m in moves] for v in vols]
        edge = []
        for v, line in zip(vols, excess, strict=True):
            for i in range(len(moves) - 1):
                if line[i] * line[i + 1] < 0:
                    share = line[i] / (line[i] - line[i + 1])
                    edge.append([PRICE[coin] * (1 + moves[i] + 0.05 * share), VOL[coin] * (1 + v)])
        return {
            "underlying": coin, "prices": [PRICE[coin] * (1 + m) for m in moves], "vols": [VOL[coin] * (1 + v) for v in vols],
            "pnl": [[b.pnl(m, v) for m in moves] for v in vols], "excess": excess, "boundary": edge,
        }  # fmt: skip

    def history(self, name: str) -> dict:
        b = self.books[name]
        steps = range(-288, 1)
        rows = [(i, b.row(0.06 * (((i * 7) % 97) / 97 - 0.5) + 0.0004 * i)) for i in steps]
        fields = ("equity", "initial", "maintenance")
        return {"points": [{"time": moment(self.started + 300 * i)} | {n: row[n] for n in fields} for i, row in rows]}

    def what_if(self, name: str, asked: dict) -> dict:
        b = self.books[name]
        move = self.move() + sum(asked.get("price_moves", {}).values())
        added = sum(float(c["amount"]) for c in asked.get("collateral", []))
        traded = sum(float(t["quantity"]) * PRICE["BTC"] for t in asked.get("trades", []))
        before, after = (
            b.row(self.move()),
            b.row(move, sum(asked.get("vol_moves", {}).values()), added, 0.05 * abs(traded)),
        )
        parts = [("worst scenario", 0.9), ("concentration", 0.1)]
        both = [(n, float(before["initial"]) * s, float(after["initial"]) * s) for n, s in parts]
        components = [{"label": n, "before": money(x), "after": money(y)} for n, x, y in both]
        return {"before": before, "after": after, "components": components}

    def compare(self, name: str) -> dict:
        own = self.books[name].row(self.move())
        scales = {"scenario_grid": 1.0, "deribit_pm": 0.92, "okx_pm": 1.21, "binance_pm": 1.4}
        rows = [{
            "method": m, "initial": money(float(own["initial"]) * s), "maintenance": money(float(own["maintenance"]) * s),
            "excess": money(float(own["equity"]) - float(own["initial"]) * s), "refused": None,
            "largest_difference": None if s == 1 else "the vol move",
        } for m, s in scales.items()]  # fmt: skip
        refused = {
            "method": "hyperliquid",
            "initial": None,
            "maintenance": None,
            "excess": None,
            "largest_difference": None,
        }
        return {"rows": [*rows, refused | {"refused": "holds no options: BTC-26DEC25-70000-C"}]}

    def queue(self, name: str) -> dict:
        standing = {"instrument": "deribit:BTC/USD:BTC", "place": 3, "of": 14, "light": 40, "profit": "1234.50"}
        loser = {"instrument": "deribit:ETH/USD:ETH", "place": None, "of": 9, "light": None, "profit": "-80.00"}
        return {
            "account": name,
            "policy": "queue",
            "positions": [each | {"leverage": 2.5} for each in (standing, loser)],
        }

    def insurance(self) -> dict:
        drawn = {"BTC": "41250.00", "ETH": "900.00"}
        return {"time": moment(0), "asset": "USD", "fund": "1957850.00", "cap_per_market": "500000", "drawn_by_market": drawn,
                "draws": self.items("waterfall")}  # fmt: skip

    def replay(self, record: int) -> dict:
        self_then = House(0)
        self_then.books, self_then.sequence = self.books, record
        rows = sorted(self_then.rows(), key=lambda row: -(row["margin_usage"] or 9))
        return {"first": 1, "last": 40, "record": record, "unpriced": 0, "time": moment(self.started + record),
                "overview": self_then.overview(), "accounts": rows[:20]}  # fmt: skip

    def stress(self, asked: dict) -> dict:
        move = sum(asked["moves"].values())
        hit = [(b, b.pnl(move, asked["vol"])) for b in self.books.values()]
        rows = [{"account": b.name, "pnl": p, "equity_after": money(b.collateral + p),
                 "breach": b.collateral + p < b.maintenance(move)} for b, p in hit]  # fmt: skip
        return {"accounts": rows, "shortfall": money(sum(max(0.0, -b.collateral - p) for b, p in hit))}

    def items(self, name: str) -> list[dict]:
        at = [moment(self.started - 60 * i) for i in range(6)]
        engine = {"order_band": 1.0, "call_period_ns": 3_600_000_000_000, "own_source_alone": False,
                  "layers": ["house", "insurance"], "house_cap": None, "taker_fee": "0.0005"}  # fmt: skip
        lists: dict[str, list[dict]] = {
            "liquidations": [{"account": "desk-00007", "state": "closed", "started": at[5], "cost": "1840.00", "steps": [
                {"time": at[5], "event": "OrdersCancelled", "amount": None},
                {"time": at[4], "event": "SliceClosed", "instrument": "BTC-PERPETUAL", "amount": "24740.00"},
                {"time": at[3], "event": "TakenOver", "instrument": "BTC-26DEC25-70000-C", "amount": "2772.00"},
            ], "paid_by": [{"layer": "account", "amount": "1500.00"}, {"layer": "insurance fund", "amount": "340.00"}]}],
            "waterfall": [
                {"layer": "defaulter's collateral", "size": "1500.00", "drawn": "1500.00"},
                {"layer": "house", "size": "500000.00", "drawn": "0.00"},
                {"layer": "insurance fund", "size": "25000000.00", "drawn": "340.00"},
                {"layer": "deleveraging", "size": None, "drawn": "0.00"},
            ],
            "parameters": [
                {"name": "engine", "values": engine, "shipped": engine | {"order_band": 0.5, "taker_fee": "0"}},
                {"name": "scenario_grid", "version": 1, "effective": at[5], "in_force": False,
                 "values": {"price_range": 0.15, "vol_up": 0.45, "fee_bps": 5}},
                {"name": "scenario_grid", "version": 2, "effective": at[2], "in_force": True,
                 "values": {"price_range": 0.16, "fee_bps": 4, "limit": {"BTC": 9}}},
            ],
            "audit": [{"sequence": 6 - i, "time": t, "who": "operator", "action": "SetParameters" if i == 2 else "Deposit",
                       "detail": f"entry {6 - i}"} for i, t in enumerate(at)],
            "liquidation-events": [{"sequence": 3, "time": at[2], "account": "desk-00007", "type": "LiquidationEnded"}],
            "margin-calls": [{"time": at[1], "account": "desk-00012", "deficit": "8120.00"}],
        }  # fmt: skip
        return lists[name]


def of_account(house: House, method: str, name: str, path: list[str], query: dict, body: bytes) -> object:
    match (method, path):
        case ("GET", []):
            return house.account(name)
        case ("GET", ["surface"]):
            return house.surface(name, query["underlying"][0])
        case ("GET", ["deleveraging"]):
            return house.queue(name)
        case ("GET", ["explain"]):
            return {"tree": house.explain(name)}
        case ("GET", ["history"]):
            return house.history(name)
        case ("GET", ["compare"]):
            return house.compare(name)
        case ("POST", ["what-if"]):
            return house.what_if(name, json.loads(body))
    return None


async def answer(house: House, method: str, path: list[str], query: dict, body: bytes) -> object:
    match (method, path):
        case ("GET", ["overview"]):
            return house.overview()
        case ("GET", ["session"]):
            return {"user": None, "open": True}
        case ("GET", ["replay"]):
            return house.replay(int(query.get("record", ["40"])[0]))
        case ("GET", ["insurance"]):
            return house.insurance()
        case ("GET", ["accounts"]):
            start, limit = int(query.get("cursor", ["0"])[0]), int(query.get("limit", ["100"])[0])
            names = list(house.books)[start : start + limit]
            more = start + limit < len(house.books)
            return {
                "accounts": [house.books[n].row(house.move()) for n in names],
                "next": str(start + limit) if more else None,
            }
        case (_, ["accounts", name, *rest]):
            return None if name not in house.books else of_account(house, method, name, rest, query, body)
        case ("POST", ["stress"]):
            return house.stress(json.loads(body))
        case (
            "GET",
            [("liquidations" | "waterfall" | "parameters" | "audit" | "margin-calls" | "liquidation-events") as name],
        ):
            return {"items": house.items(name), "next": None}
    return None


async def http(house: House, scope: dict, receive, send) -> None:
    body, path = b"", unquote(scope["path"])
    while (message := await receive()).get("more_body"):
        body += message.get("body", b"")
    body += message.get("body", b"")
    kind, status = b"application/json", 200
    file = STATIC / (path.strip("/") or "index.html")
    if path == "/health":
        content = json.dumps({"status": "ok", "sequence": house.sequence, "open": True}).encode()
    elif path.startswith("/api/v1/"):
        found = await answer(
            house, scope["method"], path.split("/")[3:], parse_qs(scope["query_string"].decode()), body
        )
        status = 200 if found is not None else 404
        missing = {"error": {"rule": "a path names something that exists", "finding": f"{path} does not"}}
        content = json.dumps(found if found is not None else missing).encode()
    elif file.is_file() and file.resolve().is_relative_to(STATIC):
        content, kind = file.read_bytes(), (mimetypes.guess_type(file.name)[0] or "text/plain").encode()
    else:
        content, status = b'{"error": {"rule": "no such file", "finding": ""}}', 404
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": content})


async def stream(house: House, receive, send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()  # the subscription

    async def tell(channel: str, data: object) -> None:
        message = {"channel": channel, "sequence": house.sequence, "data": data}
        await send({"type": "websocket.send", "text": json.dumps(message)})

    await tell("overview", house.overview())
    await tell("accounts", house.rows())
    names = list(house.books)
    while house.still:
        if (await receive())["type"] == "websocket.disconnect":
            return
    while True:
        await asyncio.sleep(0.5)
        house.sequence += 1
        touched = [names[(house.sequence * 131 + i) % len(names)] for i in range(min(house.touched, len(names)))]
        await tell("accounts", [house.books[n].row(house.move()) for n in touched])
        if house.sequence % 4 == 0:
            await tell("overview", house.overview())
            await tell(
                "events",
                [{"time": moment(time.time()), "event": "MarketUpdated", "BTC": money(62_000 * (1 + house.move()))}],
            )


def application(house: House):
    async def app(scope, receive, send) -> None:
        if scope["type"] == "http":
            await http(house, scope, receive, send)
        elif scope["type"] == "websocket":
            try:
                await stream(house, receive, send)
            except OSError:  # uvicorn's ClientDisconnected
                return

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--accounts", type=int, default=40)
    parser.add_argument("--still", action="store_true", help="let no market move")
    parser.add_argument("--touched", type=int, default=400, help="accounts that change at a time, twice a second")
    chosen = parser.parse_args()
    answering = application(House(chosen.accounts, still=chosen.still, touched=chosen.touched))
    uvicorn.run(answering, host="127.0.0.1", port=chosen.port, log_level="warning", lifespan="off")
