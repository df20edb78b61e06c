"""SVI and SSVI against published numbers, and fits of real chains."""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import crossmargin as cm
from crossmargin import InputError
from crossmargin.market.svi import (
    JumpWings,
    PowerLawSsvi,
    Svi,
    calendar_excess,
    from_jump_wings,
    to_jump_wings,
)
from crossmargin.market.vol_surface import Smile, SviSmile, VolSurface
from crossmargin.pricing.surface import closed_form_repair, fit_surface, fit_svi, repaired
from crossmargin.units import NANOSECONDS_PER_DAY, years_between

# Axel Vogt's smile: Gatheral & Jacquier 2014, examples 3.1 and 5.1
VOGT = Svi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)


def wings_of(values: dict[str, float]) -> JumpWings:
    return JumpWings(
        years=1.0,
        v=values["v"],
        psi=values["psi"],
        p=values["p"],
        c=values.get("c", 1.3),
        v_least=values.get("vtilde", 0.01),
    )


def test_vogts_smile_in_jump_wings_and_back() -> None:
    wings = to_jump_wings(VOGT, 1.0)
    found = (wings.v, wings.psi, wings.p, wings.c, wings.v_least)
    assert found == pytest.approx((0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249), abs=1e-6)
    back = from_jump_wings(wings)
    for name in ("a", "b", "rho", "m", "sigma"):
        assert getattr(back, name) == pytest.approx(getattr(VOGT, name), rel=1e-9)


def test_vogts_smile_holds_butterfly_arbitrage_and_its_repairs_do_not() -> None:
    assert VOGT.least_density_factor == pytest.approx(-0.0328636, abs=5e-5)
    closed = from_jump_wings(closed_form_repair(to_jump_wings(VOGT, 1.0)))
    best = repaired(VOGT, 1.0)
    assert closed.free_of_butterflies
    assert best.free_of_butterflies
    k = np.linspace(-1.5, 1.5, 121)
    error = [float(np.mean((svi.total_variance(k) - VOGT.total_variance(k)) ** 2)) for svi in (closed, best)]
    assert error[1] < 0.2 * error[0]  # the optimised repair stays far nearer


def test_published_values(shared: Path, record_property: Callable[[str, object], None]) -> None:
    cases = {case["id"]: case for case in json.loads((shared / "design" / "science_values.json").read_text())}
    record_property("outside_cases", 7)
    jw = cases["svi_vogt_jw"]
    vogt = Svi(**{name: jw["inputs"][name] for name in ("a", "b", "rho", "m", "sigma")})
    wings = to_jump_wings(vogt, jw["inputs"]["t"])
    assert [wings.v, wings.psi, wings.p, wings.c, wings.v_least] == pytest.approx(jw["expected"], abs=1e-6)
    arb = cases["svi_vogt_arb"]["expected"]
    k = np.linspace(0.3, 1.6, 260_001)
    g = vogt.density_factor(k)
    negative = k[g < 0.0]
    found = (g.min(), k[g.argmin()], negative[0], negative[-1])
    assert found == pytest.approx((arb["min_g"], arb["argmin"], arb["neg_lo"], arb["neg_hi"]), abs=5e-5)
    case = cases["svi_repair_closed_form"]
    closed = closed_form_repair(wings_of(case["inputs"]))
    assert (closed.c, closed.v_least) == pytest.approx((case["expected"]["c"], case["expected"]["vtilde"]), abs=1e-6)
    case = cases["svi_optimal_repair"]
    best = from_jump_wings(wings_of(case["inputs"]))
    w = best.total_variance(np.array([-1.5, 0.4]))
    assert w == pytest.approx([case["expected"]["w_m1_5"], case["expected"]["w_0_4"]], abs=1e-6)
    assert best.least_density_factor == pytest.approx(case["expected"]["min_g"], abs=1e-6)
    case = cases["svi_tff_variance"]
    given = {name: case["inputs"][name] for name in ("a", "b", "rho", "m", "sigma")}
    w = Svi(**given).total_variance(np.log(np.linspace(4.0, 16.0, 10) / case["inputs"]["F"]))
    assert w == pytest.approx(case["expected"], abs=1e-8)
    case = cases["ssvi_powerlaw_grid"]
    edge, bad = case["inputs"]["eta_edge"], case["inputs"]["eta_bad"]
    assert ssvi_clean(-0.7, edge, 0.4) is case["expected"]["edge"]
    assert ssvi_clean(-0.7, bad, 0.4) is case["expected"]["violating"]
    bounds = cases["ssvi_conditions"]["expected"]
    for rho in (-0.9, -0.3, 0.0, 0.6):  # eta (1 + |rho|) <= 2 is what makes theta phi^2 (1 + |rho|) <= 4 at gamma = 1/2
        at_limit = PowerLawSsvi(rho=rho, eta=bounds["powerlaw"] / (1 + abs(rho)), gamma=0.5)
        theta = np.geomspace(1e-6, 100.0, 200)
        assert at_limit.free_of_arbitrage(theta)
        second = theta * at_limit.phi(theta) ** 2 * (1 + abs(rho))
        assert second.max() <= bounds["c2"]
        assert not PowerLawSsvi(rho=rho, eta=2 * at_limit.eta, gamma=0.5).free_of_arbitrage(theta)


def ssvi_clean(rho: float, eta: float, gamma: float) -> bool:
    surface = PowerLawSsvi(rho=rho, eta=eta, gamma=gamma)
    return all(surface.slice(theta).free_of_butterflies for theta in np.geomspace(1e-4, 4.0, 40))


def test_ssvi_slices_of_rising_theta_do_not_cross() -> None:
    surface = PowerLawSsvi(rho=-0.4, eta=1.2, gamma=0.45)
    slices = [surface.slice(theta) for theta in np.geomspace(1e-3, 2.0, 30)]
    assert max(calendar_excess(near, far) for near, far in itertools.pairwise(slices)) <= 0.0


def test_a_fit_finds_the_slice_that_made_the_quotes() -> None:
    truth = Svi(a=0.01, b=0.08, rho=-0.35, m=0.02, sigma=0.15)
    k = np.linspace(-0.6, 0.6, 25)
    found = fit_svi(k, truth.total_variance(k), np.ones(k.size))
    np.testing.assert_allclose(found.total_variance(k), truth.total_variance(k), rtol=1e-5)


def surface_of(svis: list[Svi], days: list[int], widths: Sequence[float] = (1.2, 1.2)) -> VolSurface:
    """Quotes of `svis` at 41 strikes as far from the money as `widths` in log-moneyness."""
    smiles = []
    for svi, day, width in zip(svis, days, widths, strict=True):
        k = np.linspace(-width, width, 41)
        strikes, vols = tuple(100.0 * np.exp(k)), tuple(np.sqrt(svi.total_variance(k) / (day / 365)))
        smiles.append(Smile(expiry_ns=day * NANOSECONDS_PER_DAY, forward=100.0, strikes=strikes, vols=vols))
    return VolSurface(time_ns=0, smiles=tuple(smiles))


def test_quotes_with_arbitrage_come_out_without() -> None:
    fit = fit_surface(surface_of([VOGT, VOGT], [300, 365]))
    assert_clean(fit.surface)
    assert all(each.repair for each in fit.slices)
    inverted = [Svi(a=0.09, b=0.1, rho=0.0, m=0.0, sigma=0.2), Svi(a=0.04, b=0.1, rho=0.0, m=0.0, sigma=0.2)]
    fit = fit_surface(surface_of(inverted, [30, 60]))
    assert_clean(fit.surface)
    assert fit.slices[0].repair in ("calendar", "ssvi")
    with pytest.raises(InputError, match="must be quoted"):
        fit_surface(fit.surface)


def test_expiries_quoted_near_the_money_leave_room_for_wings_two_expiries_before() -> None:
    """Their quotes do not fix their wings, those of the widely quoted expiry do: a calendar spread must not be free."""
    wide = Svi(a=0.001, b=0.06, rho=-0.3, m=0.0, sigma=0.08)  # 8 days, quoted from 30 to 330 % of the forward
    narrow = Svi(a=0.006, b=0.05, rho=-0.3, m=0.0, sigma=0.12)
    narrowest = Svi(a=0.012, b=0.045, rho=-0.3, m=0.0, sigma=0.15)
    quoted = [wide, narrow, narrowest]
    assert all(calendar_excess(near, far) > 0.0 for near, far in itertools.pairwise(quoted))
    fit = fit_surface(surface_of(quoted, [8, 15, 22], [1.2, 0.2, 0.2]))
    assert_clean(fit.surface)
    assert max(each.weighted_rmse for each in fit.slices) < 0.01  # 0.025 where expiries only look to their neighbour


def assert_clean(surface: VolSurface) -> None:
    assert surface.is_fitted
    slices = [smile.svi for smile in surface.smiles if isinstance(smile, SviSmile)]
    assert len(slices) == len(surface.smiles)
    assert all(svi.free_of_butterflies for svi in slices)
    assert all(calendar_excess(near, far) <= 0.0 for near, far in itertools.pairwise(slices))


@pytest.mark.parametrize("day", ["2026-01-15", "2026-06-30"])
def test_real_chains_are_fitted_within_two_vol_points(
    shared: Path, day: str, record_property: Callable[[str, object], None]
) -> None:
    fit_day(shared, day, record_property)


@pytest.mark.soak
def test_every_real_chain_day_is_fitted(shared: Path, record_property: Callable[[str, object], None]) -> None:
    times = pl.read_parquet(shared / "data" / "option_chains_daily.parquet", columns=["snapshot_ts"])["snapshot_ts"]
    for time in sorted(times.dt.date().unique()):
        fit_day(shared, time.isoformat(), record_property)


def fit_day(shared: Path, day: str, record_property: Callable[[str, object], None]) -> None:
    market = cm.read_market(shared / "data" / "option_chains_daily.parquet", day)
    assert not any(surface.is_fitted for surface in market.surfaces.values())
    for surface in market.surfaces.values():
        fit = fit_surface(surface)
        assert_clean(fit.surface)
        weeks = [each for each in fit.slices if each.expiry_ns > surface.time_ns + 7 * NANOSECONDS_PER_DAY]
        quoted = {smile.expiry_ns: smile for smile in surface.smiles if isinstance(smile, Smile)}
        for each in weeks:
            # a week before expiry some chains quote strikes ten deviations away, which no SVI slice fits
            if each.weighted_rmse >= 0.02:
                assert each.weighted_rmse < 1.25 * unconstrained_error(quoted[each.expiry_ns], surface.time_ns)
        record_property("outside_cases", len(fit.slices))


def unconstrained_error(smile: Smile, time_ns: int) -> float:
    """Error, weighted by vega, of the SVI slice nearest to the quotes, whatever arbitrage it holds."""
    years = years_between(time_ns, smile.expiry_ns)
    k, vols = np.log(np.array(smile.strikes) / smile.forward), np.array(smile.vols)
    deviation = vols * math.sqrt(years)
    weights = np.maximum(np.exp(-0.5 * np.minimum((0.5 * deviation - k / deviation) ** 2, 100.0)), 1e-3)
    found = fit_svi(k, vols**2 * years, weights)
    error = np.sqrt(found.total_variance(k) / years) - vols
    return float(np.sqrt(np.sum(weights * error**2) / weights.sum()))


def test_the_snapshot_says_that_its_surface_is_fitted_and_how_well(shared: Path) -> None:
    market = cm.read_market(shared / "data" / "option_chains_daily.parquet", "2026-01-15", surface="fitted")
    assert all(surface.is_fitted for surface in market.surfaces.values())
    assert sum(finding.rule == "fit error" for finding in market.findings) == 24
