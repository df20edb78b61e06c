/** All accounts, sorted by what hurts; only the rows in view are drawn, so that ten thousand stay live. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { float, usd } from "../format";
import { rowKeys } from "../keys";
import { type Column, type Key, Lines, ROW } from "../lines";
import { rows, rowsAt, rowsVersion } from "../live";
import { go, remember, route, to } from "../route";
import { Age } from "../why";
import type { AccountRow } from "../wire";
import { save } from "../save";
import { each, inSlices, sort as sortInSlices } from "../slices";

/** Rows keep their place this long while figures change; order follows at this pace. */
const RESORT_MS = 1_000;

const COLUMNS: Column[] = [
  { key: "account", label: "account", width: "minmax(12rem, 2fr)", fits: 16 },
  { key: "state", label: "state", width: "8.6rem", fits: 14 },
  { key: "equity", label: "equity, USD", width: "7.6rem", fits: 11, right: true },
  { key: "initial", label: "initial, USD", width: "7.6rem", fits: 11, right: true },
  { key: "maintenance", label: "maintenance, USD", width: "8.8rem", fits: 13, right: true },
  { key: "excess", label: "excess, USD", width: "7.6rem", fits: 11, right: true },
  { key: "margin_usage", label: "usage · mark = liquidation", width: "13rem", fits: 7, right: true, bar: true },
  { key: "worst_scenario", label: "worst scenario", width: "minmax(8rem, 1.6fr)", fits: 0 },
];
/** What fits a phone: who, how close, how much is left; the account's page has the rest. */
const NARROW = [["account", "minmax(6.5rem, 1fr)", 8], ["margin_usage", "5.2rem", 7], ["excess", "7rem", 10]] as const;
const narrow = matchMedia("(max-width: 46rem)");

function columnsFor(phone: boolean, worst: boolean): Column[] {
  if (!phone) return worst ? COLUMNS : COLUMNS.filter(({ key }) => key !== "worst_scenario");
  return NARROW.map(([key, width, fits]) => ({ ...COLUMNS.find((column) => column.key === key)!, width, fits, bar: false, ...(key === "margin_usage" ? { label: "usage" } : {}) }));
}

/** The least widths of all columns together: head and rows share it, so that their columns stand under each other. */
const LEAST_WIDTH = { worst: "73.2rem", without: "65.2rem" };

const TEXTS = new Set<Key>(["account", "state", "worst_scenario"]);

/** An account without positive equity stands above every usage. */
const number = (row: AccountRow, key: Key): number => (key === "margin_usage" ? (row.margin_usage ?? Infinity) : float(row[key] as string));

/** Whether any row names its worst scenario: a column of dashes tells nothing. */
function anyWorst(): boolean {
  for (const row of rows.values()) if (row.worst_scenario !== null) return true;
  return false;
}

/** What the table shows of all rows: their order, what stands under it, and what its filter offers. */
interface Arranged { order: string[]; equity: number; initial: number; states: string[] }

const NOTHING: Arranged = { order: [], equity: 0, initial: 0, states: [] };

function* arranged(query: URLSearchParams, key: Key, falling: boolean): Generator<void, Arranged> {
  const from = query.has("from") ? Number(query.get("from")) : -Infinity;
  const below = query.has("below") ? Number(query.get("below")) : Infinity;
  const [state, name] = [query.get("state"), query.get("name")?.toLowerCase()];
  const sign = falling ? -1 : 1;
  const states = new Set<string>();
  const chosen: { row: AccountRow; by: number }[] = [];
  const found = { equity: 0, initial: 0 };
  yield* each([...rows.values()], (row) => {
    states.add(row.state);
    const usage = row.margin_usage ?? Infinity;
    if (usage < from || (usage >= below && below !== Infinity) || (state && row.state !== state) || (name && !row.account.toLowerCase().includes(name))) return;
    chosen.push({ row, by: TEXTS.has(key) ? 0 : sign * number(row, key) });
    found.equity += float(row.equity);
    found.initial += float(row.initial);
  });
  const text = (row: AccountRow): string => String(row[key]);
  const ordered = yield* sortInSlices(chosen, TEXTS.has(key) ? (a, b) => sign * (text(a.row) < text(b.row) ? -1 : 1)
    : (a, b) => (a.by === b.by ? (a.row.account < b.row.account ? -1 : 1) : a.by - b.by));
  const order: string[] = [];
  yield* each(ordered, ({ row }) => void order.push(row.account));
  return { order, ...found, states: [...states].sort() };
}

/** Tell which row was clicked. */
function clicked({ target }: Event, told: (index: number) => void): void {
  const row = (target as HTMLElement).closest("[role=row]");
  if (row) told(Number(row.getAttribute("aria-rowindex")) - 2);
}

export function AccountsPage() {
  const { query } = route.value;
  const sort = query.get("sort") ?? "-margin_usage";
  const [key, falling] = [sort.replace(/^-/, "") as Key, sort.startsWith("-")];
  const [at, setAt] = useState(0);
  const [phone, setPhone] = useState(narrow.matches);
  const viewport = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const lines = useRef<Lines>(null);
  const tick = Math.floor(rowsAt.value / RESORT_MS);
  const worst = useMemo(() => anyWorst(), [tick, rows.size]);
  const columns = useMemo(() => columnsFor(phone, worst), [phone, worst]);
  const [all, setAll] = useState<Arranged | null>(null);
  const { order, equity, initial, states } = all ?? NOTHING;
  const asked = `${sort}?${query}`;
  const latest = useRef(asked);
  latest.current = asked;
  useEffect(() => {
    const wanted = (): boolean => latest.current === asked; // a tick does not end what an earlier one began
    void inSlices(arranged(query, key, falling), wanted).then((found) => found && wanted() && setAll(found));
    return undefined;
  }, [asked, tick, rows.size]);
  useEffect(() => () => void (latest.current = ""), []);

  useLayoutEffect(() => {
    const drawn = (lines.current = new Lines(viewport.current!, body.current!));
    return () => drawn.end();
  }, []);
  useLayoutEffect(() => lines.current!.show(order, columns, at), [order, columns, at, rowsVersion.value]);
  useLayoutEffect(() => {
    const measure = (): void => { setPhone(narrow.matches); lines.current!.resized(); };
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);
  useEffect(() => {
    const step = (by: number): void => setAt((now) => {
      const next = Math.min(order.length - 1, Math.max(0, now + by));
      const box = viewport.current!;
      if (next * ROW < box.scrollTop) box.scrollTop = next * ROW;
      if ((next + 2) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (next + 2) * ROW - box.clientHeight;
      return next;
    });
    rowKeys.value = { step, open: () => order[at] !== undefined && go(to("account", order[at])) };
    return () => void (rowKeys.value = null);
  }, [order, at]);

  const change = (changes: Record<string, string>): void => remember({ ...Object.fromEntries(query), ...changes });
  const filtered = query.has("from") || query.has("below") || query.has("name") || query.has("state");
  return <>
    <h1>Accounts</h1>
    <p class="row">
      <label>name <input type="search" value={query.get("name") ?? ""} onInput={(event) => change({ name: event.currentTarget.value })} /></label>
      <label>state <select value={query.get("state") ?? ""} onChange={(event) => change({ state: event.currentTarget.value })}>
        <option value="">all</option>{states.map((state) => <option value={state}>{state.toLowerCase()}</option>)}</select></label>
      <span class="num" role="status">{filtered ? `${usd(order.length)} of ` : ""}{usd(rows.size)} accounts{query.has("from") && `, usage from ${Math.round(Number(query.get("from")) * 100)} %`}{query.has("below") && ` to ${Math.round(Number(query.get("below")) * 100)} %`}</span>
      <Age at={rowsAt.value} />
      {filtered && <button type="button" onClick={() => remember({ sort })}>Show all</button>}
      <button type="button" onClick={() => save("accounts", order.map((name) => rows.get(name)!) as never)}>CSV</button>
    </p>
    <div class="grid" role="grid" aria-label="Accounts" aria-rowcount={order.length + 1} style={{ "--columns": columns.map(({ width }) => width).join(" "), "--least": phone ? "0" : LEAST_WIDTH[worst ? "worst" : "without"] }}>
      <div class="viewport" ref={viewport} tabIndex={0} role="rowgroup" aria-label="Rows; j and k step, Enter opens"
        onScroll={() => lines.current!.scrolled()}>
        <div class="cells head" role="row" aria-rowindex={1}>{columns.map((column) => <span role="columnheader" class={column.right ? "n" : ""}
          aria-sort={column.key === key ? (falling ? "descending" : "ascending") : "none"}>
          <button type="button" onClick={() => change({ sort: column.key === key && falling ? column.key : `-${column.key}` })}>
            {column.label}{column.key === key ? (falling ? " ↓" : " ↑") : ""}</button></span>)}</div>
        <div class="body" role="presentation" ref={body} style={{ height: `${order.length * ROW}px` }}
          onClick={(event) => clicked(event, setAt)} onDblClick={(event) => clicked(event, (index) => go(to("account", order[index]!)))} />
      </div>
    </div>
    {order.length === 0 && (all || rows.size === 0) && <p class="dim">{rows.size === 0 ? "No accounts have arrived yet." : "No account fits the filter."}</p>}
    <p class="dim">Equity {usd(equity)}, initial {usd(initial)} USD over the accounts shown. Each account's page says why.</p>
  </>;
}
