"""Money that comes, goes and moves: deposits, withdrawals, transfers, credit lines, fees, funds of the waterfall."""

from decimal import Decimal

from crossmargin.engine.book import profits
from crossmargin.engine.commands import (
    ChargeFee,
    CloseAccount,
    Deposit,
    FundLayer,
    OpenAccount,
    RegisterBackstop,
    ReverseDeposit,
    SetCreditLine,
    TransferFunds,
    Withdraw,
)
from crossmargin.engine.house import House, No
from crossmargin.engine.orders import can_carry
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.state import BANKRUPT, HEALTHY, LIQUIDATING, Account, Backstop
from crossmargin.errors import InputError, MarketDataError
from crossmargin.ledger.account import EXTERNAL, FEES, HOUSE, INSURANCE, check_user_name, default_fund_account
from crossmargin.margin.methods import method_named


def open_account(house: House, command: OpenAccount) -> No | None:
    """Open an account, or an isolated sub-account of a parent's owner."""
    check_user_name(command.account)
    method_named(command.method)
    if command.method not in house.state.margin:
        raise InputError(f"a method must have parameters, {command.method} has none")
    if command.account in house.state.accounts:
        return No(Refusal.ALREADY_EXISTS, command.account)
    owner = command.account
    if command.parent is not None:
        parent = house.account(command.parent)
        if parent is None:
            return No(Refusal.UNKNOWN_ACCOUNT, command.parent)
        owner = parent.owner
    house.state.accounts[command.account] = Account(owner=owner, method=command.method)
    house.account_listed(command.account)
    return None


def close_account(house: House, command: CloseAccount) -> No | None:
    """Close an account that holds nothing."""
    account = house.account(command.account)
    if account is None:
        return No(Refusal.UNKNOWN_ACCOUNT, command.account)
    name = command.account
    ledger = house.state.ledger
    if ledger.balances.get(name) or ledger.holdings.get(name) or house.orders_of(name):
        return No(Refusal.NOT_EMPTY, name)
    if account.state not in (HEALTHY, BANKRUPT):
        return No(Refusal.ACCOUNT_STATE, account.state)
    house.change_state(name, "CLOSED")
    return None


def deposit(house: House, command: Deposit) -> No | None:
    """Credit money from outside."""
    checked = _checked(house, command.account, command.asset, command.amount)
    if isinstance(checked, No):
        return checked
    cap = house.state.assets[command.asset].deposit_cap
    if cap is not None and -house.balance(EXTERNAL, command.asset) + checked > house.quanta(command.asset, cap):
        return No(Refusal.DEPOSIT_CAP, f"{command.asset} is capped at {cap}")
    no = _cannot_margin(house, command.account, command.asset, command.amount)
    if no is not None:
        return no
    house.pay("deposit", command.asset, EXTERNAL, command.account, checked)
    if house.state.accounts[command.account].state == BANKRUPT:
        house.change_state(command.account, HEALTHY)
    return None


def reverse_deposit(house: House, command: ReverseDeposit) -> No | None:
    """Take back what the chain has forgotten, whatever that does to the account."""
    checked = _checked(house, command.account, command.asset, command.amount)
    if isinstance(checked, No):
        return checked
    house.pay("deposit reversed", command.asset, command.account, EXTERNAL, checked)
    return None


def withdraw(house: House, command: Withdraw) -> No | None:
    """Pay out what is settled, free of margin, and within the rate limit."""
    checked = _checked(house, command.account, command.asset, command.amount)
    if isinstance(checked, No):
        return checked
    value = house.usd(command.asset, checked)
    no = _may_leave(house, command.account, command.asset, checked) or _within_rate(house, value)
    if no is not None:
        return no
    house.state.withdrawn.append((house.state.time_ns, value))
    house.pay("withdrawal", command.asset, command.account, EXTERNAL, checked)
    return None


def transfer(house: House, command: TransferFunds) -> No | None:
    """Move money between accounts of one owner, under the same rule as a withdrawal."""
    checked = _checked(house, command.debit, command.asset, command.amount)
    if isinstance(checked, No):
        return checked
    target, source = house.account(command.credit), house.state.accounts[command.debit]
    if target is None:
        return No(Refusal.UNKNOWN_ACCOUNT, command.credit)
    if command.credit == command.debit:
        raise InputError(f"a transfer needs two accounts, was {command.debit} twice")
    if target.owner != source.owner:
        return No(Refusal.ACCOUNT_STATE, "the accounts have different owners")
    no = _may_leave(house, command.debit, command.asset, checked)
    no = no or _cannot_margin(house, command.credit, command.asset, command.amount)
    if no is not None:
        return no
    house.pay("transfer", command.asset, command.debit, command.credit, checked)
    return None


def set_credit_line(house: House, command: SetCreditLine) -> No | None:
    """Grant a credit line, within the limit that holds for everybody."""
    if not command.limit.is_finite() or command.limit < 0:
        raise InputError(f"a credit line must not be negative, was {command.limit}")
    if house.account(command.account) is None:
        return No(Refusal.UNKNOWN_ACCOUNT, command.account)
    most = house.parameters.max_credit_line
    if most is not None and command.limit > most:
        return No(Refusal.CREDIT_LIMIT, f"{command.limit} is above {most}")
    house.state.accounts[command.account].credit_line = command.limit
    house.touch(command.account)
    return None


def charge_fee(house: House, command: ChargeFee) -> No | None:
    """Charge a fee that the account can pay."""
    checked = _checked(house, command.account, command.asset, command.amount)
    if isinstance(checked, No):
        return checked
    if house.balance(command.account, command.asset) < checked:
        return No(Refusal.INSUFFICIENT_BALANCE, command.asset)
    house.pay(command.reason, command.asset, command.account, FEES, checked)
    return None


def fund_layer(house: House, command: FundLayer) -> No | None:
    """Pay money from outside into a layer of the waterfall."""
    money = house.parameters.money
    if money not in house.state.assets:
        return No(Refusal.UNKNOWN_ASSET, money)
    amount = _positive(house, money, command.amount)
    if command.layer == "default fund":
        if command.member is None or house.account(command.member) is None:
            return No(Refusal.UNKNOWN_ACCOUNT, str(command.member))
        if command.member not in house.state.members:
            house.state.members.append(command.member)
            house.state.members.sort()
        house.pay("contribution", money, EXTERNAL, default_fund_account(command.member), amount)
        return None
    house.pay("funding of a layer", money, EXTERNAL, HOUSE if command.layer == "house" else INSURANCE, amount)
    return None


def register_backstop(house: House, command: RegisterBackstop) -> No | None:
    """Let an account take over positions."""
    for name, value in (("capacity", command.capacity), ("loss_cap", command.loss_cap)):
        if value is not None and (not value.is_finite() or value < 0):
            raise InputError(f"{name} must not be negative, was {value}")
    account = house.account(command.account)
    if account is None:
        return No(Refusal.UNKNOWN_ACCOUNT, command.account)
    before = account.backstop
    account.backstop = Backstop(capacity=command.capacity, loss_cap=command.loss_cap)
    house.account_listed(command.account)
    if before is not None:
        account.backstop.used, account.backstop.taken = before.used, before.taken
        account.backstop.paid = before.paid
    return None


def withdrawable_profit(house: House, account: str, asset: str) -> int:
    """Return the quanta of `asset` that were realised as profit and are not settled by their payers yet."""
    held = house.state.ledger.holdings.get(account, {})
    return sum(max(holding.unsettled, 0) for name, holding in held.items() if house.view.terms(name).settle == asset)


def _cannot_margin(house: House, account: str, asset: str, amount: Decimal) -> No | None:
    """Refuse what the account's method cannot margin: once it is there, no command could say where the account stands."""
    if house.state.accounts[account].method == "scenario_grid":
        return None  # takes any coin, and needs no more of the market than its index prices
    book = house.definition.book(account)
    book.add_cash(asset, float(amount))
    try:
        house.definition.requirement(account, book)
    except MarketDataError as error:
        return No(Refusal.NO_PRICE, str(error))
    except InputError as error:
        return No(Refusal.MALFORMED, str(error))
    return None


def _checked(house: House, account: str, asset: str, amount: Decimal) -> int | No:
    if asset not in house.state.assets:
        return No(Refusal.UNKNOWN_ASSET, asset)
    quanta = _positive(house, asset, amount)
    if house.account(account) is None:
        return No(Refusal.UNKNOWN_ACCOUNT, account)
    return quanta


def _positive(house: House, asset: str, amount: Decimal) -> int:
    if not amount.is_finite() or amount <= 0:
        raise InputError(f"an amount must be positive, was {amount} {asset}")
    return house.quanta(asset, amount)


def _may_leave(house: House, account: str, asset: str, quanta: int) -> No | None:
    """Refuse what is not there, not settled, borrowed beyond the limit, or needed as margin."""
    state = house.state.accounts[account]
    if state.state in (LIQUIDATING, BANKRUPT):
        return No(Refusal.ACCOUNT_STATE, state.state)
    if house.state.halt is not None:
        return No(Refusal.HALTED_RISK_REDUCTION_ONLY, house.state.halt.breaker)
    left = house.balance(account, asset) - quanta
    limit = house.quanta(asset, house.state.assets[asset].borrow_limit)
    if left < 0 and limit == 0:
        return No(Refusal.INSUFFICIENT_BALANCE, f"{house.amount(asset, left + quanta)} {asset}")
    if left < -limit:
        return No(Refusal.BORROW_LIMIT, f"{house.amount(asset, -left)} {asset} would be borrowed")
    unsettled = withdrawable_profit(house, account, asset)
    if not house.parameters.unrealised_profit_withdrawable and unsettled > max(left, 0):
        return No(Refusal.UNSETTLED_PROFIT, f"{house.amount(asset, unsettled)} {asset}")
    return _margin_left(house, account, asset, quanta)


def _margin_left(house: House, account: str, asset: str, quanta: int) -> No | None:
    if house.view.index(asset) is None:
        return None  # it counts for nothing as margin
    book = house.definition.book(account)
    book.add_cash(asset, -float(house.amount(asset, quanta)))
    if not house.parameters.unrealised_profit_withdrawable:
        for name, gain in profits(account, house.state.ledger, house.view).items():
            book.add_cash(name, -gain)
    if not book.positions and not house.orders_of(account) and all(cash >= 0.0 for cash in book.cash.values()):
        return None
    if not house.parameters.withdrawal_at_initial:
        health = house.exposures.examine(account, book)
        short = health.equity < health.maintenance
        return No(Refusal.INSUFFICIENT_MARGIN, "maintenance") if short else None
    return can_carry(house, account, book, [])


def _within_rate(house: House, value: Decimal) -> No | None:
    limit, window = house.parameters.withdrawal_limit, house.parameters.withdrawal_window_ns
    recent = [(at, amount) for at, amount in house.state.withdrawn if at > house.state.time_ns - window]
    total = sum((amount for _, amount in recent), Decimal(0)) + value
    if limit is not None and total > limit:
        return No(Refusal.WITHDRAWAL_RATE_LIMIT, f"{total} USD in the window, limit {limit}")
    house.state.withdrawn[:] = recent
    return None
