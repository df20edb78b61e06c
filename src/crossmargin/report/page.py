"""The report: one self-contained HTML page that opens offline and prints. It shows numbers; it computes none."""

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
import plotly.offline

from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import OWN_METHODS
from crossmargin.margin.profile import AccountProfile
from crossmargin.report.study import Study
from crossmargin.report.table import requirement_record
from crossmargin.units import FloatArray

LADDER = (-0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3)


def report_page(study: Study) -> str:
    """Return the HTML of the report on `study`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crossmargin.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "usd": _usd,
        "percent": _percent,
        "chance": _chance,
        "coins": _coins,
        "signed": _signed,
        "contracts": _contracts,
    }
    accounts = sorted(_accounts(study), key=lambda account: account["order"])
    leading = [account for account in accounts if not account["refusal"]]
    return environment.get_template("report.html.j2").render(
        study=study,
        time=dt.datetime.fromtimestamp(study.market.time_ns / 1e9, tz=dt.UTC).strftime("%d %B %Y, %H:%M UTC"),
        accounts=accounts,
        totals={name: math.fsum(a["record"][name] for a in leading) for name in ("equity", "initial", "excess")},
        refused=_refused(accounts),
        methods=[*(n for n in study.answers if n in OWN_METHODS), *(n for n in study.answers if n not in OWN_METHODS)],
        at_risk=sum(a["state"] == "liquidation" for a in leading),
        plots=_script({a["record"]["account"]: _plots(a["profile"]) for a in leading if a["profile"]}),
        plotly=plotly.offline.get_plotlyjs(),
    )


def _accounts(study: Study) -> list[dict[str, Any]]:
    found = []
    for place, portfolio in enumerate(study.portfolios):
        answer = study.answers[study.method][place]
        beside = {name: _beside(answers[place]) for name, answers in study.answers.items()}
        profile = study.profiles[place]
        found.append(
            {
                "portfolio": portfolio,
                "refusal": answer.reason if isinstance(answer, Refusal) else "",
                "record": {"account": portfolio.account} if isinstance(answer, Refusal) else requirement_record(answer),
                "state": "refused" if isinstance(answer, Refusal) else state(answer),
                "usage": 0.0 if isinstance(answer, Refusal) else answer.margin_usage,
                "order": 0.0 if isinstance(answer, Refusal) else -answer.margin_usage,
                "profile": profile,
                "beside": beside,
                "ladder": _ladder(profile) if profile else [],
            }
        )
    return found


def state(answer: Requirement) -> str:
    """Return ``liquidation``, ``deficit`` or ``good``: what the account may still do."""
    if answer.equity < answer.maintenance:
        return "liquidation"
    return "deficit" if answer.excess < 0.0 else "good"


def _beside(answer: Requirement | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"reason": answer.reason, "initial": math.inf}
    return {
        "reason": "",
        "initial": answer.initial,
        "maintenance": answer.maintenance,
        "excess": answer.excess,
        "state": state(answer),
    }


def _refused(accounts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Reasons for which methods refuse accounts, the same reason said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for account in accounts:
        for name, cell in account["beside"].items():
            if cell["reason"]:
                found.setdefault((name, cell["reason"]), []).append(account["record"]["account"])
    return [{"method": name, "reason": reason, "accounts": who} for (name, reason), who in sorted(found.items())]


def _ladder(profile: AccountProfile) -> list[dict[str, float]]:
    """Profit, slope, requirement and excess at the moves of `LADDER`, as they stand on the grid."""
    slopes = np.gradient(profile.flat_vol_pnl, profile.price_moves)
    rows = []
    for move in LADDER:
        place = int(abs(profile.price_moves - move).argmin())
        rows.append(
            {
                "move": move,
                "pnl": float(profile.flat_vol_pnl[place]),
                "delta": float(slopes[place]),
                "initial": float(profile.initial[place]),
                "excess": float(profile.flat_vol_excess[place]),
            }
        )
    return rows


def _plots(profile: AccountProfile) -> dict[str, Any]:
    """Arrays for the pictures, in whole dollars."""
    return {
        "price": [round(100.0 * move, 1) for move in profile.price_moves.tolist()],
        "vol": [round(100.0 * move) for move in profile.vol_moves.tolist()],
        "pnl": _whole(profile.pnl),
        "coins": {coin: _whole(pnl) for coin, pnl in profile.pnl_by_coin} if len(profile.pnl_by_coin) > 1 else {},
        "excess": _whole(profile.excess),
        "cushion": _whole(profile.cushion),
        "line": _whole(profile.flat_vol_pnl),
        "initial": _whole(profile.initial),
        "maintenance": _whole(profile.maintenance),
    }


def _whole(dollars: FloatArray) -> list[Any]:
    found: list[Any] = dollars.round().astype(int).tolist()
    return found


def _script(value: object) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _usd(value: float) -> str:
    return f"{round(value):,}".replace("-", "−")  # an integer has no negative zero


def _signed(move: float) -> str:
    return f"{100.0 * move:+.0f} %".replace("-", "−")


def _contracts(quantity: float) -> str:
    return f"{quantity:+,.10g}".replace("-", "−")


def _coins(amount: float) -> str:
    return f"{amount:,.4g}".replace("-", "−") if abs(amount) < 1000.0 else _usd(amount)


def _percent(share: float | None, digits: int = 1) -> str:
    return "∞" if share is None or not math.isfinite(share) else f"{100.0 * share:.{digits}f} %".replace("-", "−")


def _chance(share: float) -> str:
    return "below 0.01 %" if share < 1e-4 else _percent(share, 2)
