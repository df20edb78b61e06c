"""Books: one book in every form, errors that point at the row, units."""

from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from crossmargin.errors import InputError
from crossmargin.files.book import contracts_of, read_book, write_book
from crossmargin.instruments.native_names import parse_instrument_name

TABLES: dict[str, list[dict[str, object]]] = {
    "accounts": [{"account": "desk", "method": "scenario_grid"}, {"account": "sub", "parent": "desk"}],
    "balances": [{"account": "desk", "venue": "deribit", "currency": "BTC", "amount": -1.5}],
    "positions": [
        {"account": "sub", "instrument": "deribit:BTC-PERPETUAL", "quantity": 5000.0, "unit": "usd"},
        {"account": "desk", "instrument": "deribit:BTC/USD:BTC-260327-100000-C", "quantity": -2.0},
    ],
    "orders": [
        {"account": "sub", "instrument": "okx:BTC-USDT-SWAP", "side": "buy", "quantity": 3.0, "price": 90000.0},
    ],
}


def _write(folder: Path, form: str) -> Path:
    frames = {name: pl.DataFrame(rows) for name, rows in TABLES.items()}
    if form in ("csv", "parquet"):
        for name, frame in frames.items():
            getattr(frame, f"write_{form}")(folder / f"{name}.{form}")
        return folder
    if form == "xlsx":
        with xlsxwriter.Workbook(folder / "book.xlsx") as workbook:
            for name, frame in frames.items():
                frame.write_excel(workbook, worksheet=name)
        return folder / "book.xlsx"
    kinds = [frame.with_columns(kind=pl.lit(name.removesuffix("s"))) for name, frame in frames.items()]
    suffix = "parquet" if form == "kind.parquet" else "csv"
    file = folder / f"book.{suffix}"
    getattr(pl.concat(kinds, how="diagonal"), f"write_{suffix}")(file)
    return file


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx", "kind", "kind.parquet"])
def test_a_book_reads_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    book = read_book(_write(tmp_path, form))
    desk, sub = book
    assert desk.balances[0].amount == -1.5
    assert desk.positions[0].quantity == -2.0
    # 5,000 USD of a contract of 10 USD
    assert sub.positions[0].quantity == 500.0
    assert sub.orders[0].instrument.id == "okx:BTC/USDT:USDT"
    assert book.accounts[sub.account].parent == "desk"
    assert book.accounts[desk.account].method == "scenario_grid"
    write_book(book, tmp_path / "again.json")
    assert read_book(tmp_path / "again.json") == book


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("account,kind,currency,amount\na,account,,\na,balance,BTC,x\n", "table balances, row 1, column amount"),
        ("account,kind,currency,amount\na,account,,\na,balance,BTC,nan\n", "table balances, row 1"),
        ("account,kind,currency,amount\na,account,,\nb,balance,BTC,1\n", "'b' in table balances, row 1"),
        ("account,kind\na,account\na,account\n", "'a' stands twice in table accounts, row 2"),
        ("account,kind,instrument,quantity\na,account,,\na,position,okx:X,1\n", "table positions, row 1"),
        ("account,kind,colour\na,account,red\n", "unknown field `colour` in table accounts, row 1"),
        ("account,kind\na,thing\n", "'thing' in row 1"),
        ("account\na\n", "column kind"),
        ("", "must hold a book"),
    ],
)
def test_an_error_is_one_line_that_points_at_the_row(tmp_path: Path, text: str, finding: str) -> None:
    (tmp_path / "book.csv").write_text(text)
    with pytest.raises(InputError) as refusal:
        read_book(tmp_path / "book.csv")
    assert finding in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_broken_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "book.xlsx").write_bytes(b"not a workbook")
    with pytest.raises(InputError, match=r"book\.xlsx must hold a book"):
        read_book(tmp_path / "book.xlsx")


def test_coins_of_an_inverse_contract_need_a_price() -> None:
    with pytest.raises(InputError, match="must come with a market"):
        contracts_of(parse_instrument_name("deribit:BTC-PERPETUAL"), 1.0, "coin")


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({"quantity": "nan"}, "table positions, row 2, column quantity"),
        ({"quantity": "inf"}, "table positions, row 2, column quantity"),
        ({"entry_price": "1e99"}, "table positions, row 2, column entry_price"),
        ({"instrument": "deribit:WHAT"}, "table positions, row 2, column instrument"),
        ({"instrument": "okx:NEW-USDT-SWAP"}, "table positions, row 2, column instrument"),
        ({"account": "nobody"}, "table positions, row 2, column account"),
    ],
)
def test_a_wrong_value_is_refused_with_table_row_and_column(tmp_path: Path, row: dict[str, str], where: str) -> None:
    sound = {"account": "a", "instrument": "deribit:BTC-PERPETUAL", "quantity": "1", "entry_price": "90000"}
    pl.DataFrame({"account": ["a"]}).write_csv(tmp_path / "accounts.csv")
    pl.DataFrame([sound, sound | row]).write_csv(tmp_path / "positions.csv")
    with pytest.raises(InputError) as refusal:
        read_book(tmp_path)
    assert where in str(refusal.value)


def test_account_numbers_of_a_workbook_are_names(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "book.xlsx") as workbook:
        pl.DataFrame({"account": [1, 2]}).write_excel(workbook, worksheet="accounts")
        pl.DataFrame({"account": [2.0], "currency": ["BTC"], "amount": [3]}).write_excel(workbook, worksheet="balances")
    one, two = read_book(tmp_path / "book.xlsx")
    assert (one.account, two.account) == ("1", "2")
    assert two.balances[0].amount == 3.0
