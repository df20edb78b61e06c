"""What the operator decides: the engine's own parameters. They arrive as a command.

There is no field for one account: nobody is exempt.
"""

from decimal import Decimal

import msgspec

from crossmargin.clearing.interest import RateCurve
from crossmargin.errors import InputError
from crossmargin.units import NANOSECONDS_PER_SECOND

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

LAYERS = ("collateral", "contribution", "house", "insurance", "default fund", "assessment", "adl", "socialised")
"""Who pays a shortfall, in this order; a layer may be left out, none may be moved."""


class Breakers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds that halt the engine; None is off."""

    index_jump: float | None = None
    """Largest relative move of an index price in one update."""
    mark_index_gap: float | None = None
    """Largest relative distance of a mark from its index."""
    liquidated_notional: float | None = None
    """USD liquidated per window."""
    insurance_loss: Decimal | None = None
    """Drawn from the insurance fund per window."""
    window_ns: int = 10 * MINUTE_NS
    calm_ns: int = MINUTE_NS
    """The engine reopens once nothing has exceeded `reopen_share` of a threshold for so long."""
    reopen_share: float = 0.5


class EngineParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of margin calls, liquidation, waterfall and controls; fractions, USD, nanoseconds."""

    money: str = "USDC"
    """The asset in which shortfalls are counted and paid."""
    taker_fee: Decimal = Decimal(0)
    liquidation_fee: Decimal = Decimal("0.001")
    """Fraction of liquidated notional; never more than the account's equity."""
    call_period_ns: int = HOUR_NS
    call_step: float = 0.25
    """A call is raised to the next level when the deficit has grown by this fraction."""
    index_max_age_ns: int = MINUTE_NS
    index_outlier: float = 0.1
    """A source this far from the median of the others is left out."""
    index_min_sources: int = 1
    index_own_source: str = "own"
    own_source_alone: bool = False
    """Whether the venue's own book may be the only source of an index price."""
    mark_band: float | None = 0.1
    """Marks further from the index are held at the band, and are of quality BOUND."""
    order_band: float = 0.5
    """Orders and trades further from the mark are refused."""
    command_ttl_ns: int | None = None
    id_window_ns: int | None = DAY_NS
    """Commands that say they were sent longer ago are refused, and their ids forgotten; None keeps every id for ever."""
    withdrawal_at_initial: bool = True
    unrealised_profit_withdrawable: bool = False
    withdrawal_window_ns: int = HOUR_NS
    withdrawal_limit: Decimal | None = None
    """USD that may leave per window, over all accounts."""
    max_credit_line: Decimal | None = Decimal(0)
    slice_share: float = 0.25
    """Largest share of a position closed in one slice."""
    slice_interval_ns: int = 5 * NANOSECONDS_PER_SECOND
    max_slices: int = 20
    release_ratio: float = 1.05
    """A liquidation stops once equity is this multiple of maintenance."""
    slice_slippage: float = 0.02
    """Worst price of a slice, as a relative distance from the mark."""
    takeover_ratio: float = 0.5
    """Below this equity over maintenance slices are too slow: takeover."""
    auction_duration_ns: int = 0
    """Dutch auction before backstop providers; 0 for none."""
    auction_largest_share: Decimal = Decimal(1)
    """Most of the equity that a bidder may get, the reserve: what is above it stays with the account."""
    half_spread: float = 0.0005
    impact: float = 0.1
    """Relative cost of closing the whole of `depth` at once; it grows with the square root of size."""
    interest: RateCurve = RateCurve(minimum=0.05, multiplier=0.0, high_multiplier=4.75, optimal=0.8)
    """On borrowed assets; as Hyperliquid publishes for its dollar loans."""
    layers: tuple[str, ...] = LAYERS
    house_cap: Decimal | None = None
    insurance_cap_per_market: Decimal | None = None
    assessment_multiple: Decimal = Decimal(1)
    adl_policy: str = "integer"
    """``queue``, ``pro rata`` or ``integer``."""
    audit_every: int = 1000
    breakers: Breakers = Breakers()
    reconciliation_tolerance: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        order = [LAYERS.index(layer) for layer in self.layers if layer in LAYERS]
        if len(order) != len(self.layers) or order != sorted(set(order)):
            raise InputError(f"layers must stand in the order {LAYERS}, were {self.layers}")
        if self.adl_policy not in ("queue", "pro rata", "integer"):
            raise InputError(f"adl_policy must be queue, pro rata or integer, was {self.adl_policy!r}")
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise InputError(f"{name} must be inside [{least}, {most}], was {value}")
        for name in _SHARES:
            value = getattr(self, name)
            if not 0.0 < value <= 1.0:
                raise InputError(f"{name} must be inside (0, 1], was {value}")
        for name in _AMOUNTS:
            value = getattr(self, name)
            if value is not None and (not value.is_finite() or value < 0):
                raise InputError(f"{name} must not be negative, was {value}")
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, was {value}")


_BOUNDS = {
    # a slice's worst price must leave one; costs beyond these would let no slice help, and end in takeover at once
    "slice_slippage": (0.0, 0.5),
    "half_spread": (0.0, 0.1),
    "impact": (0.0, 1.0),
    "release_ratio": (1.0, float("inf")),
}
_SHARES = ("slice_share", "takeover_ratio", "order_band", "index_outlier")
_AMOUNTS = (
    "taker_fee",
    "liquidation_fee",
    "assessment_multiple",
    "reconciliation_tolerance",
    "house_cap",
    "insurance_cap_per_market",
    "withdrawal_limit",
    "max_credit_line",
)
_COUNTS = ("audit_every", "max_slices", "index_min_sources", "call_period_ns", "slice_interval_ns", "id_window_ns")
