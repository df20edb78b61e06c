"""The workloads state true figures in the promised shape."""

import json

import pytest

from crossmargin.bench.workload import Workload
from crossmargin.bench.workloads import WORKLOADS
from crossmargin.cli.bench import bench
from crossmargin.errors import InputError


def test_a_workload_prints_its_peers_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    bench("pretrade_batch", json=True)
    answer = json.loads(capsys.readouterr().out)
    (record,) = answer["workloads"]
    assert record["name"] == "pretrade_batch"
    assert record["ratios"]["numpy"] == pytest.approx(record["ours"] / record["peers"]["numpy"])
    assert answer["machine"]["cores"] >= 1


def test_the_workloads_have_the_promised_names() -> None:
    accounts = ["accounts", "accounts_screened", "account_full"]
    pretrade = ["pretrade_worst", "pretrade_tail", "pretrade_batch"]
    assert list(WORKLOADS)[:7] == ["revaluation", *accounts, *pretrade]


@pytest.mark.parametrize(("ours", "reached"), [(10.0, True), (5.0, False)])
def test_a_floor_is_a_ratio_over_the_peer(ours: float, reached: bool) -> None:
    work = Workload(name="w", title="", unit="x/s", ours=ours, peers={"peer": 2.0}, floor={"peer": 4.0})
    assert work.reached is reached


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(InputError, match="must be one of revaluation"):
        bench("nonsense")
