"""The service over the sample book: reads, writes, errors, restart."""

from decimal import Decimal

import msgspec
import pytest
from litestar.testing import TestClient

from crossmargin import notebook
from crossmargin.engine.commands import Deposit
from crossmargin.engine.events import Deleveraged, Drawn, LiquidationEnded, LiquidationOrdered, LiquidationStarted
from crossmargin.engine.parameters import LAYERS
from crossmargin.errors import InputError
from crossmargin.files.book import book_tables
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.application import application
from crossmargin.service.lists import liquidation_items
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Published, Writer

NAMES = ("cash-only", "hedger", "levered-long", "straddle-seller", "iron-condor", "isolated-pair", "levered-long-eth")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def client(folder):
    writer = Writer(folder)
    book = [portfolio for portfolio in sample_book() if portfolio.account in NAMES]
    answers = [writer.submit(command) for command in opening_commands(book, sample_market())]
    events = [type(event).__name__ for answer in answers for event in answer.result(timeout=300)]
    assert "Refused" not in events
    with TestClient(application(writer, hosts=["testserver.local"])) as client:
        yield client
    writer.close()


def test_opening_gives_the_books_own_figures(client):
    """The engine's equity and margin are those of the stateless calculation on the same book."""
    direct = notebook.requirements(sample_book(), sample_market())
    rows = {row["account"]: row for row in client.get("/api/v1/accounts?limit=1000").json()["accounts"]}
    for name in set(NAMES) - {"isolated-pair"}:
        assert float(rows[name]["equity"]) == pytest.approx(direct[name].equity, abs=0.02)
        assert float(rows[name]["initial"]) == pytest.approx(direct[name].initial, abs=0.02)


def test_the_openings_counterparty_has_the_worth_of_the_book_and_stays_its_size(client):
    """Sums over all accounts would tell of nothing but its stand-in of money otherwise."""
    rows = {row["account"]: row for row in client.get("/api/v1/accounts?limit=1000").json()["accounts"]}
    other = rows.pop("opening")
    assert other["state"] == "HEALTHY"
    clients = sum(float(row["equity"]) for row in rows.values())
    assert 0.5 * clients < float(other["equity"]) < 2 * clients
    balances = {
        each["currency"]: float(each["amount"]) for each in client.get("/api/v1/accounts/opening").json()["balances"]
    }
    book = [portfolio for portfolio in sample_book() if portfolio.account in NAMES]
    prices = {"USD": 1.0} | {str(coin): sample_market().index_price(coin) for coin in sample_market().index}
    worth = sum(
        each.amount * prices[str(each.currency)] for portfolio in book for each in portfolio.balances if each.amount > 0
    )
    assert balances["USDC"] == pytest.approx(worth, rel=1e-9)


def test_a_book_without_an_account_is_margined_as_the_direct_calculation_has_it(client):
    """In the engine's market, twice (the second time from the kept risk array), and in a market of its own."""
    book = [each for each in sample_book() if each.account in NAMES]
    direct = notebook.requirements(book, sample_market())
    body = {"book": msgspec.to_builtins(book_tables(book)), "method": "scenario_grid", "explain": True}
    for _ in range(2):
        rows = client.post("/api/v1/margin", json=body).json()["accounts"]
        assert [row["account"] for row in rows] == [str(each.account) for each in book]
        for row in rows:
            expected = direct[row["account"]]
            assert float(row["initial"]) == pytest.approx(expected.initial, abs=0.011)
            assert float(row["equity"]) == pytest.approx(expected.equity, abs=0.011)
            assert len(row["tree"]["children"]) >= 3
    spot = {"time": "2026-01-01T00:00:00Z", "index": [{"currency": "BTC", "price": 50_000.0}]}
    one = {"accounts": [{"account": "a"}], "balances": [{"account": "a", "currency": "BTC", "amount": 2.0}]}
    (row,) = client.post("/api/v1/margin", json={"book": one, "market": spot}).json()["accounts"]
    assert 0.8 * 100_000 <= float(row["equity"]) <= 100_000
    methods = {each["method"] for each in client.post("/api/v1/compare", json={"book": one}).json()["rows"]}
    assert "scenario_grid" in methods


def test_health_and_overview(client):
    assert client.get("/health").json()["status"] == "ok"
    seen = client.get("/api/v1/overview").json()
    rows = client.get("/api/v1/accounts?limit=1000").json()["accounts"]
    assert sum(seen["accounts_by_state"].values()) == len(rows)
    assert abs(Decimal(seen["equity"]) - sum(Decimal(row["equity"]) for row in rows)) < 1


def test_pages_are_complete_and_disjoint(client):
    found, cursor = [], None
    while True:
        page = client.get("/api/v1/accounts", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        found += [row["account"] for row in page["accounts"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == sorted(set(found))
    assert len(found) == len(NAMES) + 2  # the counterparty, and an isolated group


def test_account_states_entry_and_balances(client):
    held = client.get("/api/v1/accounts/hedger").json()
    assert held["balances"] == [{"currency": "BTC", "amount": "10"}]
    (position,) = held["positions"]
    assert position["quantity"] == "-90000"
    assert float(position["entry_price"]) == pytest.approx(95000, abs=0.01)
    held = client.get("/api/v1/accounts/levered-long-eth").json()
    assert float(held["positions"][0]["entry_price"]) == pytest.approx(3150, abs=0.01)


def test_explanation_sums(client):
    tree = client.get("/api/v1/accounts/iron-condor/explain").json()["tree"]
    for node in tree["children"][:3]:
        assert sum(float(child["amount"]) for child in node["children"]) == pytest.approx(
            float(node["amount"]), abs=0.01 * (len(node["children"]) + 1)
        )


def test_what_if_changes_nothing_and_deposits_count(client):
    body = {"collateral": [{"currency": "USDC", "amount": "1000"}]}
    answer = client.post("/api/v1/accounts/cash-only/what-if", json=body).json()
    assert float(answer["after"]["equity"]) - float(answer["before"]["equity"]) == pytest.approx(1000, rel=0.01)
    assert client.get("/api/v1/accounts/cash-only").json()["equity"] == answer["before"]["equity"]


def test_what_if_tells_the_state_that_the_figures_would_bring(client):
    states = set()
    for percent in range(-20, 5, 2):
        body = {"price_moves": {"ETH": percent / 100}}
        answer = client.post("/api/v1/accounts/levered-long-eth/what-if", json=body).json()
        assert answer["before"]["state"] == "HEALTHY"
        after = answer["after"]
        equity, initial, maintenance = (float(after[name]) for name in ("equity", "initial", "maintenance"))
        expected = "LIQUIDATING" if equity < maintenance else "MARGIN_CALL" if equity < initial else "HEALTHY"
        assert after["state"] == expected
        states.add(expected)
    assert states == {"HEALTHY", "MARGIN_CALL", "LIQUIDATING"}


def test_surface_is_flat_for_cash_and_crosses_for_leverage(client):
    flat = client.get("/api/v1/accounts/cash-only/surface").json()
    assert all(cell == 0 for row in flat["pnl"] for cell in row)
    steep = client.get("/api/v1/accounts/levered-long-eth/surface?underlying=ETH").json()
    assert steep["boundary"]
    middle = steep["vols"].index(0.0)
    assert (len(steep["pnl"]), len(steep["pnl"][0])) == (len(steep["vols"]), len(steep["prices"]))
    assert sorted(steep["pnl"][middle]) == steep["pnl"][middle]  # a long's profit rises with the price
    assert steep["pnl"][middle][steep["prices"].index(steep["price_now"])] == 0


def test_compare_and_stress(client):
    rows = {row["method"]: row for row in client.get("/api/v1/accounts/hedger/compare").json()["rows"]}
    own = client.get("/api/v1/accounts/hedger").json()
    assert rows["scenario_grid"]["initial"] == own["initial"]
    seen = client.post("/api/v1/stress", json={"moves": {"BTC": 0.0}}).json()
    assert all(row["pnl"] == 0 for row in seen["accounts"])
    fall = {r["account"]: r for r in client.post("/api/v1/stress", json={"moves": {"BTC": -0.5}}).json()["accounts"]}
    assert fall["levered-long"]["pnl"] < 0 == fall["cash-only"]["pnl"]


def test_a_deposit_counts_once(client):
    def dollars() -> Decimal:
        balances = client.get("/api/v1/accounts/levered-long").json()["balances"]
        return sum((Decimal(each["amount"]) for each in balances if each["currency"] == "USDC"), Decimal(0))

    before = dollars()
    body = {"account": "levered-long", "asset": "USDC", "amount": "5"}
    for expected in ("BalanceChanged", "Repeated"):
        answer = client.post("/api/v1/deposits", json=body, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 200
        assert expected in [event["type"] for event in answer.json()["events"]]
    assert dollars() - before == Decimal(5)
    other = client.post("/api/v1/deposits", json={**body, "amount": "6"}, headers={"Idempotency-Key": "one"})
    assert other.json()["error"]["rule"] == "DUPLICATE_ID_OTHER_CONTENT"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/accounts/nobody", None, 404),
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/api/v1/accounts?limit=0", None, 400),
        ("GET", "/api/v1/accounts/hedger/surface?underlying=NONE", None, 400),
        ("POST", "/api/v1/deposits", {"account": "hedger"}, 400),
        ("POST", "/api/v1/accounts/hedger/what-if", {"trades": [{"instrument": "?", "quantity": "x"}]}, 400),
        ("POST", "/api/v1/accounts/hedger/what-if", {"nonsense": 1}, 400),
        ("POST", "/api/v1/margin", {"book": {"accounts": []}}, 400),
        ("POST", "/api/v1/margin", {"book": {"accounts": [{"account": "a"}]}, "method": "guess"}, 400),
        ("POST", "/api/v1/compare", {"book": {"accounts": [{"account": "a"}, {"account": "b"}]}}, 400),
    ],
)
def test_errors_have_one_shape(client, method, path, body, status):
    answer = client.request(method, path, json=body, headers={"Idempotency-Key": "bad"} if body else None)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"rule", "finding"}


def test_another_host_is_refused(client):
    """A page of another site, pointed here by its name server, must not read the book."""
    assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400


def test_a_second_writer_is_refused(client, folder):
    with pytest.raises(InputError, match="one writer"):
        Writer(folder)


def test_a_restart_resumes_exactly(tmp_path):
    first = Writer(tmp_path)
    cash = [portfolio for portfolio in sample_book() if portfolio.account == "cash-only"]
    for command in opening_commands(cash, sample_market()):
        first.submit(command)
    first.close()
    second = Writer(tmp_path)
    assert second.engine.state_hash() == first.engine.state_hash()
    assert second.sequence >= first.sequence
    second.close()


def test_the_lists_of_the_dashboard_have_its_fields(client):
    layers = client.get("/api/v1/waterfall").json()["items"]
    assert [each["layer"] for each in layers] == list(LAYERS)
    (fund,) = (each for each in layers if each["layer"] == "insurance")
    assert (fund["size"], fund["drawn"]) == ("2000000.00", "0.00")
    versions = client.get("/api/v1/parameters").json()["items"]
    assert {"engine", "scenario_grid"} <= {each["name"] for each in versions}
    assert all(each["values"] for each in versions)
    assert client.get("/api/v1/liquidations").json() == {"items": [], "next": None}
    points = client.get("/api/v1/accounts/hedger/history").json()["points"]
    assert points[-1]["equity"] == client.get("/api/v1/accounts/hedger").json()["equity"]


def test_a_liquidation_is_told_from_start_to_end():
    told = [
        LiquidationStarted(account="a", equity=5.0, maintenance=8.0),
        LiquidationStarted(account="b", equity=1.0, maintenance=2.0),
        LiquidationOrdered(
            account="a", instrument="BTC", side="sell", quantity=Decimal(1), limit=Decimal(9), reason="slice"
        ),
        Drawn(account="a", layer="insurance", payer="@insurance", amount=Decimal("3.5")),
        LiquidationEnded(account="a", outcome="DEFAULTED"),
        # the engine tells of winners last, in the same command
        Deleveraged(
            account="a", winner="b", instrument="BTC", quantity=Decimal(1), price=Decimal(9), haircut=Decimal(1)
        ),
        LiquidationStarted(account="a", equity=2.0, maintenance=3.0),
    ]
    command = Deposit(id="x", account="a", asset="USDC", amount=Decimal(1))
    items = liquidation_items(Published(number, number * 10**9, command, event) for number, event in enumerate(told))
    assert [(item["account"], item["state"], len(item["steps"])) for item in items] == [
        ("a", "open", 0),
        ("b", "open", 0),
        ("a", "DEFAULTED", 2),
    ]
    assert items[2]["paid_by"] == [{"layer": "insurance", "payer": "@insurance", "amount": "3.5"}]
    assert items[2]["started"]["epoch_ms"] == 0


def test_an_order_is_cancelled_by_its_account_alone_and_once(client):
    (position,) = client.get("/api/v1/accounts/levered-long").json()["positions"]
    price = str(round(Decimal(position["mark_price"]) * Decimal("0.9")))
    body = {"account": "cash-only", "order": "c-1", "instrument": position["instrument"], "side": "buy"}
    body |= {"quantity": "1", "price": price}
    placed = client.post("/api/v1/orders", json=body, headers={"Idempotency-Key": "c-place"})
    assert placed.status_code == 200, placed.text
    cancel = {"headers": {"Idempotency-Key": "c-cancel"}}
    assert client.delete("/api/v1/accounts/hedger/orders/c-1", **cancel).status_code == 404
    assert client.delete("/api/v1/accounts/cash-only/orders/none", **cancel).status_code == 404
    for kind in ("OrderCancelled", "Repeated"):
        answer = client.delete("/api/v1/accounts/cash-only/orders/c-1", **cancel)
        assert [each["type"] for each in answer.json()["events"]][:1] == [kind]
    assert client.get("/api/v1/accounts/cash-only").json()["orders"] == []


def test_insurance_and_places_in_the_queue(client):
    seen = client.get("/api/v1/insurance").json()
    assert Decimal(seen["fund"]) == Decimal(client.get("/api/v1/overview").json()["insurance_fund"]) == 2_000_000
    assert (seen["asset"], seen["drawn_by_market"], seen["draws"]) == ("USDC", {}, [])
    held = client.get("/api/v1/accounts/levered-long").json()["positions"]
    queue = client.get("/api/v1/accounts/levered-long/deleveraging").json()
    assert [each["instrument"] for each in queue["positions"]] == [each["instrument"] for each in held]
    assert client.get("/api/v1/accounts/nobody/deleveraging").status_code == 404


def test_a_failure_of_ours_tells_its_insides_to_the_log_only(client, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("insides")

    monkeypatch.setattr("crossmargin.service.views.overview", broken)
    answer = client.get("/api/v1/overview")
    assert (answer.status_code, set(answer.json()["error"])) == (500, {"rule", "finding"})
    assert "insides" not in answer.text
    assert "insides" in caplog.text
