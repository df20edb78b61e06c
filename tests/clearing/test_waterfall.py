"""Layers pay in order, and exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.waterfall import Layer, Payer, capped_shares, draws
from crossmargin.errors import InputError

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
