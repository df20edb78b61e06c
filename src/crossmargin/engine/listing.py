"""What the operator sets up: assets, contracts, parameters, halts."""

from decimal import Decimal

from crossmargin.engine import events as happened
from crossmargin.engine.commands import (
    Halt,
    ListAsset,
    ListInstrument,
    Resume,
    SetMarginParameters,
    SetParameters,
    Upgrade,
)
from crossmargin.engine.house import House, No
from crossmargin.engine.margin_rules import parsed_parameters
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.state import AssetTerms, HaltState, Listing, MarginVersion
from crossmargin.errors import InputError
from crossmargin.instruments.symbols import parse_contract
from crossmargin.ledger.rounding import to_quanta
from crossmargin.units import USD


def list_asset(house: House, command: ListAsset) -> No | None:
    """Take an asset on."""
    if command.asset in house.state.assets:
        return No(Refusal.ALREADY_EXISTS, command.asset)
    if not command.quantum.is_finite() or command.quantum <= 0:
        raise InputError(f"a quantum must be positive, was {command.quantum} for {command.asset}")
    for amount in (command.borrow_limit, command.deposit_cap):
        if amount is not None and to_quanta(amount, command.quantum) < 0:
            raise InputError(f"a limit must not be negative, was {amount} for {command.asset}")
    house.state.assets[command.asset] = AssetTerms(
        quantum=command.quantum,
        borrow_limit=command.borrow_limit,
        deposit_cap=command.deposit_cap,
        accrued_ns=house.state.time_ns,
    )
    house.exposures.assets_changed()
    return None


def list_instrument(house: House, command: ListInstrument) -> No | None:
    """Take a contract on."""
    contract = parse_contract(command.instrument)
    if not command.lot_size.is_finite() or command.lot_size <= 0:
        raise InputError(f"a lot size must be positive, was {command.lot_size} for {command.instrument}")
    size = command.contract_size or contract.contract_size
    if not size.is_finite() or size <= 0:
        raise InputError(f"a contract size must be positive, was {size} for {command.instrument}")
    if not 0.0 <= command.open_interest_rate <= 1.0:
        raise InputError(f"open_interest_rate must be inside [0, 1], was {command.open_interest_rate}")
    if command.instrument in house.state.listings:
        return No(Refusal.ALREADY_EXISTS, command.instrument)
    for asset in (contract.settle, contract.quote, contract.base):
        if asset not in house.state.assets and asset != USD:
            return No(Refusal.UNKNOWN_ASSET, asset)
    house.state.listings[command.instrument] = Listing(
        lot_size=command.lot_size,
        contract_size=size,
        position_limit=_lots(command.position_limit, command.lot_size),
        open_interest_limit=_lots(command.open_interest_limit, command.lot_size),
        open_interest_rate=command.open_interest_rate,
        depth=_lots(command.depth, command.lot_size),
        hedges_underlying=command.hedges_underlying,
    )
    house.exposures.listing_changed(command.instrument)
    return None


def set_parameters(house: House, command: SetParameters) -> No | None:
    """Replace the engine's parameters; what defaults are paid with must be listed, and their caps whole quanta of it."""
    found = command.parameters
    if found.money != house.parameters.money and found.money not in house.state.assets:
        return No(Refusal.UNKNOWN_ASSET, found.money)
    if found.money in house.state.assets:
        for cap in (found.house_cap, found.insurance_cap_per_market):
            if cap is not None:
                house.quanta(found.money, cap)
    house.state.parameters = found
    house.emit(happened.ParametersChanged(what="engine", effective_ns=house.state.time_ns))
    return None


def set_margin_parameters(house: House, command: SetMarginParameters) -> No | None:
    """Add a version of a method's parameters; the one in force keeps deciding until its time."""
    try:
        parsed_parameters(command.method, command.parameters)
    except ValueError as error:
        raise InputError(f"parameters must fit {command.method}: {error}") from error
    if command.grace_ns < 0 or command.ramp_ns < 0:
        raise InputError(f"grace and ramp must not be negative, were {command.grace_ns} and {command.ramp_ns}")
    versions = house.state.margin.setdefault(command.method, [])
    effective = max(command.effective_ns, house.state.time_ns)
    if versions and effective < versions[-1].effective_ns:
        raise InputError(f"a version may not take effect before the last, {effective} is before it")
    versions.append(
        MarginVersion(
            parameters=command.parameters, effective_ns=effective, grace_ns=command.grace_ns, ramp_ns=command.ramp_ns
        )
    )
    house.exposures.parameters_changed()
    house.touch_all()
    house.emit(happened.ParametersChanged(what=command.method, effective_ns=effective))
    return None


def halt(house: House, command: Halt) -> No | None:
    """Close the engine by hand."""
    if house.state.halt is not None:
        return No(Refusal.ALREADY_EXISTS, house.state.halt.breaker)
    house.state.halt = HaltState(breaker="OPERATOR", finding=command.reason, quiet_since_ns=house.state.time_ns)
    house.emit(happened.Halted(breaker="OPERATOR", finding=command.reason))
    return None


def resume(house: House, command: Resume) -> No | None:
    """Open the engine by hand; whoever fell below maintenance in the halt is examined now."""
    if house.state.halt is None:
        return No(Refusal.NOT_HALTED)
    house.state.halt = None
    house.emit(happened.Resumed(reason=command.reason))
    house.touch_all()
    return None


def upgrade(house: House, command: Upgrade) -> No | None:
    """Note the version of the code that decides from here on."""
    house.state.version = command.version
    return None


def _lots(quantity: Decimal | None, lot_size: Decimal) -> int | None:
    if quantity is None:
        return None
    lots = to_quanta(quantity, lot_size)
    if lots <= 0:
        raise InputError(f"a limit must be positive, was {quantity}")
    return lots
