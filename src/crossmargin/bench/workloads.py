"""The workloads: revaluation, accounts, one account, checks before a trade."""

import importlib
import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from scipy.special import ndtr

from crossmargin.bench.workload import Workload, call_seconds, peak_memory_mb, seconds
from crossmargin.compilation import kernel
from crossmargin.margin.batch import Books, exceeding, passes_screen, screen_of, shortfalls
from crossmargin.pricing.black76 import black76
from crossmargin.pricing.implied_vol import implied_vol
from crossmargin.pricing.kernels import ExpiryScenarios, OptionTerms, aligned_rows, option_profits
from crossmargin.risk.kernels import least, tail_shape
from crossmargin.risk.pretrade import account_vector, shortfall_after_trade, worst_after_trade, worst_after_trades
from crossmargin.units import FloatArray

SEED = 20260115
CONFIDENCE = 0.975
YEARS = (1 / 365, 2 / 365, 7 / 365, 14 / 365, 30 / 365, 60 / 365, 90 / 365, 180 / 365, 270 / 365, 1.0)
PEER_NUMPY = "numpy + scipy ndtr, blocked"
PEER_QUANTLIB = "QuantLib blackFormula loop"
PEER_SPARSE = "scipy CSR + np.partition"


def option_book(count: int, seed: int = SEED) -> OptionTerms:
    """Return `count` options of one coin over ten expiries."""
    rng = np.random.default_rng(seed)
    expiry = np.arange(count) * len(YEARS) // count
    years = np.array(YEARS)[expiry]
    forward = 95_000.0 * np.exp(0.05 * years)
    return OptionTerms(
        expiry=expiry,
        forward=forward,
        strike=forward * np.exp((0.4 * np.sqrt(years) + 0.1) * rng.uniform(-1.0, 1.0, count)),
        vol=rng.uniform(0.4, 0.9, count),
        is_call=rng.random(count) < 0.5,
        scale=np.ones(count),
    )


def history(count: int, seed: int = SEED) -> tuple[FloatArray, FloatArray]:
    """Return price and vol factors of fat-tailed scenarios in which vols rise as prices fall."""
    rng = np.random.default_rng(seed + 1)
    price = 0.03 * rng.standard_t(4, count)
    vol = -1.0 * price + 0.06 * rng.standard_t(5, count)
    return np.exp(np.clip(price, -0.6, 0.6)), np.exp(np.clip(vol, -1.0, 1.0))


def grid() -> tuple[FloatArray, FloatArray]:
    """Return price and vol factors of a grid of 21 prices and 5 vols."""
    prices, vols = np.meshgrid(np.linspace(0.8, 1.2, 21), np.linspace(0.7, 1.5, 5), indexing="ij")
    return prices.ravel(), vols.ravel()


def moved(price: FloatArray, vol: FloatArray) -> ExpiryScenarios:
    """Return what the factors do to each expiry."""
    table = np.ones((len(YEARS), price.size))
    return ExpiryScenarios(
        years_now=np.array(YEARS),
        years_later=np.array(YEARS),
        moves=price * table,
        vol_factors=vol * table,
        vol_floors=0.0 * table,
        conversion=table,
        damping=table,
    )


def revalued(book: OptionTerms, price: FloatArray, vol: FloatArray, out: FloatArray, threads: int = 1) -> FloatArray:
    """Write the risk array of `book` to `out`."""
    return option_profits(book, moved(price, vol), out=out, threads=threads)


def revalued_by_numpy(book: OptionTerms, price: FloatArray, vol: FloatArray, out: FloatArray) -> FloatArray:
    """Write the risk array by broadcasting, some 8,000 cells at a time so that it stays in the cache."""
    log_price, roots = np.log(price), np.sqrt(YEARS)
    block = max(8_000 // price.size, 1)
    for start in range(0, book.forward.size, block):
        part = slice(start, start + block)
        forward, strike = book.forward[part, None], book.strike[part, None]
        base = book.vol[part, None] * roots[book.expiry[part], None]
        sign = np.where(book.is_call[part, None], 1.0, -1.0)
        log_moneyness = np.log(forward / strike)
        out[part] = _numpy_prices(forward * price, strike, log_moneyness + log_price, base * vol, sign)
        out[part] -= _numpy_prices(forward, strike, log_moneyness, base, sign)
    return out


def _numpy_prices(
    forward: FloatArray, strike: FloatArray, log_moneyness: FloatArray, deviation: FloatArray, sign: FloatArray
) -> FloatArray:
    d1 = log_moneyness / deviation + 0.5 * deviation
    return np.asarray(sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation))))


def revaluation() -> Workload:
    """Revalue 1,000 options in 1,000 scenarios on one thread."""
    book, (price, vol) = option_book(1_000), history(1_000)
    ours, theirs = aligned_rows(1_000, 1_000), np.empty((1_000, 1_000))
    fast, plain = seconds(
        lambda: revalued(book, price, vol, ours), lambda: revalued_by_numpy(book, price, vol, theirs), rounds=10
    )
    cells = 1e-6 * ours.size
    peers = {PEER_NUMPY: cells / plain}
    if importlib.util.find_spec("QuantLib"):
        peers[PEER_QUANTLIB] = _quantlib_million_cells(book, price, vol)
    (two,) = seconds(lambda: revalued(book, price, vol, ours, threads=2), rounds=10, wall=True)
    return Workload(
        name="revaluation",
        title="1,000 options x 1,000 scenarios, one thread",
        unit="million cells/s",
        ours=cells / fast,
        peers=peers,
        floor={PEER_NUMPY: 10.0, PEER_QUANTLIB: 200.0},
        notes={
            "two threads, million cells/s": cells / two,
            "largest difference, USD": float(np.abs(ours - theirs).max()),
        },
    )


def _quantlib_million_cells(book: OptionTerms, price: FloatArray, vol: FloatArray) -> float:
    import QuantLib

    moves, vols, some = price[:250].tolist(), vol[:250].tolist(), slice(400, 420)
    strikes, forwards, base = book.strike[some].tolist(), book.forward[some].tolist(), book.vol[some].tolist()
    root, call, formula = math.sqrt(YEARS[book.expiry[400]]), QuantLib.Option.Call, QuantLib.blackFormula

    def loop() -> None:
        for strike, forward, sigma in zip(strikes, forwards, base, strict=True):
            for move, factor in zip(moves, vols, strict=True):
                formula(call, strike, forward * move, sigma * factor * root)

    (taken,) = seconds(loop, rounds=5)
    return 1e-6 * 20 * 250 / taken


def _accounts(count: int, held: int, instruments: int) -> Books:
    rng = np.random.default_rng(SEED + 2)
    rows = np.sort(rng.integers(0, instruments, (count, held)), axis=1).ravel()
    return Books(indptr=np.arange(0, count * held + 1, held), rows=rows, quantities=rng.normal(size=count * held))


def _option_array() -> FloatArray:
    price, vol = history(1_000)
    return revalued(option_book(1_000), price, vol, aligned_rows(1_000, 1_000))


def accounts() -> Workload:
    """Measure the expected shortfall of 10,000 accounts."""
    pnl, books = _option_array(), _accounts(10_000, 50, 1_000)
    matrix: Any = scipy.sparse.csr_matrix((books.quantities, books.rows, books.indptr), shape=(books.size, 1_000))
    whole = int((1.0 - CONFIDENCE) * 1_000)

    def peer() -> FloatArray:
        out = np.empty(books.size)
        # blocks keep the product in the cache: the fairest form of the peer
        for start in range(0, books.size, 500):
            block = matrix[start : start + 500] @ pnl
            block.partition(whole - 1, axis=1)
            out[start : start + 500] = -block[:, :whole].mean(axis=1)
        return out

    ours, theirs = seconds(lambda: shortfalls(books, pnl, CONFIDENCE), peer)
    two, wall = seconds(lambda: shortfalls(books, pnl, CONFIDENCE, threads=2), peer, wall=True)
    difference = np.abs(shortfalls(books, pnl, CONFIDENCE)[0] / peer() - 1.0).max()
    return Workload(
        name="accounts",
        title="10,000 accounts x 50 positions x 1,000 scenarios to ES, float64, one thread",
        unit="accounts/s",
        ours=books.size / ours,
        peers={PEER_SPARSE: books.size / theirs},
        floor={PEER_SPARSE: 1.7},
        notes={
            "two threads, accounts/s": books.size / two,
            "two threads over the peer": wall / two,
            "largest relative difference": float(difference),
            "peak MB of 1,000,000 accounts x 20 positions": _million_accounts_mb(),
        },
    )


def _million_accounts_mb() -> float:
    """Peak memory of a process of its own that measures a million accounts, MB."""
    program = "from crossmargin.bench.workloads import million; print(million())"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    return float(ran.stdout)


def million() -> float:
    """Measure 1,000,000 accounts of 20 positions on 105 scenarios; return the peak memory in MB."""
    price, vol = grid()
    pnl = revalued(option_book(1_000), price, vol, aligned_rows(1_000, price.size))
    shortfalls(_accounts(1_000_000, 20, 1_000), pnl, CONFIDENCE)
    return peak_memory_mb()


def accounts_screened() -> Workload:
    """Find the accounts above their equity, where 2 % are and 5 % are within 10 % of it."""
    pnl, books = _option_array(), _accounts(10_000, 50, 1_000)
    official = shortfalls(books, pnl, CONFIDENCE)[0]
    rng = np.random.default_rng(SEED + 3)
    drawn = rng.random(books.size)
    cushion = np.exp(rng.uniform(math.log(1.1), math.log(4.0), books.size))
    cushion = np.where(drawn < 0.07, rng.uniform(1.0, 1.1, books.size), cushion)
    equity = official * np.where(drawn < 0.02, rng.uniform(0.5, 0.9, books.size), cushion)
    screen = screen_of(pnl, CONFIDENCE)
    ours, full = seconds(lambda: exceeding(books, pnl, screen, equity), lambda: shortfalls(books, pnl, CONFIDENCE))
    # alone: the decomposition leaves threads spinning, which would be charged to whatever runs next
    (setup,) = seconds(lambda: screen_of(pnl, CONFIDENCE))
    passed = passes_screen(books, screen, equity)
    return Workload(
        name="accounts_screened",
        title="the same accounts against their equity, screened with a proven bound",
        unit="accounts/s",
        ours=books.size / ours,
        peers={"unscreened": books.size / full},
        floor={"unscreened": 5.0},
        notes={
            "share computed in full": float(1.0 - passed.mean()),
            "false passes": float((passed & (official > equity)).sum()),
            "ms to build the screen, once per risk array": 1e3 * setup,
            "speed-up with the screen built anew": full / (ours + setup),
        },
    )


def account_full() -> Workload:
    """Margin one account of 200 options by full revaluation on a grid of 105 points, which is prepared once."""
    book, (price, vol) = option_book(200), grid()
    quantities = np.random.default_rng(SEED + 4).normal(size=200)
    ours, theirs = aligned_rows(200, 105), np.empty((200, 105))
    scenarios, rows = moved(price, vol), np.arange(200)

    def fast() -> float:
        option_profits(book, scenarios, out=ours)
        return -float(least(account_vector(rows, quantities, ours)))

    def plain() -> float:
        return float(-(quantities @ revalued_by_numpy(book, price, vol, theirs)).min())

    mine, peer = call_seconds(fast, plain, calls=100)
    return Workload(
        name="account_full",
        title="one account, 200 options x 105 scenarios, revalued in full, to the worst loss",
        unit="us",
        ours=1e6 * mine,
        peers={"numpy": 1e6 * peer},
        floor={"numpy": 8.0},
        higher_is_better=False,
        notes={"relative difference": abs(fast() / plain() - 1.0)},
    )


@kernel
def _nothing(_vector: FloatArray, _row: FloatArray, quantity: float) -> float:
    return quantity


@kernel
def _nothing_with_a_tail(
    _vector: FloatArray,
    _row: FloatArray,
    quantity: float,
    _tail: float,
    _whole: int,
    _normal: float,
    _scratch: FloatArray,
) -> float:
    return quantity


def pretrade_worst() -> Workload:
    """Check one trade against the worst of 105 scenarios, on a cached account vector."""
    vector, row = np.random.default_rng(SEED + 5).standard_t(4, (2, 105))
    ours, empty, peer = call_seconds(
        lambda: worst_after_trade(vector, row, 0.5),
        lambda: _nothing(vector, row, 0.5),
        lambda: -(vector + 0.5 * row).min(),
    )
    return Workload(
        name="pretrade_worst",
        title="one check on a cached account, worst of 105 scenarios, above an empty call",
        unit="us above an empty call",
        ours=1e6 * (ours - empty),
        peers={},
        floor={"ours": 0.5},
        higher_is_better=False,
        notes={"us with the call": 1e6 * ours, "us of an empty call": 1e6 * empty, "numpy, us": 1e6 * peer},
    )


def pretrade_tail() -> Workload:
    """Check one trade against the expected shortfall over 1,000 scenarios, on a cached account vector."""
    vector, row = np.random.default_rng(SEED + 6).standard_t(4, (2, 1_000))
    shape, scratch = tail_shape(1_000, CONFIDENCE), np.empty((2, 1_000))
    ours, empty, peer = call_seconds(
        lambda: shortfall_after_trade(vector, row, 0.5, *shape, scratch),
        lambda: _nothing_with_a_tail(vector, row, 0.5, *shape, scratch),
        lambda: -np.partition(vector + 0.5 * row, 24)[:25].mean(),
    )
    return Workload(
        name="pretrade_tail",
        title="one check on a cached account, ES over 1,000 scenarios, above an empty call",
        unit="us above an empty call",
        ours=1e6 * (ours - empty),
        peers={},
        floor={"ours": 1.5},
        higher_is_better=False,
        notes={"us with the call": 1e6 * ours, "us of an empty call": 1e6 * empty, "numpy, us": 1e6 * peer},
    )


def pretrade_batch() -> Workload:
    """Check 10,000 trades in one call."""
    rng = np.random.default_rng(SEED + 7)
    vectors, pnl = rng.standard_t(4, (200, 105)), rng.standard_t(4, (1_000, 105))
    who, what, sizes = rng.integers(0, 200, 10_000), rng.integers(0, 1_000, 10_000), rng.normal(size=10_000)
    out = np.empty(10_000)
    ours, peer = seconds(
        lambda: worst_after_trades(vectors, pnl, who, what, sizes, out),
        lambda: -(vectors[who] + sizes[:, None] * pnl[what]).min(axis=1),
        rounds=50,
    )
    return Workload(
        name="pretrade_batch",
        title="10,000 checks in one call, worst of 105 scenarios",
        unit="million checks/s",
        ours=0.01 / ours,
        peers={"numpy": 0.01 / peer},
        floor={"ours": 10.0},
    )


def implied_vols() -> Workload:
    """Find the vols of 100,000 option prices."""
    rng = np.random.default_rng(SEED + 8)
    forward, strike = np.full(100_000, 95_000.0), 95_000.0 * np.exp(rng.uniform(-1.0, 1.0, 100_000))
    years, vol = rng.uniform(0.01, 1.0, 100_000), rng.uniform(0.3, 1.5, 100_000)
    is_call = strike >= forward
    price = black76(forward, strike, years, vol, is_call)
    (ours,) = seconds(lambda: implied_vol(price, forward, strike, years, is_call))
    peers = {}
    if importlib.util.find_spec("py_vollib"):
        implied_volatility = importlib.import_module("py_vollib.black.implied_volatility").implied_volatility
        some = list(
            zip(
                price[:500].tolist(),
                forward[:500].tolist(),
                strike[:500].tolist(),
                years[:500].tolist(),
                np.where(is_call[:500], "c", "p").tolist(),
                strict=True,
            )
        )
        (theirs,) = seconds(lambda: [implied_volatility(p, f, k, 0.0, t, side) for p, f, k, t, side in some])
        peers["py_vollib loop"] = 1e-6 * len(some) / theirs
    found = implied_vol(price, forward, strike, years, is_call)
    told = price > 1e-9 * forward
    return Workload(
        name="implied_vols",
        title="vols of 100,000 option prices, one thread",
        unit="million vols/s",
        ours=1e-6 * price.size / ours,
        peers=peers,
        floor={"ours": 0.5},
        notes={"largest relative error": float(np.abs(found.vol[told] / vol[told] - 1.0).max())},
    )


WORKLOADS: dict[str, Callable[[], Workload]] = {
    work.__name__: work
    for work in (
        revaluation,
        accounts,
        accounts_screened,
        account_full,
        pretrade_worst,
        pretrade_tail,
        pretrade_batch,
        implied_vols,
    )
}
"""Every workload by name, in the order in which they run."""
