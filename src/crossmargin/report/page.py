"""The report: one self-contained HTML page that opens offline and prints. It shows numbers; it computes none."""

import datetime as dt
import json
import math
from typing import Any

import jinja2
import plotly.offline

from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Requirement
from crossmargin.margin.profile import AccountProfile
from crossmargin.report.study import Study
from crossmargin.report.table import requirement_record

LADDER = (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3)


def report_page(study: Study) -> str:
    """Return the HTML of the report on `study`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crossmargin.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"usd": _usd, "percent": _percent, "chance": _chance}
    accounts = sorted(_accounts(study), key=lambda account: account["order"])
    leading = [account for account in accounts if not account["refusal"]]
    return environment.get_template("report.html.j2").render(
        study=study,
        time=dt.datetime.fromtimestamp(study.market.time_ns / 1e9, tz=dt.UTC).strftime("%d %B %Y, %H:%M UTC"),
        accounts=accounts,
        totals={name: math.fsum(a["record"][name] for a in leading) for name in ("equity", "initial", "excess")},
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
        return {"reason": answer.reason}
    return {"reason": "", "initial": answer.initial, "excess": answer.excess}


def _ladder(profile: AccountProfile) -> list[dict[str, float]]:
    """Profit at the moves of `LADDER`, as they stand on the grid."""
    rows = []
    for move in LADDER:
        place = int(abs(profile.price_moves - move).argmin())
        rows.append({"move": move, "pnl": float(profile.flat_vol_pnl[place])})
    return rows


def _plots(profile: AccountProfile) -> dict[str, Any]:
    """Arrays for the pictures, in whole dollars."""
    return {
        "price": [round(100.0 * move, 1) for move in profile.price_moves.tolist()],
        "vol": [round(100.0 * move) for move in profile.vol_moves.tolist()],
        "pnl": profile.pnl.round().astype(int).tolist(),
        "excess": profile.excess.round().astype(int).tolist(),
        "cushion": profile.cushion.round().astype(int).tolist(),
        "line": profile.flat_vol_pnl.round().astype(int).tolist(),
        "initial": profile.initial.round().astype(int).tolist(),
        "maintenance": profile.maintenance.round().astype(int).tolist(),
    }


def _script(value: object) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _usd(value: float) -> str:
    return f"{value:,.0f}".replace("-", "−")


def _percent(share: float | None, digits: int = 1) -> str:
    return "∞" if share is None or not math.isfinite(share) else f"{100.0 * share:.{digits}f} %".replace("-", "−")


def _chance(share: float) -> str:
    return "below 0.01 %" if share < 1e-4 else _percent(share, 2)
