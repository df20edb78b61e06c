"""Fit a vol surface: raw SVI per expiry, SSVI across expiries, and no arbitrage left.

Expiries are fitted from the farthest to the nearest by least squares on vols, weighted by vega, since the nearest quote
the wildest wings; each also pays for running below what nearer ones quote, since total variance may not fall. A slice
with arbitrage is replaced by the best of two that have none: its repair in jump wings, which starts from the closed
form of Gatheral & Jacquier (2014, section 5.1), and a fit in which ``g < 0`` and a total variance above the next
expiry's cost. Where neither is clean, the SSVI surface, clean by theorem, stands for all.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError, MarketDataError
from crossmargin.market.svi import (
    CHECK_MONEYNESS,
    JumpWings,
    PowerLawSsvi,
    Svi,
    calendar_excess,
    from_jump_wings,
    to_jump_wings,
)
from crossmargin.market.vol_surface import Smile, SviSmile, VolSurface
from crossmargin.units import FloatArray, years_between

_LEAST_QUOTES = 5
"""Raw SVI has five parameters; an expiry with fewer quotes follows the surface's SSVI slice."""
_COARSE = CHECK_MONEYNESS[::20]
"""Where a fit is kept clean; the finer grid judges it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFit:
    """How well one expiry is fitted, in vol (0.01 is one vol point).

    Attributes
    ----------
    rmse, weighted_rmse, worst
        Root mean square error over the quotes, the same weighted by vega, and the largest error.
    repair
        What arbitrage was removed: empty, "butterfly", "calendar"; "ssvi" where the surface as a whole gave way.
    """

    expiry_ns: int
    n_quotes: int
    rmse: float
    weighted_rmse: float
    worst: float
    repair: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceFit:
    """A fitted surface with the error of every expiry."""

    surface: VolSurface
    ssvi: PowerLawSsvi
    slices: tuple[SliceFit, ...]


@dataclass(frozen=True, slots=True)
class _Quotes:
    """One expiry's quotes as arrays of shape (n_quotes,)."""

    expiry_ns: int
    years: float
    k: FloatArray
    vols: FloatArray
    weights: FloatArray


def fit_surface(surface: VolSurface) -> SurfaceFit:
    """Return the arbitrage-free SVI surface nearest to the quoted `surface`, and its errors.

    Raises
    ------
    InputError
        If `surface` is fitted already.
    MarketDataError
        If it has no expiry in the future.
    """
    quotes = [_quotes(smile, surface.time_ns) for smile in surface.smiles]
    quotes = [each for each in quotes if each.years > 0.0]
    if not quotes:
        raise MarketDataError(f"a vol surface to be fitted must have an expiry after {surface.time_ns} ns, had none")
    ssvi, thetas = fit_ssvi(
        [each.k for each in quotes], [each.vols**2 * each.years for each in quotes], [each.weights for each in quotes]
    )
    slices, repairs = _slices(quotes, [ssvi.slice(float(theta)) for theta in thetas])
    smiles = tuple(
        SviSmile(expiry_ns=each.expiry_ns, forward=smile.forward, years=each.years, svi=svi)
        for each, svi, smile in zip(quotes, slices, _later(surface), strict=True)
    )
    fits = tuple(_errors(each, svi, why) for each, svi, why in zip(quotes, slices, repairs, strict=True))
    return SurfaceFit(surface=VolSurface(time_ns=surface.time_ns, smiles=smiles), ssvi=ssvi, slices=fits)


def fit_svi(
    k: FloatArray,
    total_variance: FloatArray,
    weights: FloatArray,
    *,
    clean: bool = False,
    below: Svi | None = None,
    above: tuple[FloatArray, FloatArray, FloatArray] | None = None,
) -> Svi:
    """Return the raw SVI slice nearest to `total_variance`, by weighted least squares on its square root.

    All arrays have shape (n_quotes,). With `clean`, ``g < 0`` costs, and so does a total variance above that of
    `below`; the result is nearly free of arbitrage. Without, it may hold any: see `repaired`. `above` has moneyness,
    total variance and weights of the quotes of nearer expiries, the weights of each adding up to one: to be under them
    costs what it will cost that expiry, which keeps the wings of an expiry with a few quotes near the money from
    running below those of one with many, be it the next or one after.
    """
    from scipy.optimize import least_squares  # slow to load, and seldom needed

    if k.size < _LEAST_QUOTES and not clean:
        raise InputError(f"raw SVI needs {_LEAST_QUOTES} quotes, had {k.size}")
    target, scale = np.sqrt(total_variance), np.sqrt(weights / weights.sum())
    near_k, near_w, near_weights = above or (np.empty(0), np.empty(0), np.empty(0))
    near_target, near_scale = np.sqrt(near_w), np.sqrt(near_weights)
    limit = None if below is None else np.sqrt(below.total_variance(_COARSE)) * (1.0 - 1e-4)
    width = max(float(np.ptp(k)), 1e-3)
    slope = max(float(np.ptp(total_variance)) / width, 1e-6)
    least = float(total_variance.min())

    def residuals(x: FloatArray) -> FloatArray:
        svi = _from_free(x)
        error = (np.sqrt(svi.total_variance(k)) - target) * scale
        if near_k.size:
            under = np.maximum(near_target - np.sqrt(svi.total_variance(near_k)), 0.0) * near_scale
            error = np.concatenate([error, under])
        if not clean:
            return np.asarray(error)
        wrong = [error, 0.1 * np.maximum(1e-3 - svi.density_factor(_COARSE), 0.0)]
        wrong.append(np.array([max(svi.b * (1.0 + abs(svi.rho)) - 1.99, 0.0)]))
        if limit is not None:
            wrong.append(np.maximum(np.sqrt(svi.total_variance(_COARSE)) - limit, 0.0))
        return np.concatenate(wrong)

    low = np.array([math.log(least) - 12.0, math.log(slope) - 8.0, -3.8, k.min() - width, math.log(width) - 7.0])
    high = np.array([math.log(total_variance.max()) + 1.0, math.log(2.0), 3.8, k.max() + width, math.log(width) + 2.0])
    results = []
    for lean in (-0.3, 0.3):
        at = float(k[np.argmin(total_variance)])
        start = np.array([math.log(0.9 * least), math.log(slope), lean, at, math.log(0.2 * width)])
        start = np.clip(start, low + 1e-6, high - 1e-6)
        results.append(least_squares(residuals, start, bounds=(low, high), x_scale=0.1, max_nfev=150))
    return _from_free(min(results, key=lambda result: float(result.cost)).x)


def _from_free(x: FloatArray) -> Svi:
    """SVI by parameters that are free to move: the vertex's variance, slope and width stay positive."""
    b, rho, sigma = math.exp(x[1]), math.tanh(x[2]), math.exp(x[4])
    return Svi(a=math.exp(x[0]) - b * sigma * math.sqrt(1.0 - rho**2), b=b, rho=rho, m=float(x[3]), sigma=sigma)


def fit_ssvi(
    k: list[FloatArray], total_variance: list[FloatArray], weights: list[FloatArray]
) -> tuple[PowerLawSsvi, FloatArray]:
    """Return the arbitrage-free power-law SSVI surface nearest to the quotes, and theta per expiry, non-decreasing.

    One array of shape (n_quotes,) per expiry, in order of time.
    """
    from scipy.optimize import least_squares  # slow to load, and seldom needed

    theta = np.maximum.accumulate([_at_the_money(x, w) for x, w in zip(k, total_variance, strict=True)])

    def parameters(x: FloatArray) -> PowerLawSsvi:
        rho = 0.999 * math.tanh(x[0])
        eta = 2.0 / (1.0 + abs(rho)) / (1.0 + math.exp(-x[1]))
        return PowerLawSsvi(rho=rho, eta=max(eta, 1e-6), gamma=max(0.5 / (1.0 + math.exp(-x[2])), 1e-6))

    def residuals(x: FloatArray) -> FloatArray:
        ssvi = parameters(x)
        parts = [
            (np.sqrt(ssvi.slice(float(at)).total_variance(x_k)) - np.sqrt(w)) * np.sqrt(v / v.sum())
            for at, x_k, w, v in zip(theta, k, total_variance, weights, strict=True)
        ]
        return np.concatenate(parts)

    bound = np.array([5.0, 12.0, 12.0])
    result = least_squares(residuals, np.array([-0.2, 0.0, 0.0]), bounds=(-bound, bound), max_nfev=200)
    return parameters(result.x), theta


def closed_form_repair(wings: JumpWings) -> JumpWings:
    """Return the arbitrage-free jump wings with the same variance, skew and put wing.

    ``c' = p + 2 psi``, ``v' = 4 v p c' / (p + c')^2`` (Gatheral & Jacquier 2014, section 5.1); a slant so steep that
    ``c'`` would not be positive is first limited.
    """
    c = max(wings.p + 2.0 * wings.psi, 1e-6)
    return dataclasses.replace(wings, c=c, v_least=4.0 * wings.v * wings.p * c / (wings.p + c) ** 2)


def repaired(svi: Svi, years: float) -> Svi:
    """Return the slice nearest to `svi` on the way from its closed-form repair that has no butterfly arbitrage.

    Call wing and least variance are chosen by least squares on total variance, subject to ``g >= 0``.
    """
    from scipy.optimize import minimize  # slow to load, and seldom needed

    wings = to_jump_wings(svi, years)
    safe = closed_form_repair(wings)
    k = np.linspace(-1.5, 1.5, 121)
    target, span = svi.total_variance(k), (wings.c - safe.c, wings.v_least - safe.v_least)

    def towards(x: FloatArray) -> Svi | None:
        moved = dataclasses.replace(
            safe, c=safe.c + float(x[0]) * span[0], v_least=safe.v_least + float(x[1]) * span[1]
        )
        try:
            return from_jump_wings(moved)
        except (InputError, ZeroDivisionError, OverflowError):
            return None

    def cost(x: FloatArray) -> float:
        moved = towards(x)
        if moved is None:
            return 1e6
        wrong = max(-moved.least_density_factor + 1e-9, 0.0) + max(moved.b * (1.0 + abs(moved.rho)) - 2.0, 0.0)
        return float(np.mean((moved.total_variance(k) - target) ** 2)) / float(np.mean(target**2)) + 1e3 * wrong

    grid = np.linspace(0.0, 1.0, 9)
    starts = sorted(((float(i), float(j)) for i in grid for j in grid), key=lambda x: cost(np.array(x)))
    result = minimize(cost, np.array(starts[0]), method="Nelder-Mead", options={"maxfev": 300, "xatol": 1e-5})
    for x in (result.x, np.array(starts[0]), np.zeros(2)):
        moved = towards(x)
        if moved is not None and moved.free_of_butterflies:
            return moved
    return from_jump_wings(safe)


def _slices(quotes: list[_Quotes], ssvi: list[Svi]) -> tuple[list[Svi], list[str]]:
    """One clean slice per expiry, chosen from the farthest to the nearest, and why each is not the plain fit."""
    slices: list[Svi] = []
    repairs: list[str] = []
    nearer = [quotes[:place] for place in range(len(quotes))]
    for each, near, fallback in zip(reversed(quotes), reversed(nearer), reversed(ssvi), strict=True):
        found = _slice(each, near, fallback, slices[0] if slices else None)
        if found is None:
            return ssvi, ["ssvi"] * len(ssvi)
        slices.insert(0, found[0])
        repairs.insert(0, found[1])
    return slices, repairs


def _slice(quotes: _Quotes, nearer: list[_Quotes], ssvi: Svi, below: Svi | None) -> tuple[Svi, str] | None:
    w = quotes.vols**2 * quotes.years
    above = _joined(nearer) if nearer else None
    repair = "too few quotes"
    candidates = [ssvi]
    if quotes.k.size >= _LEAST_QUOTES:
        svi = fit_svi(quotes.k, w, quotes.weights, above=above)
        if _is_clean(svi, below):
            return svi, ""
        repair = "calendar" if svi.free_of_butterflies else "butterfly"
        candidates += [repaired(svi, quotes.years)] if repair == "butterfly" else []
        candidates.append(fit_svi(quotes.k, w, quotes.weights, clean=True, below=below, above=above))
    pressed = [_pressed(candidate, below) for candidate in candidates]
    clean = [candidate for candidate in pressed if _is_clean(candidate, below)]
    if not clean:
        return None
    return min(clean, key=lambda svi: _errors(quotes, svi, repair).weighted_rmse), repair


def _joined(quotes: list[_Quotes]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Moneyness, total variance and weights of the quotes of several expiries, each of weight one."""
    k = np.concatenate([each.k for each in quotes])
    w = np.concatenate([each.vols**2 * each.years for each in quotes])
    return k, w, np.concatenate([each.weights / each.weights.sum() for each in quotes])


def _is_clean(svi: Svi, below: Svi | None) -> bool:
    return svi.free_of_butterflies and (below is None or calendar_excess(svi, below) <= 0.0)


def _pressed(svi: Svi, below: Svi | None) -> Svi:
    """`svi` scaled down until its total variance is nowhere above that of `below`."""
    if below is None or calendar_excess(svi, below) <= 0.0:
        return svi
    share = below.total_variance(CHECK_MONEYNESS) / np.maximum(svi.total_variance(CHECK_MONEYNESS), 1e-300)
    factor = max(float(share.min()), 0.0) * (1.0 - 1e-9)
    return dataclasses.replace(svi, a=svi.a * factor, b=svi.b * factor)


def _quotes(smile: Smile | SviSmile, time_ns: int) -> _Quotes:
    if isinstance(smile, SviSmile):
        raise InputError("a surface to be fitted must be quoted, was fitted")
    years = years_between(time_ns, smile.expiry_ns)
    k = np.log(np.array(smile.strikes) / smile.forward)
    vols = np.array(smile.vols)
    deviation = vols * math.sqrt(max(years, 0.0)) + 1e-300
    d1 = -k / deviation + 0.5 * deviation
    # vega, with a floor so that the wings still have a say
    weights = np.maximum(np.exp(-0.5 * np.minimum(d1**2, 100.0)), 1e-3)
    return _Quotes(smile.expiry_ns, years, k, vols, weights)


def _later(surface: VolSurface) -> list[Smile | SviSmile]:
    return [smile for smile in surface.smiles if smile.expiry_ns > surface.time_ns]


def _at_the_money(k: FloatArray, total_variance: FloatArray) -> float:
    order = np.argsort(k)
    return float(np.interp(0.0, k[order], total_variance[order]))


def _errors(quotes: _Quotes, svi: Svi, repair: str) -> SliceFit:
    error = np.sqrt(svi.total_variance(quotes.k) / quotes.years) - quotes.vols
    return SliceFit(
        expiry_ns=quotes.expiry_ns,
        n_quotes=quotes.k.size,
        rmse=float(np.sqrt(np.mean(error**2))),
        weighted_rmse=float(np.sqrt(np.sum(quotes.weights * error**2) / quotes.weights.sum())),
        worst=float(np.max(np.abs(error))),
        repair=repair,
    )
