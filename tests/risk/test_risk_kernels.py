"""Compiled measures equal the plain ones; the bits are the same with any registers and threads."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.methods import METHODS
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.pricing.kernels import ExpiryScenarios, OptionTerms, option_profits
from crossmargin.risk.kernels import portfolio_tails, tail_shape
from crossmargin.risk.measures import expected_shortfall, worst_loss
from crossmargin.risk.pretrade import (
    account_vector,
    add_trade,
    decide,
    shortfall_after_trade,
    worst_after_trade,
    worst_after_trades,
)
from crossmargin.risk.risk_array import risk_array


@given(
    seed=st.integers(0, 2**32),
    n_scenarios=st.integers(1, 300),
    confidence=st.floats(0.001, 0.999),
    decimals=st.sampled_from([0, 1, 2, 12]),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e9]),
    shift=st.sampled_from([0.0, -5.0, 1e4]),
)
def test_tails_of_accounts_equal_the_sorted_ones(
    seed: int, n_scenarios: int, confidence: float, decimals: int, scale: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    pnl = scale * (np.round(rng.standard_t(3, (6, n_scenarios)), decimals) + shift)
    counts = rng.integers(0, 20, 15)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    rows, quantities = rng.integers(0, 6, indptr[-1]), rng.integers(-3, 4, indptr[-1]).astype(float)
    shortfall, worst = portfolio_tails(indptr, rows, quantities, pnl, confidence)
    for account in range(15):
        held = slice(indptr[account], indptr[account + 1])
        vector = quantities[held] @ pnl[rows[held]] if counts[account] else np.zeros(n_scenarios)
        gross = float(np.abs(quantities[held]) @ np.abs(pnl[rows[held]]).max(axis=1)) if counts[account] else 0.0
        assert shortfall[account] == pytest.approx(float(expected_shortfall(vector, confidence)), abs=1e-9 * gross)
        assert max(worst[account], 0.0) == pytest.approx(float(worst_loss(vector)), abs=1e-9 * gross)


def test_a_hand_worked_tail_counts_the_last_scenario_in_part() -> None:
    pnl = np.array([[-10.0, -9.0, -8.0, -4.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    one = (np.array([0, 1]), np.array([0]), np.ones(1))
    # two and a half of ten scenarios: (10 + 9 + 8/2) / 2.5
    assert portfolio_tails(*one, pnl, 0.75)[0][0] == pytest.approx(9.2, rel=1e-15)


def test_a_cached_vector_answers_as_the_whole_account_does() -> None:
    rng = np.random.default_rng(11)
    pnl = rng.standard_t(4, (40, 500))
    rows, quantities = np.arange(30), rng.normal(size=30)
    vector = account_vector(rows, quantities, pnl)
    after = quantities @ pnl[:30] + 0.7 * pnl[35]
    scratch = np.empty((2, 500))
    assert worst_after_trade(vector, pnl[35], 0.7) == pytest.approx(float(worst_loss(after)), rel=1e-12)
    shortfall = shortfall_after_trade(vector, pnl[35], 0.7, *tail_shape(500, 0.975), scratch)
    assert shortfall == pytest.approx(float(expected_shortfall(after, 0.975)), rel=1e-12)
    out = np.empty(2)
    worst_after_trades(vector[None, :], pnl, np.zeros(2, dtype=np.int64), np.array([35, 3]), np.array([0.7, 0.0]), out)
    assert out == pytest.approx([float(worst_loss(after)), float(worst_loss(quantities @ pnl[:30]))], rel=1e-12)
    add_trade(vector, pnl[35], 0.7)
    assert vector == pytest.approx(after, abs=1e-12)


def test_near_the_limit_the_canonical_figure_decides() -> None:
    assert decide(100.0, 101.0, 1e3, lambda: pytest.fail("not near"))
    assert not decide(102.0, 101.0, 1e3, lambda: pytest.fail("not near"))
    assert not decide(101.0 - 1e-7, 101.0, 1e3, lambda: 101.0 + 1e-7)
    assert decide(101.0 + 1e-7, 101.0, 1e3, lambda: 101.0 - 1e-7)


def fingerprint(threads: int) -> str:
    """Hash the risk array of random options, and the tails of random accounts; the inputs need no library function."""
    rng = np.random.default_rng(2026)
    count, n_scenarios = 61, 333
    forward = rng.uniform(50_000.0, 70_000.0, count)
    options = OptionTerms(
        expiry=np.repeat([0, 1], [30, 31]),
        forward=forward,
        strike=forward * rng.uniform(0.4, 2.5, count),
        vol=rng.uniform(0.2, 1.5, count),
        is_call=rng.random(count) < 0.5,
        scale=np.ones(count),
    )
    table = (2, n_scenarios)
    scenarios = ExpiryScenarios(
        years_now=np.array([0.25, 0.5]),
        years_later=np.array([0.22, 0.47]),
        moves=1.0 + 0.3 * rng.uniform(-1.0, 1.0, table),
        vol_factors=rng.uniform(0.5, 1.5, table),
        vol_floors=rng.uniform(0.0, 0.6, table),
        conversion=rng.uniform(0.9, 1.1, table),
        damping=np.ones(table),
    )
    pnl = option_profits(options, scenarios, threads=threads)
    indptr = np.arange(0, 701, 7)
    rows, quantities = rng.integers(0, count, 700), rng.uniform(-2.0, 2.0, 700)
    tails = portfolio_tails(indptr, rows, quantities, pnl, 0.9753, threads=threads)
    official = "".join(official_margins(threads))
    return hashlib.sha256(b"".join(array.tobytes() for array in (pnl, *tails)) + official.encode()).hexdigest()


def official_margins(threads: int) -> Iterator[str]:
    """Yield the bits of every requirement of the sample under our own scenario methods."""
    market, book = sample_market(), sample_book()
    for name in ("scenario_grid", "tail_risk"):
        method = METHODS[name]
        parameters = read_parameters(method)
        scenarios = method.scenarios(market, parameters)
        risk = risk_array(held_instruments(book), market, scenarios, threads=threads)
        for portfolio in book:
            required = account_requirement(portfolio, market, risk, method, parameters)
            yield required.initial.hex() + required.maintenance.hex()


TARGETS = {
    "AVX2 only": {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""},
    "AVX-512": {"NUMBA_CPU_NAME": "x86-64-v4", "NUMBA_CPU_FEATURES": "-prefer-256-bit"},
}


def has_avx512() -> bool:
    features = Path("/proc/cpuinfo")
    return features.exists() and "avx512dq" in features.read_text()


@pytest.mark.parametrize("target", TARGETS)
def test_margins_have_the_same_bits_with_any_registers_and_threads(target: str, tmp_path: Path) -> None:
    if target == "AVX-512" and not has_avx512():
        pytest.skip("this processor has no AVX-512")
    program = "import test_risk_kernels as t; print(t.fingerprint(1), t.fingerprint(2))"
    environment = {**os.environ, **TARGETS[target], "NUMBA_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    if target == "AVX2 only" and has_avx512():
        # numpy too, where the arithmetic around the kernels is its own
        environment["NPY_DISABLE_CPU_FEATURES"] = "X86_V4 AVX512_ICL AVX512_SPR"
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert set(ran.stdout.split()) == {fingerprint(1)}
