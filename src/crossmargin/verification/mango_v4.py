"""Cases of Mango's own health test, in native units."""

from pathlib import Path
from typing import Any

import msgspec

from crossmargin.margin.mango import (
    PerpHolding,
    ReservedOrders,
    Token,
    health,
    scaled_asset_weight,
    scaled_liability_weight,
)
from crossmargin.verification.tally import Tally


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's accounts."""
    data = msgspec.json.decode((folder / "vectors.json").read_bytes())
    tally = Tally(name="mango_v4")
    for case in data["cases"]:
        meta = data["meta"]
        tokens = {
            token["id"]: _token(token, case, (case.get("bank") or [{}] * len(meta["tokens"]))[place])
            for place, token in enumerate(meta["tokens"])
        }
        found = health(tokens, meta["tokens"][0]["id"], _perps(meta["perp"], case), _orders(case))
        tally.check(case["name"], [(found, case["expected_init_health"])], tolerance=1e-9, scale=1.0)
    return tally


def _token(token: dict[str, Any], case: dict[str, Any], bank: dict[str, Any]) -> Token:
    deposits = (bank.get("deposits", 0.0) + bank.get("potential_serum_tokens", 0.0)) * token["price"]
    borrows = bank.get("borrows", 0.0) * token["price"]
    return Token(
        price=token["price"],
        asset_weight=scaled_asset_weight(token["init_asset_w"], deposits, bank.get("deposit_weight_scale_start_quote")),
        liability_weight=scaled_liability_weight(
            token["init_liab_w"], borrows, bank.get("borrow_weight_scale_start_quote")
        ),
        balance=case.get(token["id"], 0.0),
    )


def _perps(terms: dict[str, Any], case: dict[str, Any]) -> list[PerpHolding]:
    if "perp" not in case:
        return []
    base_lots, quote, bids, asks = case["perp"]
    return [
        PerpHolding(
            price=terms["price"],
            lot_size=terms["base_lot_size"],
            base_asset_weight=terms["init_base_asset_w"],
            base_liability_weight=terms["init_base_liab_w"],
            overall_asset_weight=terms["init_overall_asset_w"],
            base_lots=base_lots,
            quote=quote,
            bid_lots=bids,
            ask_lots=asks,
        )
    ]


def _orders(case: dict[str, Any]) -> list[ReservedOrders]:
    prices = case.get("order_px", {})
    found = []
    for market, base in (("1_2", "token2"), ("1_3", "token3")):
        quote_reserved, base_reserved = case.get(f"oo_{market}", (0.0, 0.0))
        found.append(
            ReservedOrders(
                base=base,
                quote_reserved=quote_reserved,
                base_reserved=base_reserved,
                lowest_ask=prices.get(f"lowest_ask_{market}"),
                highest_bid_inverse=prices.get(f"highest_bid_inv_{market}"),
            )
        )
    return found
