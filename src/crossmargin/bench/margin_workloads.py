"""The workloads of margin after prices move, on the columns and kernels that the engine uses."""

from collections.abc import Callable

import msgspec
import numpy as np

from crossmargin.bench.engine_workloads import COINS, EXPIRIES, POSITIONS, START_NS, marks
from crossmargin.bench.workload import Workload, seconds
from crossmargin.bench.workloads import SEED
from crossmargin.errors import known
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Asset
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.coin_parts import empty_parts
from crossmargin.margin.coin_slices import CoinSlices, coin_slices
from crossmargin.margin.grid_columns import GridColumns, GridLayout, grid_columns, grid_layout
from crossmargin.margin.grid_slices import margin_slices, remargin_coins
from crossmargin.margin.methods import method_named
from crossmargin.margin.scenario_grid import METHOD, ScenarioGridParameters
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.risk.risk_array import Listed, RiskArray, risk_array
from crossmargin.units import NANOSECONDS_PER_DAY, USD, Currency, FloatArray

CURRENCIES = tuple(sorted({*COINS, "USDC", USD}))
MOVING = np.array([CURRENCIES.index(name) for name in COINS])
CELLS = {105: (10, 5), 1_005: (100, 5)}
"""Steps up or down in price, and vols, of a grid of so many scenarios."""


def tick() -> Workload:
    """Margin 2,000 accounts anew after all prices moved: risk array, columns, figures."""
    return _measured("tick", 2_000, 105, 2.0, _tick)


def tick_large() -> Workload:
    """Do the same on 1,005 scenarios."""
    return _measured("tick_large", 2_000, 1_005, 12.0, _tick)


def remargin() -> Workload:
    """Margin 100,000 accounts anew on a risk array of which one coin's part moved."""
    return _measured("remargin", 100_000, 105, 150.0, _remargin)


def remargin_large() -> Workload:
    """Do the same on 1,005 scenarios."""
    return _measured("remargin_large", 100_000, 1_005, 300.0, _remargin)


def _measured(
    name: str,
    n_accounts: int,
    scenarios: int,
    most_ms: float,
    prepared: Callable[[ScenarioGridParameters, int, int], Callable[[], None]],
) -> Workload:
    parameters = _parameters(scenarios)
    alone, both = prepared(parameters, n_accounts, 1), prepared(parameters, n_accounts, 2)
    # what this machine is worth at this moment: neighbours slow it down as much
    numbers = np.random.default_rng(SEED).random(100_000)
    one, floor = seconds(alone, lambda: numbers.cumsum(), rounds=9)
    (two,) = seconds(both, rounds=9, wall=True)
    return Workload(
        name=name,
        title=f"{n_accounts:,} accounts of 50 positions in 98 contracts, {scenarios:,} scenarios, one thread",
        unit="ms",
        ours=1e3 * one,
        peers={},
        floor={"ours": most_ms},
        higher_is_better=False,
        notes={
            "ms on the wall in two threads": 1e3 * two,
            "ms for 1,000,000 additions one after the other, at the same moment": 1e4 * floor,
        },
    )


def _parameters(n_scenarios: int) -> ScenarioGridParameters:
    steps, vols = CELLS[n_scenarios]
    fields = msgspec.to_builtins(read_parameters(METHOD))
    fields |= {"price_steps": steps, "vol_moves": np.linspace(-0.5, 0.5, vols).tolist(), "tails": []}
    return msgspec.convert(fields, type=ScenarioGridParameters)


def _tick(parameters: ScenarioGridParameters, n_accounts: int, threads: int) -> Callable[[], None]:
    slices, cash = _books(n_accounts, _grid(parameters, 1.0))
    parts, figures = empty_parts(slices), np.empty((n_accounts, 4))
    layout = grid_layout(_risk(parameters, _market(1.0)), CURRENCIES)  # an engine makes it once

    def run() -> None:
        remargin_coins(_grid(parameters, 1.001, layout), slices, cash, MOVING, parts, figures, threads=threads)

    return run


def _remargin(parameters: ScenarioGridParameters, n_accounts: int, threads: int) -> Callable[[], None]:
    grid = _grid(parameters, 1.0)
    slices, cash = _books(n_accounts, grid)
    figures = np.empty((n_accounts, 4))
    parts = margin_slices(grid, slices, cash, figures)

    def run() -> None:
        remargin_coins(grid, slices, cash, MOVING[:1], parts, figures, threads=threads)

    return run


def _grid(parameters: ScenarioGridParameters, move: float, layout: GridLayout | None = None) -> GridColumns:
    market = _market(move)
    return grid_columns(_risk(parameters, market), market, parameters, CURRENCIES, layout=layout)


def _risk(parameters: ScenarioGridParameters, market: MarketSnapshot) -> RiskArray:
    scenarios = known(method_named(METHOD.name).scenarios(market, parameters), "set of scenarios of", METHOD.name)
    return risk_array(LISTED, market, scenarios)


CONTRACTS = tuple(parse_contract(name) for name in marks())
LISTED = Listed([*CONTRACTS, *(Asset(currency=Currency(name)) for name in CURRENCIES)])


PRICES = {contract.id: Price(float(price)) for contract, price in zip(CONTRACTS, marks().values(), strict=True)}


def _market(move: float) -> MarketSnapshot:
    index = {name: move * price for name, price in COINS.items()} | {"USDC": 1.0}
    expiries = [START_NS + days * NANOSECONDS_PER_DAY + NANOSECONDS_PER_DAY // 3 for days in EXPIRIES.values()]
    forwards, surfaces = {}, {}
    for name in COINS:
        spot, coin = index[name], Currency(name)
        forwards[coin] = ForwardCurve(
            spot=spot, time_ns=START_NS, expiries_ns=tuple(expiries), forwards=(spot,) * len(expiries)
        )
        strikes, vols = (0.8 * spot, spot, 1.2 * spot), (0.7, 0.6, 0.65)
        smiles = tuple(Smile(expiry_ns=when, forward=spot, strikes=strikes, vols=vols) for when in expiries)
        surfaces[coin] = VolSurface(time_ns=START_NS, smiles=smiles)
    return MarketSnapshot(
        time_ns=START_NS,
        index={Currency(name): Price(price) for name, price in index.items()},
        marks=PRICES,
        forwards=forwards,
        surfaces=surfaces,
    )


def _books(n_accounts: int, grid: GridColumns) -> tuple[CoinSlices, FloatArray]:
    """Return positions and cash; contracts follow the four assets in the order of ids."""
    rng = np.random.default_rng(SEED + 14)
    held = np.argsort(rng.random((n_accounts, len(CONTRACTS))), axis=1)[:, :POSITIONS]
    rows = np.sort(held, axis=1).ravel() + len(CURRENCIES)
    indptr = np.arange(n_accounts + 1) * POSITIONS
    cash = np.zeros((n_accounts, len(CURRENCIES)))
    cash[:, CURRENCIES.index("USDC")] = 1e7
    quantities = rng.integers(-500, 500, rows.size) / 100.0 + 0.005
    return coin_slices(grid.coin, grid.index_price.size, indptr, rows, quantities), cash
