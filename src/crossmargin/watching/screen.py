"""The screen: sums above, accounts below, by the stream of a service; what is old says so."""

import asyncio
import contextlib
import ssl
import time
from typing import ClassVar

import httpx
import msgspec
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static
from websockets.exceptions import InvalidStatus, WebSocketException

from crossmargin.client import AsyncClient, Key, ServiceError, follow_async
from crossmargin.client.records import AccountRow, Alert, Message, Overview
from crossmargin.errors import CrossMarginError
from crossmargin.watching.sight import COLUMNS, FORBIDDEN, Seen, cells, heading, ordered, prices

ROWS = 500
"""Accounts shown at most, the first by the order in force."""
REFUSED = (401, 403)
OLD_S = 5.0
"""Without a message the screen says that it is old; the clock of an idle service ticks once a second."""
ALERTS_S = 5.0
COLOURS = {"BANKRUPT": "bold red", "LIQUIDATING": "red", "REDUCE_ONLY": "yellow", "MARGIN_CALL": "yellow"}
_BROKEN = (ServiceError, CrossMarginError, WebSocketException, httpx.TransportError, OSError)


class Watch(App[None]):
    """Watches one service.

    Parameters
    ----------
    url
        Of the service.
    key
        Signs, where the service asks for it.
    every_s
        Pace at which the screen is drawn anew, s.
    tls
        As for `Client`.
    """

    TITLE = "crossmargin"
    CSS = """
    #heading { padding: 0 1; height: auto; }
    #prices { padding: 0 1; height: auto; color: $text-muted; }
    #status { padding: 0 1; height: 1; }
    #filter { display: none; height: 3; }
    #filter.shown { display: block; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "sort by next column"),
        Binding("r", "turn", "turn order"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "unfilter", "all", show=False),
        Binding("q", "quit", "quit"),
    ]

    def __init__(
        self, url: str, *, key: Key | None = None, every_s: float = 1.0, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__()
        self._url, self._key, self._every_s, self._tls = url, key, every_s, tls
        self._rows: dict[str, AccountRow] = {}
        self._overview: Overview | None = None
        self._alerts: tuple[Alert, ...] = ()
        self._column, self._turned, self._part = "usage", False, ""
        self._heard: float | None = None
        self._finding = "connecting"
        self._is_changed = True
        self._following: list[asyncio.Task[None]] = []

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static(id="heading", markup=False)
        yield Static(id="prices", markup=False)
        yield Static(id="status", markup=False)
        yield Input(placeholder="part of an account's name", id="filter")
        yield DataTable[Text](id="accounts", cursor_type="row", zebra_stripes=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to follow the service and to draw."""
        table = self.query_one("#accounts", DataTable)
        for at, name in enumerate(COLUMNS):
            table.add_column(Text(name, justify="left" if at < 2 else "right"), key=name)
        table.focus()
        self._following = [asyncio.create_task(each) for each in (self._follow(), self._ask_alerts())]
        self.set_interval(self._every_s, self.draw)

    async def on_unmount(self) -> None:
        """Let go of the service, in order: a connection that is only dropped is told of late."""
        for each in self._following:
            each.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    async def _follow(self) -> None:
        """Take in what the stream says, for as long as the screen is there."""
        while True:
            try:
                messages = follow_async(self._url, ["overview", "accounts"], key=self._key, attempts=2, tls=self._tls)
                async with contextlib.aclosing(messages):
                    async for message in messages:
                        self._take(message)
            except _BROKEN as error:
                self._finding = self._said_by(error)
                await asyncio.sleep(self._every_s)

    def _said_by(self, error: Exception) -> str:
        """Return what went wrong in a line; a key that is refused reads otherwise than a service that is away."""
        if not isinstance(error, InvalidStatus) or error.response.status_code not in REFUSED:
            return " ".join(str(error).split())
        if self._key is None:
            return "the service asks for a key: CROSSMARGIN_KEY names none"
        return f"the service refuses the key {self._key.id}"

    def _take(self, message: Message) -> None:
        self._heard, self._finding, self._is_changed = time.monotonic(), "", True
        if message.channel == "overview":
            self._overview = msgspec.convert(message.data, Overview)
            return
        if message.snapshot:
            self._rows.clear()
        self._rows |= {each.account: each for each in msgspec.convert(message.data, list[AccountRow])}

    async def _ask_alerts(self) -> None:
        """Ask for alerts now and then; a key may have no part in them."""
        async with AsyncClient(self._url, key=self._key, attempts=1, tls=self._tls) as client:
            while True:
                try:
                    self._alerts = (await client.alerts()).open
                    self._is_changed = True
                except ServiceError as error:
                    if error.status == FORBIDDEN:
                        return
                except httpx.TransportError:
                    pass  # the stream says that the service is away
                await asyncio.sleep(ALERTS_S)

    def draw(self) -> None:
        """Draw what is known, and how old it is."""
        if not self.is_running:
            return  # on its way out: its parts leave one by one, and the timer may still tick between them
        self.query_one("#status", Static).update(self._status())
        if not self._is_changed or self._overview is None:
            return
        self._is_changed = False
        seen = Seen(overview=self._overview, accounts=(), alerts=self._alerts)
        self.query_one("#heading", Static).update(heading(seen))
        self.query_one("#prices", Static).update(prices(seen))
        self._draw_accounts()

    def _status(self) -> str:
        if self._heard is None:
            return f"{self._url}: {self._finding}"
        age_s = time.monotonic() - self._heard
        old = "" if age_s < OLD_S else f"OLD: nothing heard for {age_s:.0f} s  "
        order = f"by {self._column}{', turned' if self._turned else ''}"
        return f"{old}{self._finding + '  ' if self._finding else ''}{len(self._rows)} accounts {order}" + (
            f", with {self._part!r}" if self._part else ""
        )

    def _draw_accounts(self) -> None:
        table = self.query_one("#accounts", DataTable)
        shown = ordered(self._rows.values(), self._column, turned=self._turned, part=self._part)[:ROWS]
        place, across = table.cursor_row, table.scroll_x
        table.clear()
        for row in shown:
            # texts, not markup: a name may hold brackets
            style = COLOURS.get(row.state, "")
            marked = (
                Text(each, style=style, justify="left" if at < 2 else "right") for at, each in enumerate(cells(row))
            )
            table.add_row(*marked, key=row.account)
        table.move_cursor(row=min(place, max(len(shown) - 1, 0)), animate=False)
        table.scroll_x = across

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._column = COLUMNS[(COLUMNS.index(self._column) + 1) % len(COLUMNS)]
        self._redraw()

    def action_turn(self) -> None:
        """Turn the order."""
        self._turned = not self._turned
        self._redraw()

    def action_filter(self) -> None:
        """Ask for a part of names."""
        asked = self.query_one("#filter", Input)
        asked.add_class("shown")
        asked.focus()

    def action_unfilter(self) -> None:
        """Show all accounts again."""
        asked = self.query_one("#filter", Input)
        asked.value = ""
        asked.remove_class("shown")
        self.query_one("#accounts", DataTable).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show accounts with the part that is typed."""
        self._part = event.value
        self._redraw()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Go back to the accounts."""
        self.query_one("#accounts", DataTable).focus()

    def _redraw(self) -> None:
        self._is_changed = True
        self.draw()
