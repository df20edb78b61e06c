"""Layers pay in order, and exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing import waterfall
from crossmargin.clearing.waterfall import Draw, Layer, Payer, capped_shares, draws
from crossmargin.errors import InputError, InvariantError

amounts = st.integers(0, 10**12)
layers = st.lists(
    st.builds(
        lambda name, haves, cap: Layer(name, tuple(Payer(f"p{i}", have) for i, have in enumerate(haves)), cap),
        st.text("abc", min_size=1, max_size=3),
        st.lists(amounts, max_size=5),
        st.none() | amounts,
    ),
    max_size=6,
)


@given(shortfall=amounts, layers=layers)
def test_draws_and_remainder_are_the_shortfall_and_a_layer_is_exhausted_before_the_next(shortfall, layers) -> None:
    paid, left = draws(shortfall, layers)
    assert sum(draw.amount for draw in paid) + left == shortfall
    reach = [
        min(sum(p.available for p in layer.payers), layer.cap if layer.cap is not None else 10**18) for layer in layers
    ]
    expected, need = [], shortfall
    for most in reach:
        expected.append(min(need, most))
        need -= expected[-1]
    assert left == need
    position = 0
    for layer, amount in zip(layers, expected, strict=True):
        mine = []
        while position < len(paid) and sum(mine) < amount:
            mine.append(paid[position].amount)
            position += 1
        assert sum(mine) == amount
        assert all(
            draw <= payer.available
            for draw, payer in zip(
                sorted(mine), sorted(layer.payers, key=lambda p: p.available)[-len(mine) :] if mine else [], strict=True
            )
        )


@given(total=amounts, rows=st.lists(st.tuples(st.integers(0, 100), amounts), max_size=8))
def test_shares_respect_caps_and_fill_up(total, rows) -> None:
    weights, caps = [w for w, _ in rows], [c for _, c in rows]
    parts = capped_shares(total, weights, caps)
    assert all(0 <= part <= cap for part, cap in zip(parts, caps, strict=True))
    assert sum(parts) == min(total, sum(cap for weight, cap in rows if weight))


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="shortfall"):
        draws(-1, [])
    with pytest.raises(InputError, match="payer"):
        Payer("x", -1)


def test_shares_at_the_edges() -> None:
    # a unit that is left is shared too; whoever has no weight gives nothing, whatever he has
    assert capped_shares(1, [1, 1], [5, 5]) == [1, 0]
    assert capped_shares(10, [0, 1], [100, 4]) == [0, 4]
    assert capped_shares(3, [1, 1, 1], [1, 1, 1]) == [1, 1, 1]
    assert capped_shares(2, [1, 5], [1, 1]) == [1, 1]
    assert capped_shares(0, [1], [1]) == [0]
    for weights, caps in (([1, 1], [1]), ([1], [1, 1])):
        with pytest.raises(ValueError, match="zip"):
            capped_shares(1, weights, caps)


def test_a_payer_may_weigh_nothing_but_not_less() -> None:
    assert Payer("a", 0, 0) == Payer("a", 0, weight=0)
    for available, weight in ((-1, None), (0, -1)):
        with pytest.raises(InputError, match="what a payer has must not be negative"):
            Payer("a", available, weight)


def test_a_cap_below_nothing_is_nothing() -> None:
    capped, open_ = Layer("capped", (Payer("a", 9),), cap=-5), Layer("open", (Payer("b", 9),))
    assert draws(3, [capped, open_]) == ((Draw("open", "b", 3),), 0)
    assert draws(3, [Layer("one", (Payer("a", 9),), cap=1), open_]) == ((Draw("one", "a", 1), Draw("open", "b", 2)), 0)
    assert draws(20, [open_]) == ((Draw("open", "b", 9),), 11)


def test_draws_that_do_not_add_up_are_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    # a layer whose shares add up to a unit less than it says
    monkeypatch.setattr(waterfall, "sum", lambda amounts: sum(amounts) + isinstance(amounts, list), raising=False)
    with pytest.raises(InvariantError, match="draws and remainder must be the shortfall"):
        draws(5, [Layer("a", (Payer("a", 9),))])
