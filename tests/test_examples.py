"""The scripts of `examples/` run, and the answers of the Python API come in every form."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import crossmargin as cm
from crossmargin import client
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def book() -> tuple[Portfolio, ...]:
    return tuple(cm.sample_book())


@pytest.fixture(scope="module")
def market() -> MarketSnapshot:
    return cm.sample_market()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", path], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "straddle-seller" in done.stdout or "excess" in done.stdout
    assert len(EXAMPLES) >= 3


def test_every_answer_comes_as_frame_figure_and_html(book: tuple[Portfolio, ...], market: MarketSnapshot) -> None:
    answers = (
        cm.requirements(book, market),
        cm.explain(book, market, "straddle-seller"),
        cm.what_if(book, market, "straddle-seller", price=-0.1),
    )
    for answer in answers:
        frame = answer.to_polars()
        assert answer.to_pandas().shape == frame.shape
        assert answer.to_arrow().num_rows == frame.height > 0
        assert answer.figure().data
        assert answer._repr_html_().count("<table>") >= 1


def test_a_notebook_escapes_what_a_book_says(market: MarketSnapshot) -> None:
    result = cm.requirements([Portfolio(account="<script>")], market)
    assert "<script>" not in result._repr_html_()


def test_explain_sums_and_the_waterfall_ends_at_the_excess(book: tuple[Portfolio, ...], market: MarketSnapshot) -> None:
    explained = cm.explain(book, market, "covered-call")
    frame = explained.to_polars()
    for part in ("equity", "initial", "maintenance"):
        assert frame.filter(part=part)["amount"].sum() == pytest.approx(getattr(explained.requirement, part))
    (bars,) = explained.figure().data
    assert sum(bars.y[:-1]) == pytest.approx(bars.y[-1])


def test_closing_every_leg_is_scaling_by_nothing(book: tuple[Portfolio, ...], market: MarketSnapshot) -> None:
    account = next(portfolio for portfolio in book if portfolio.account == "straddle-seller")
    names = list(dict.fromkeys(position.instrument.id for position in account.positions))
    closed = cm.what_if(book, market, account.account, close=names)
    scaled = cm.what_if(book, market, account.account, scale=0.0)
    assert closed.after.equity == pytest.approx(scaled.after.equity)
    assert closed.after.initial == scaled.after.initial == 0.0
    half = cm.what_if(book, market, account.account, scale=dict.fromkeys(names, 0.5))
    assert half.after.initial == pytest.approx(cm.what_if(book, market, account.account, scale=0.5).after.initial)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"close": ["deribit:ETH-PERPETUAL"]}, "must be held"),
        ({"price": {"FOO": 0.1}}, "a coin must be in the market snapshot"),
        ({"add": {"nonsense": 1.0}}, "nonsense"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    book: tuple[Portfolio, ...], market: MarketSnapshot, change: dict[str, object], message: str
) -> None:
    with pytest.raises(cm.InputError, match=message):
        cm.what_if(book, market, "straddle-seller", **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("package", [cm, client], ids=["engine", "client"])
def test_every_public_name_is_there_when_it_is_asked_for(package: ModuleType) -> None:
    assert {name for names in package._MODULES.values() for name in names} == {*package.__all__} <= {*dir(package)}
    for name in package.__all__:
        assert getattr(package, name).__module__.startswith("crossmargin.")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing
