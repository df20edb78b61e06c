"""The compiled `scenario_grid` against its definition, to the last bit, on random books."""

import math
from dataclasses import replace
from fractions import Fraction

import msgspec
import numpy as np
import pytest

from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Asset
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import scan_loss
from crossmargin.margin.coin_slices import REACH, SCREENED, CoinGrid, coin_slices
from crossmargin.margin.grid_columns import GridColumns, grid_columns, opened, packed
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, MAINTENANCE, WORTH, margin_book
from crossmargin.margin.grid_slices import margin_books, margin_slices, remargin_coins
from crossmargin.margin.methods import method_named
from crossmargin.margin.open_orders import worst_subset
from crossmargin.margin.order_kernels import deficit_bound, fill, worst_subset_deficit
from crossmargin.margin.scan_loss import ScannedBooks
from crossmargin.margin.scenario_grid import Offset, ScenarioGridParameters
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.pricing.valuation import position_value, unit_value, usd_value
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.risk.tiles import TILE, in_singles, least_in_pair, rounding_of, tiles_of
from crossmargin.units import NANOSECONDS_PER_DAY, AccountId, Currency

NOW = 1_767_225_600_000_000_000
FAR = NOW + 85 * NANOSECONDS_PER_DAY + NANOSECONDS_PER_DAY // 3
INDEX = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "USDC": 0.9998, "USDT": 1.0003}
CURRENCIES = tuple(sorted({*INDEX, "USD"}))
CONTRACTS = [
    f"x:{coin}/{rest}"
    for coin, strikes in (("BTC", (50_000, 60_000, 70_000)), ("ETH", (2_500, 3_000)))
    for rest in (
        "USDC:USDC",
        f"USD:{coin}",
        "USDC:USDC-260327",
        *(f"USDC:USDC-260327-{strike}-{kind}" for strike in strikes for kind in "CP"),
        f"USD:{coin}-260327-{strikes[0]}-P",
    )
] + ["a:SOL/USDT:USDT", "x:BTC/USDC"]


def market() -> MarketSnapshot:
    marks = {}
    for number, name in enumerate(CONTRACTS):
        contract = parse_contract(name)
        price = INDEX[contract.base] * (1.0 + 0.001 * (number % 5 - 2))
        is_option = "-" in name and name[-1] in "CP"
        unit = INDEX[contract.base] if contract.settle == contract.base else 1.0
        marks[contract.id] = Price(0.07 * price / unit if is_option else price)
    return MarketSnapshot(
        time_ns=NOW,
        index={Currency(name): Price(price) for name, price in INDEX.items()},
        marks=marks,
        forwards={
            Currency(coin): ForwardCurve(
                spot=INDEX[coin], time_ns=NOW, expiries_ns=(FAR,), forwards=(1.01 * INDEX[coin],)
            )
            for coin in ("BTC", "ETH")
        },
        surfaces={
            Currency(coin): VolSurface(
                time_ns=NOW,
                smiles=(Smile(expiry_ns=FAR, forward=INDEX[coin], strikes=(INDEX[coin],), vols=(0.55,)),),
            )
            for coin in ("BTC", "ETH")
        },
    )


def parameters() -> ScenarioGridParameters:
    plain = read_parameters(method_named("scenario_grid"))
    offsets = (Offset(first="BTC", second="ETH", credit=0.4), Offset(first="ETH", second="SOL", credit=0.3))
    return msgspec.structs.replace(plain, offsets=offsets)


def world() -> tuple[MarketSnapshot, ScenarioGridParameters, RiskArray, GridColumns]:
    snapshot, terms = market(), parameters()
    scenarios = method_named("scenario_grid").scenarios(snapshot, terms)
    assert scenarios is not None
    items = [parse_contract(name) for name in CONTRACTS] + [Asset(currency=Currency(name)) for name in CURRENCIES]
    risk = risk_array(items, snapshot, scenarios)
    return snapshot, terms, risk, grid_columns(risk, snapshot, terms, CURRENCIES)


def large_world() -> tuple[RiskArray, GridColumns]:
    """Return a grid of so many scenarios that it pays to screen them."""
    _, terms, _, _ = world()
    steps = msgspec.structs.replace(terms, price_steps=60, vol_moves=tuple(np.linspace(-0.5, 0.5, 5)), tails=())
    snapshot = market()
    scenarios = method_named("scenario_grid").scenarios(snapshot, steps)
    assert scenarios is not None
    items = [parse_contract(name) for name in CONTRACTS] + [Asset(currency=Currency(name)) for name in CURRENCIES]
    risk = risk_array(items, snapshot, scenarios)
    return risk, grid_columns(risk, snapshot, steps, CURRENCIES)


def random_book(rng: np.random.Generator) -> Portfolio:
    held = rng.choice(len(CONTRACTS), int(rng.integers(0, 12)), replace=False)
    sizes = 10.0 ** rng.uniform(-3, 2, held.size) * rng.choice([-1.0, 1.0], held.size)
    cash = {name: rng.choice([0.0, 0.0, 1.0, -0.2]) * rng.uniform(0, 20) for name in ("BTC", "ETH", "SOL")}
    cash |= {name: rng.choice([0.0, 1.0, 1.0, -0.1]) * rng.uniform(0, 3e5) for name in ("USD", "USDC", "USDT")}
    if rng.random() < 0.2:
        # a hedge that leaves nothing but rounding: a long coin against a short perpetual on it
        held, sizes = np.array([0]), np.array([-float(cash["BTC"])])
    return Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(name), amount=float(coins)) for name, coins in cash.items() if coins),
        positions=tuple(
            Position(instrument=parse_contract(CONTRACTS[place]), quantity=float(size))
            for place, size in zip(held, sizes, strict=True)
            if size
        ),
    )


def columns_of(book: Portfolio, risk: RiskArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    held = sorted((risk.rows[position.instrument.id], position.quantity) for position in book.positions)
    cash = np.zeros(len(CURRENCIES))
    for balance in book.balances:
        cash[CURRENCIES.index(balance.currency)] = balance.amount
    return np.array([row for row, _ in held], dtype=np.int64), np.array([size for _, size in held]), cash


def test_figures_have_the_bits_of_the_definition() -> None:
    snapshot, terms, risk, grid = world()
    rng = np.random.default_rng(20260115)
    books = [random_book(rng) for _ in range(400)]
    parts = [columns_of(book, risk) for book in books]
    indptr = np.cumsum([0, *(rows.size for rows, _, _ in parts)])
    found = np.empty((len(books), 4))
    every = [np.concatenate([part[place] for part in parts]) for place in (0, 1)]
    margin_books(grid, indptr, every[0], every[1], np.array([cash for _, _, cash in parts]), found)
    offsets = 0
    for book, (rows, sizes, cash), figures in zip(books, parts, found, strict=True):
        expected = method_named("scenario_grid").requirement(book, snapshot, risk, terms)
        worth = usd_value({item.currency: item.amount for item in book.balances}, snapshot)
        assert figures[EQUITY] == expected.equity
        assert figures[INITIAL] == expected.initial
        assert figures[MAINTENANCE] == expected.maintenance
        assert figures[WORTH] == pytest.approx(worth + position_value(book.positions, snapshot), rel=1e-12, abs=1e-6)
        alone = np.empty(4)
        margin_book(grid, rows, sizes, cash, alone)
        assert alone.tolist() == figures.tolist()
        offsets += any("offset" in part.name for part in expected.initial_components)
    assert offsets > 20


@pytest.mark.parametrize("threads", [1, 2])
def test_after_one_coin_moved_the_other_slices_stand(threads: int) -> None:
    _, _, risk, before = world()
    rng = np.random.default_rng(20260116)
    books = [columns_of(random_book(rng), risk) for _ in range(300)]
    indptr = np.cumsum([0, *(rows.size for rows, _, _ in books)])
    rows, sizes = np.concatenate([each[0] for each in books]), np.concatenate([each[1] for each in books])
    cash, found = np.array([each[2] for each in books]), np.empty((len(books), 4))
    slices = coin_slices(before.coin, len(CURRENCIES), indptr, rows, sizes)
    parts = margin_slices(before, slices, cash, found)
    ether = CURRENCIES.index("ETH")
    moved = (before.coin == ether) | (np.arange(before.coin.size) == before.asset_row[ether])
    scale = np.where(moved, 1.07, 1.0)
    index = np.where(np.arange(len(CURRENCIES)) == ether, 1.07, 1.0) * before.index_price
    after = before._replace(
        pnl=before.pnl * scale[:, np.newaxis],
        delta=before.delta * scale,
        unit_value=before.unit_value * scale,
        index_price=index,
        add_on=rng.uniform(0.0, 1.0, scale.size),
    )
    remargin_coins(after, slices, cash, np.array([ether]), parts, found, threads=threads)
    alone = np.empty(4)
    for (own_rows, quantities, coins), figures in zip(books, found, strict=True):
        margin_book(after, own_rows, quantities, coins, alone)
        assert alone.tolist() == figures.tolist()


@pytest.mark.parametrize("scale", [1.0, 2.0**80])
def test_the_screen_in_single_precision_leaves_every_bit(scale: float) -> None:
    risk, grid = large_world()
    # beyond the range of single precision nothing is screened
    grid = grid._replace(pnl=grid.pnl * scale)
    assert grid.pnl.shape[1] >= SCREENED * TILE
    rng = np.random.default_rng(20260117)
    books = [columns_of(random_book(rng), risk) for _ in range(400)]
    indptr = np.cumsum([0, *(rows.size for rows, _, _ in books)])
    rows, sizes = np.concatenate([each[0] for each in books]), np.concatenate([each[1] for each in books])
    sizes[::97] *= 2.0**-70  # beyond it too
    cash, found, alone = np.array([each[2] for each in books]), np.empty((len(books), 4)), np.empty(4)
    margin_books(grid, indptr, rows, sizes, cash, found)
    for place, figures in enumerate(found):
        held = slice(indptr[place], indptr[place + 1])
        margin_book(grid, rows[held], sizes[held], cash[place], alone)
        assert alone.tolist() == figures.tolist()


def nearly_tied(rng: np.random.Generator, n_rows: int, n_scenarios: int) -> np.ndarray:
    """Return risk rows of which all scenarios differ by a unit in the last place of single precision or two."""
    return rng.normal(size=(n_rows, 1)) * (1.0 + 1e-7 * rng.normal(size=(n_rows, n_scenarios)))


def least_by_both(pnl: np.ndarray, sizes: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the least profit of each account (a row of `sizes`): over all tiles, and over those the screen leaves."""
    n_accounts, n_rows = sizes.shape
    tiles = tiles_of(pnl, np.arange(n_rows))
    lines = np.abs(pnl).max(axis=1, keepdims=True) * (np.arange(5) == REACH)
    own = CoinGrid(0, 0, tiles, in_singles(tiles), lines, is_screened=True)
    begins = np.arange(n_accounts) * n_rows
    flat = sizes.ravel()
    places = np.tile(np.arange(n_rows), n_accounts)
    books = ScannedBooks(places, flat, flat.astype(np.float32), begins, begins + n_rows, is_screened=True)
    every, left = np.zeros(n_accounts), np.zeros(n_accounts)
    nearly = np.empty((n_accounts, 2 * own.singles.shape[0]), dtype=np.float32)
    scan_loss.write_least(tiles, books, n_accounts, every)
    # as it is written, not as it is compiled: so that the test can take the bound away
    scan_loss.write_least_screened.py_func(own, books, n_accounts, np.abs(sizes) @ lines[:, REACH], nearly, left)
    return every.tolist(), left.tolist()


def test_a_screen_without_its_bound_of_rounding_changes_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(20261121)
    pnl, sizes = nearly_tied(rng, 6, 10 * TILE), rng.normal(size=(200, 6))
    every, left = least_by_both(pnl, sizes)
    assert left == every
    monkeypatch.setattr(scan_loss, "rounding_of", lambda _count, _gross: 0.0)
    every, left = least_by_both(pnl, sizes)
    # a larger loss was there, in a tile that was passed over
    assert sum(full < screened for full, screened in zip(every, left, strict=True)) > 5


def test_books_of_which_every_scenario_is_nearly_the_worst_keep_their_bits() -> None:
    """The compiled screen, on books that a bound of 0 would misjudge (see the test above)."""
    grid = large_world()[1]
    rng = np.random.default_rng(20261122)
    grid = grid._replace(pnl=nearly_tied(rng, *grid.pnl.shape) * grid.index_price[grid.coin][:, None])
    n_rows = grid.pnl.shape[0]
    books = [(np.sort(rng.choice(n_rows, 8, replace=False)), rng.normal(size=8)) for _ in range(200)]
    indptr, cash = np.arange(0, 8 * 201, 8), np.zeros((200, len(CURRENCIES)))
    found, alone = np.empty((200, 4)), np.empty(4)
    margin_books(
        grid,
        indptr,
        np.concatenate([each[0] for each in books]),
        np.concatenate([each[1] for each in books]),
        cash,
        found,
    )
    for (held, quantities), figures in zip(books, found, strict=True):
        margin_book(grid, held, quantities, cash[0], alone)
        assert alone.tolist() == figures.tolist()


def test_the_screen_is_as_near_as_it_says_and_no_nearer() -> None:
    rng = np.random.default_rng(7)
    worst = 0.0
    for count in (1, 2, 25, 200):
        pnl, sizes = rng.normal(size=(count, 2 * TILE)), rng.normal(size=count)
        tiles, out = tiles_of(pnl, np.arange(count)), np.zeros(2, dtype=np.float32)
        least_in_pair(in_singles(tiles), 0, np.arange(count), sizes.astype(np.float32), 0, count, out, 0)
        for t in range(2):
            exact = min(
                float(sum(Fraction(size) * Fraction(profit) for size, profit in zip(sizes, column, strict=True)))
                for column in pnl[:, t * TILE : (t + 1) * TILE].T
            )
            off = abs(float(out[t]) - exact) / rounding_of(count, float(np.abs(sizes) @ np.abs(pnl).max(axis=1)))
            assert off < 1.0
            worst = max(worst, off)
    assert worst > 1e-3


def test_an_add_on_raises_initial_margin_alone() -> None:
    _, _, risk, grid = world()
    add_on = np.arange(len(risk.instruments), dtype=float)
    book = columns_of(random_book(np.random.default_rng(3)), risk)
    plain, more = np.empty(4), np.empty(4)
    margin_book(grid, *book, plain)
    margin_book(grid._replace(add_on=add_on), *book, more)
    assert math.isclose(more[INITIAL] - plain[INITIAL], float(np.abs(book[1]) @ add_on[book[0]]), rel_tol=1e-9)
    assert more[[EQUITY, MAINTENANCE, WORTH]].tolist() == plain[[EQUITY, MAINTENANCE, WORTH]].tolist()


def random_orders(rng: np.random.Generator, count: int, names: list[str]) -> list[Order]:
    snapshot, orders = market(), []
    for place in rng.integers(0, len(names), count):
        contract = parse_contract(names[place])
        price = snapshot.mark_price(contract) * float(rng.uniform(0.9, 1.1))
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        orders.append(Order(instrument=contract, side=side, quantity=float(10.0 ** rng.uniform(-3, 2)), price=price))
    return orders


def order_columns(orders: list[Order], risk: RiskArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.array([risk.rows[order.instrument.id] for order in orders], dtype=np.int64)
    return rows, np.array([order.signed_quantity for order in orders]), np.array([order.price for order in orders])


def test_the_worst_subset_of_fills_is_that_of_the_definition() -> None:
    snapshot, terms, risk, grid = world()
    rng = np.random.default_rng(11)
    everything = np.ones(len(CURRENCIES), dtype=bool)

    def deficit(book: Portfolio) -> float:
        found = method_named("scenario_grid").requirement(book, snapshot, risk, terms)
        return found.initial - found.equity

    for _ in range(60):
        book, orders = random_book(rng), random_orders(rng, int(rng.integers(1, 5)), CONTRACTS[:-1])
        expected, _ = worst_subset(replace(book, orders=tuple(orders)), deficit)
        columns = (*columns_of(book, risk), everything, *order_columns(orders, risk))
        found = worst_subset_deficit(grid, *columns, math.inf)
        scale = abs(expected) + sum(abs(balance.amount) for balance in book.balances) * 60_000.0
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-13 * scale)


def test_no_subset_of_fills_exceeds_the_bound() -> None:
    *_, risk, grid = world()
    rng = np.random.default_rng(12)
    tight = 0
    for _ in range(300):
        book, orders = random_book(rng), random_orders(rng, int(rng.integers(0, 6)), CONTRACTS)
        trusted = rng.random(len(CURRENCIES)) < 0.8
        columns = (*columns_of(book, risk), trusted, *order_columns(orders, risk))
        bound, exact = deficit_bound(grid, *columns), worst_subset_deficit(grid, *columns, math.inf)
        assert bound >= exact
        tight += bound <= exact + 0.2 * abs(exact)
    # a bound that is never near accepts nothing
    assert tight > 100


def test_enumeration_stops_at_the_first_subset_that_needs_too_much() -> None:
    *_, risk, grid = world()
    book = columns_of(Portfolio(account=AccountId("a")), risk)
    (order,) = random_orders(np.random.default_rng(1), 1, CONTRACTS[:1])
    columns = (*book, np.ones(len(CURRENCIES), dtype=bool), *order_columns([order], risk))
    worst = worst_subset_deficit(grid, *columns, math.inf)
    assert worst > 0.0
    assert worst_subset_deficit(grid, *columns, 0.5 * worst) > 0.5 * worst


def test_a_spot_fill_exchanges_coins_and_a_closed_position_is_forgotten() -> None:
    *_, risk, grid = world()
    rows, sizes, cash = np.zeros(3, dtype=np.int64), np.zeros(3), np.zeros(len(CURRENCIES))
    spot, perpetual = risk.rows[parse_contract("x:BTC/USDC").id], risk.rows[parse_contract("x:BTC/USDC:USDC").id]
    assert fill(grid, rows, sizes, 0, cash, spot, 2.0, 50_000.0) == 0
    assert cash[CURRENCIES.index("BTC")] == 2.0
    assert cash[CURRENCIES.index("USDC")] == -100_000.0
    assert fill(grid, rows, sizes, 0, cash, perpetual, 3.0, float(grid.mark[perpetual])) == 1
    assert fill(grid, rows, sizes, 1, cash, perpetual, -3.0, float(grid.mark[perpetual])) == 0


def test_columns_have_the_prices_of_the_definition() -> None:
    snapshot, _, risk, grid = world()
    assert grid.unit_value.tolist() == [unit_value(item, snapshot) for item in risk.instruments]
    assert grid.mark.tolist() == [snapshot.mark_price(item) for item in risk.instruments]


def test_packing_loses_nothing() -> None:
    *_, grid = world()
    again = opened(*packed(grid))
    for name, before, after in zip(grid._fields, grid, again, strict=True):
        assert np.array_equal(before, after), name
