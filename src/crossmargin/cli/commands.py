"""The table of commands: where each lives, and the line that lists it. A module is imported when one of its commands runs.

The line repeats the first one of the command's docstring, so that listing commands imports none; a test holds them equal.
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "attribute": (
        "attribution:attribute",
        "Split the profit of every account of BOOK between two snapshots into delta, gamma, vega, theta, basis and funding.",
    ),
    "audit": (
        "clearing:audit",
        "Replay JOURNAL and check every invariant of what results; exit code 1 if one is violated.",
    ),
    "audit-log": ("access:audit_log", "Verify the log of who did what, entry by entry, and state its head."),
    "backtest": (
        "backtest:backtest",
        "Walk margin through the daily history of DATA and test it against what then happened.",
    ),
    "backup": (
        "backup:backup",
        "Copy the journal of a service, which may be running, with its newest snapshot into the empty folder TARGET.",
    ),
    "bench": ("bench:bench", "Measure the workloads, each beside its peers in the same process."),
    "calibrate": (
        "science:calibrate",
        "State each coin's volatility forecast, tail, buffer and haircut, and each pair's offset, from the history of DATA.",
    ),
    "compare": (
        "venues:compare",
        "Margin BOOK (default: the sample) under every method that can hold it, and say why they differ.",
    ),
    "counterparties": (
        "counterparties:show",
        "State exposure and concentration per counterparty and venue, losses given default, and cover-1 and cover-2.",
    ),
    "demo": (
        "margin:demo",
        "Margin the embedded sample book under every method and write a report; needs no files, keys or network.",
    ),
    "doctor": (
        "checks:doctor",
        "Say what this installation runs on: Python, libraries, machine, compiled kernels, parameters, outside cases.",
    ),
    "explain": ("margin:explain", "Say why ACCOUNT needs what it needs."),
    "forecast": (
        "forecast:forecast",
        "Forecast tomorrow's requirement, and the chance of a margin call and of liquidation, per account of BOOK.",
    ),
    "greeks": ("greeks:greeks", "Show delta, gamma and vega of ACCOUNT by expiry, and along the price of each coin."),
    "halt": (
        "operating:halt",
        "Halt a running service: nothing but deposits, cancels and what reduces risk, until it is resumed.",
    ),
    "hedge": (
        "hedge:hedge",
        "Find the trade that frees most margin of ACCOUNT per unit of its cost, and the best size of each candidate.",
    ),
    "import": (
        "imports:import_records",
        "Read FILES, answers of one account at a venue, or its live answers, into a book; name what is not read.",
    ),
    "keys": ("access:keys", "Create, list and revoke API keys."),
    "liquidation": (
        "venues:liquidation",
        "Say where the liquidation of ACCOUNT begins: coin by coin, along a joint move, and in time.",
    ),
    "margin": ("margin:margin", "State the margin of every account of BOOK."),
    "parameters": (
        "venues:parameters",
        "List parameter sets with their dates and sources; or show what changed between two dates, and its effect.",
    ),
    "reconcile": (
        "reconcile:reconcile",
        "Name every difference between OURS and THEIRS, and change no balance; exit code 1 if there is one.",
    ),
    "replay": (
        "clearing:replay",
        "Apply every command of JOURNAL to an empty engine and state the hash of what it then remembers.",
    ),
    "restore": (
        "backup:restore",
        "Check a backup and copy it into the empty folder FOLDER, from which the service then starts.",
    ),
    "resume": (
        "operating:resume",
        "Reopen a running service after a halt, a failed audit or a poisoned command; look at what halted it first.",
    ),
    "reverse-stress": (
        "stress:reverse_stress",
        "Find the most likely joint move that exhausts each account of BOOK, or a fund that pays their shortfalls.",
    ),
    "risk": (
        "risk:risk",
        "State value at risk, expected shortfall and worst loss of every account of BOOK, and what adds to them.",
    ),
    "run": ("clearing:run", "Recover the engine of JOURNAL, then write and apply commands read as JSON lines."),
    "schema": (
        "schema:schema",
        "Print the schema of a book, a market snapshot, a method's parameters, or a row of changes or transfer costs.",
    ),
    "sensitivity": (
        "sensitivity:sensitivity",
        "Move every parameter of a method by a share, one at a time, and show what the requirement of BOOK does.",
    ),
    "serve": ("serve:serve", "Serve the public API and the dashboard, on the sample book where FOLDER is new."),
    "story": ("clearing:story", "Play FILE, a text table of what happens, and check what it expects."),
    "stress": (
        "stress:stress",
        "Revalue every account of BOOK in named crises, hypothetical stresses, or a move of your own.",
    ),
    "transfers": (
        "several_venues:transfers",
        "Find the cheapest transfers that leave every venue of an account with HEADROOM over its initial margin.",
    ),
    "users": ("access:users", "Let users of the dashboard in, list them, and let them in no more."),
    "venues": (
        "several_venues:venues",
        "Show ACCOUNT venue by venue: requirement and headroom at each, exposure across them, and what a pool would save.",
    ),
    "verify": (
        "checks:verify",
        "Run every case folder below DIRECTORY for which a reader exists; exit 1 on a mismatch.",
    ),
    "watch": (
        "watch:watch",
        "Show accounts by equity, requirement and state, the insurance fund, breakers and ages of prices, as they change.",
    ),
    "what-if": (
        "what_if:what_if",
        "State the margin of ACCOUNT before and after trades, moves of the market, deposits and withdrawals.",
    ),
}
"""Name to module and function in this package, and the line."""
