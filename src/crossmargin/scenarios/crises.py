"""Named crises as joint moves of prices and vols, from dated facts, over the time that closing a position takes.

Prices are hourly closes of Binance USDT perpetuals (the spot pair before a perpetual was listed). A row is one window
for all coins, so that it is a move that happened: of every window of its length that ends in the crisis, the one in
which the coins' mean log return was lowest. ``low`` runs from a close to the lows of the hour 24 hours later:
traded lows, which go beyond marks. ``rebound`` is the largest mean rise over 24 hours within three days of that
low, for books that are short.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.scenarios.stress import Stress
from crossmargin.units import Currency

COINS = tuple(Currency(c) for c in ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "LINK", "AVAX", "LTC"))
"""Columns of the moves below."""

HORIZONS_HOURS = (1.0, 8.0, 24.0, 72.0)
NOT_TRADED = math.nan

NOVEMBER_2022_VOLS = (0.497, 1.023)
"""The largest rises of DVOL in any of these crises, over one day and over three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crisis:
    """What happened to prices and vols between two dates.

    Attributes
    ----------
    first, last
        ISO dates between which the windows end.
    closes
        A row per horizon of `HORIZONS_HOURS`, a column per coin of `COINS`: relative moves.
    low, rebound
        The same, from a close to the lows 24 hours later, and 24 hours up afterwards.
    vols
        Largest relative rise of BTC's 30-day implied vol (Deribit's DVOL, daily closes) over one day and over three.
        It is given to every coin.
    vols_measured
        False before DVOL existed: then the largest of the other crises stands in.
    """

    name: str
    title: str
    first: str
    last: str
    closes: tuple[tuple[float, ...], ...]
    low: tuple[float, ...]
    rebound: tuple[float, ...]
    vols: tuple[float, float]
    vols_measured: bool = True

    def __post_init__(self) -> None:
        for row in (*self.closes, self.low, self.rebound):
            if len(row) != len(COINS):
                raise InputError(f"a row of {self.name} must have {len(COINS)} moves, had {len(row)}")

    def traded(self, coin: Currency) -> bool:
        """Whether `coin` has moves of its own here."""
        return coin in COINS and not math.isnan(self.low[COINS.index(coin)])

    def price_move(self, coin: Currency, hours: float) -> float:
        """Return the relative price move of `coin` over `hours`.

        Between the horizons the log move is interpolated in the square root of time, as a random walk spreads; below
        the first and beyond the last it scales with that root. A coin that did not trade yet gets the median of the
        coins other than BTC and ETH that did; a dollar stands still.

        Examples
        --------
        >>> crisis_named("august-2024").price_move(Currency("BTC"), 24.0)
        -0.1842
        """
        if coin in DOLLAR_COINS:
            return 0.0
        if not hours >= 0.0:
            raise InputError(f"a horizon must not be negative, was {hours} hours")
        roots = np.sqrt((0.0, *HORIZONS_HOURS))
        logs = np.array([0.0, *(math.log1p(self._column(row, coin)) for row in self.closes)])
        root = math.sqrt(hours)
        if root > roots[-1]:
            return math.expm1(float(logs[-1]) * root / float(roots[-1]))
        # rounding removes what log and back add to a tabled move
        return round(math.expm1(float(np.interp(root, roots, logs))), 12)

    def vol_move(self, hours: float) -> float:
        """Return the relative rise of implied vol over `hours`: the one-day rise up to a day, the three-day one at 72.

        Below a day the whole rise is kept: implied vol jumps with the price. Beyond three days it rises no further.
        """
        day, three = self.vols
        return float(np.interp(hours, (24.0, 72.0), (day, max(day, three))))

    def stress(self, hours: Mapping[Currency, float]) -> Stress:
        """Return the crisis with each coin moving over its own time to close, in hours."""
        longest = max(hours.values(), default=0.0)
        return self._stress(hours, f"over {longest:g} h")

    def _stress(self, hours: Mapping[Currency, float], what: str) -> Stress:
        return Stress(
            name=f"{self.title}, {what}",
            prices={coin: self.price_move(coin, over) for coin, over in hours.items()},
            vols={coin: self.vol_move(over) for coin, over in hours.items() if coin not in DOLLAR_COINS},
        )

    def stresses(self, coins: Iterable[Currency]) -> tuple[Stress, ...]:
        """Return every row as a stress of `coins`: each horizon, the low, and the rebound with vols unchanged."""
        moved = [coin for coin in coins if coin not in DOLLAR_COINS]
        rows = [self._stress(dict.fromkeys(moved, hours), f"over {hours:g} h") for hours in HORIZONS_HOURS]
        low = {coin: self._column(self.low, coin) for coin in moved}
        up = {coin: self._column(self.rebound, coin) for coin in moved}
        vols = dict.fromkeys(moved, self.vol_move(24.0))
        rows.append(Stress(name=f"{self.title}, traded lows", prices=low, vols=vols))
        rows.append(Stress(name=f"{self.title}, rebound", prices=up))
        return tuple(rows)

    def _column(self, row: tuple[float, ...], coin: Currency) -> float:
        if self.traded(coin):
            return row[COINS.index(coin)]
        return float(np.nanmedian(row[2:]))


def crisis_named(name: str) -> Crisis:
    """Return the crisis of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    found = next((crisis for crisis in CRISES if crisis.name == name), None)
    if found is None:
        raise InputError(f"a crisis must be one of {', '.join(c.name for c in CRISES)}, was {name!r}")
    return found


def closing_hours(exposure: float, daily_volume: float, *, participation: float, reaction_hours: float) -> float:
    """Return how long the average unit of `exposure` (USD, signed) is held while it is closed.

    Closing starts after `reaction_hours` and takes `participation` of what the market trades, evenly; the average unit
    leaves half way: ``reaction + 24 |exposure| / (participation * volume) / 2``.

    Raises
    ------
    InputError
        If the volume is not positive, `participation` not inside (0, 1] or `reaction_hours` negative.

    Examples
    --------
    >>> closing_hours(-1e6, 1e8, participation=0.1, reaction_hours=1.0)
    2.2
    """
    if not daily_volume > 0.0:
        raise InputError(f"a day's volume must be positive, was {daily_volume}")
    if not 0.0 < participation <= 1.0:
        raise InputError(f"participation must be inside (0, 1], was {participation}")
    if not reaction_hours >= 0.0:
        raise InputError(f"reaction_hours must not be negative, was {reaction_hours}")
    return reaction_hours + 12.0 * abs(exposure) / (participation * daily_volume)


CRISES: tuple[Crisis, ...] = (
    Crisis(
        name="march-2020",
        title="March 2020",
        first="2020-03-10",
        last="2020-03-14",
        closes=(
            (-0.1871, -0.2170, NOT_TRADED, -0.1565, -0.1990, -0.1671, -0.1519, -0.2020, NOT_TRADED, NOT_TRADED),
            (-0.3352, -0.3259, NOT_TRADED, -0.2949, -0.3625, -0.2859, -0.3327, -0.3878, NOT_TRADED, NOT_TRADED),
            (-0.4736, -0.4832, NOT_TRADED, -0.4178, -0.5105, -0.3713, -0.4652, -0.5305, NOT_TRADED, NOT_TRADED),
            (-0.4863, -0.5250, NOT_TRADED, -0.4318, -0.5355, -0.3996, -0.5162, -0.5979, NOT_TRADED, NOT_TRADED),
        ),
        low=(-0.5265, -0.5436, NOT_TRADED, -0.4928, -0.5996, -0.4597, -0.5253, -0.5961, NOT_TRADED, NOT_TRADED),
        rebound=(0.1663, 0.2075, NOT_TRADED, 0.2261, 0.3912, 0.2326, 0.2864, 0.3239, NOT_TRADED, NOT_TRADED),
        vols=NOVEMBER_2022_VOLS,
        vols_measured=False,
    ),
    Crisis(
        name="may-2021",
        title="May 2021",
        first="2021-05-16",
        last="2021-05-23",
        closes=(
            (-0.0943, -0.1432, -0.2835, -0.1856, -0.1493, -0.2634, -0.2244, -0.2488, -0.2609, -0.2584),
            (-0.1089, -0.2053, -0.3399, -0.2641, -0.2017, -0.3063, -0.2556, -0.3179, -0.3686, -0.3211),
            (-0.2029, -0.3180, -0.3999, -0.3562, -0.3481, -0.4260, -0.3910, -0.3780, -0.4088, -0.4121),
            (-0.2795, -0.3715, -0.3419, -0.3186, -0.4325, -0.4610, -0.4705, -0.4184, -0.4307, -0.4256),
        ),
        low=(-0.3438, -0.5844, -0.4241, -0.4763, -0.5081, -0.5746, -0.5049, -0.5076, -0.5149, -0.5714),
        rebound=(0.1651, 0.3018, 0.3341, 0.2668, 0.3548, 0.3295, 0.3391, 0.3209, 0.2189, 0.2503),
        vols=(0.169, 0.304),
    ),
    Crisis(
        name="november-2022",
        title="November 2022",
        first="2022-11-06",
        last="2022-11-10",
        closes=(
            (-0.0509, -0.0641, -0.1323, -0.0408, -0.0744, -0.0794, -0.0366, -0.0934, -0.0572, -0.0347),
            (-0.1063, -0.0895, -0.3889, -0.1205, -0.1168, -0.1959, -0.1244, -0.1233, -0.1422, -0.1320),
            (-0.1618, -0.2407, -0.5431, -0.1963, -0.2289, -0.2237, -0.1270, -0.2867, -0.2161, -0.1925),
            (-0.2564, -0.3107, -0.7041, -0.3109, -0.2498, -0.3924, -0.2526, -0.2879, -0.3478, -0.2917),
        ),
        low=(-0.1744, -0.2584, -0.5800, -0.2148, -0.2419, -0.2524, -0.1456, -0.3049, -0.2195, -0.2186),
        rebound=(0.1367, 0.1991, 0.8059, 0.1975, 0.1613, 0.2426, 0.1860, 0.2273, 0.2512, 0.2128),
        vols=NOVEMBER_2022_VOLS,
    ),
    Crisis(
        name="august-2024",
        title="August 2024",
        first="2024-08-02",
        last="2024-08-06",
        closes=(
            (-0.0312, -0.0826, -0.0031, -0.0455, -0.0505, -0.0550, -0.0505, -0.0622, -0.0629, -0.0543),
            (-0.1215, -0.1667, -0.1645, -0.1373, -0.1609, -0.1827, -0.1695, -0.2138, -0.1530, -0.1761),
            (-0.1842, -0.2377, -0.2282, -0.1972, -0.2174, -0.2335, -0.2036, -0.2858, -0.2158, -0.2155),
            (-0.2320, -0.2933, -0.3180, -0.2317, -0.2803, -0.2966, -0.2513, -0.3372, -0.2910, -0.2589),
        ),
        low=(-0.1958, -0.2628, -0.2400, -0.2197, -0.2478, -0.2501, -0.2363, -0.3290, -0.2439, -0.2417),
        rebound=(0.0997, 0.0945, 0.2326, 0.1344, 0.1506, 0.1485, 0.1247, 0.1984, 0.1450, 0.1163),
        vols=(0.124, 0.227),
    ),
    Crisis(
        name="october-2025",
        title="October 2025",
        first="2025-10-09",
        last="2025-10-12",
        closes=(
            (-0.0083, 0.0198, -0.0314, -0.0679, -0.0764, -0.1505, -0.1376, -0.1289, -0.1257, -0.1836),
            (-0.0687, -0.0948, -0.1460, -0.1763, -0.1153, -0.2612, -0.2440, -0.2484, -0.2272, -0.2584),
            (-0.0865, -0.1463, -0.1725, -0.1698, -0.1329, -0.2396, -0.2252, -0.2297, -0.2614, -0.2515),
            (-0.1074, -0.1795, -0.2424, -0.1833, -0.1505, -0.2818, -0.2555, -0.2519, -0.2686, -0.2292),
        ),
        low=(-0.1638, -0.2194, -0.3583, -0.5784, -0.3439, -0.6629, -0.6620, -0.6257, -0.7001, -0.5675),
        rebound=(0.0519, 0.1290, 0.1473, 0.0955, 0.1774, 0.1511, 0.1371, 0.1402, 0.0731, 0.0765),
        vols=(0.110, 0.170),
    ),
)


def hypothetical_stresses(coins: Iterable[Currency]) -> tuple[Stress, ...]:
    """Return stresses that have not happened: chosen by this project, worse than or unlike what history holds.

    A venue's failure that takes the dollar coins along; a squeeze; and BTC parting from all others, both ways, which
    breaks the hedges that history rewards.

    Examples
    --------
    >>> [stress.name for stress in hypothetical_stresses([Currency("BTC")])][0]
    'failure of a venue: BTC -50 %, others -70 %, dollar coins -10 %'
    """
    named = tuple(dict.fromkeys(coins))
    others = [coin for coin in named if coin not in DOLLAR_COINS and coin != "BTC"]
    dollars = [coin for coin in named if coin in DOLLAR_COINS and coin != "USD"]
    both = [*others, *(coin for coin in named if coin == "BTC")]

    def moves(btc: float, other: float, dollar: float = 0.0) -> dict[Currency, float]:
        found = {coin: btc if coin == "BTC" else other for coin in both}
        return found | dict.fromkeys(dollars, dollar)

    return (
        Stress(
            name="failure of a venue: BTC -50 %, others -70 %, dollar coins -10 %",
            prices=moves(-0.5, -0.7, -0.1),
            vols=dict.fromkeys(both, 1.5),
            basis=dict.fromkeys(both, -0.3),
        ),
        Stress(
            name="squeeze: BTC +30 %, others +60 %",
            prices=moves(0.3, 0.6),
            vols=dict.fromkeys(both, 0.5),
            basis=dict.fromkeys(both, 0.3),
        ),
        Stress(name="BTC +20 %, others -20 %", prices=moves(0.2, -0.2)),
        Stress(name="BTC -20 %, others +20 %", prices=moves(-0.2, 0.2)),
    )
