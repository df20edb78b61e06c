/** Four figures, accounts by usage, feeds, breakers, and what has just happened. */
import { useEffect } from "preact/hooks";
import { age, float, percent, usd } from "../format";
import { ItemText, itemTime } from "../items";
import { events, link, now, overview, overviewAt, rows, rowsAt, rowsVersion } from "../live";
import { to } from "../route";
import { State, UsageBar } from "../usage";
import { Age, Figure } from "../why";
import type { AccountRow, Overview } from "../wire";
import { useList } from "./items";

const SOURCE = "GET /api/v1/overview and the overview channel";
const BINS = 13;
const WIDTH = 0.1;
const CALM_STATES = new Set(["healthy", "normal", "active", "ok", "open", "safe"]);

function Figures({ o, at }: { o: Overview; at: number }) {
  // How long the first page took is measured where it counts: when its figures are there.
  useEffect(() => void (performance.getEntriesByName("first-figures").length || performance.mark("first-figures")), []);
  const states = Object.entries(o.accounts_by_state);
  const all = states.reduce((sum, [, n]) => sum + n, 0);
  const risky = states.reduce((sum, [state, n]) => (CALM_STATES.has(state.toLowerCase()) ? sum : sum + n), 0);
  const used = float(o.equity) > 0 ? float(o.maintenance) / float(o.equity) : null;
  return <div class="figures">
    <Figure note="USD" of={{ title: "Equity", value: usd(o.equity), source: SOURCE, at, text: "Collateral after haircut, unrealised profit and option value, of all accounts together.", parts: greatest(float(o.equity)), more: { href: to("accounts", "", { sort: "-equity" }), label: "Accounts by equity" } }} />
    <Figure note={`maintenance ${usd(o.maintenance)}`} of={{ title: "Initial requirement", value: usd(o.initial), source: SOURCE, at,
      text: "What all accounts need to hold before they may add risk. Accounts do not net against each other.",
      parts: [{ label: "initial", value: usd(o.initial) }, { label: "maintenance", value: usd(o.maintenance) }, { label: "maintenance over equity", value: percent(used) }] }} />
    <Figure danger={risky > 0} note={`of ${usd(all)}`} of={{ title: "Accounts at risk", value: usd(risky), source: SOURCE, at,
      text: "Accounts in any state but a healthy one.", parts: states.map(([label, n]) => ({ label, value: usd(n) })),
      more: { href: to("accounts", "", { sort: "-margin_usage" }), label: "Accounts by usage" } }} />
    <Figure note="USD" of={{ title: "Insurance fund", value: usd(o.insurance_fund), source: SOURCE, at,
      text: "The fund that pays a bankrupt account's shortfall before anyone else does.", more: { href: to("liquidations"), label: "Waterfall" } }} />
  </div>;
}

const GREATEST = 3;

/** The accounts that hold most of a sum, and the rest of it. */
function greatest(whole: number): { label: string; value: string }[] {
  const first: { account: string; equity: number }[] = [];
  for (const row of rows.values()) {
    const equity = float(row.equity);
    if (first.length === GREATEST && equity <= first[GREATEST - 1]!.equity) continue;
    first.push({ account: row.account, equity });
    first.sort((a, b) => b.equity - a.equity).splice(GREATEST);
  }
  const others = whole - first.reduce((sum, { equity }) => sum + equity, 0);
  return [...first.map(({ account, equity }) => ({ label: account, value: usd(equity) })), { label: `the other ${usd(Math.max(0, rows.size - first.length))}`, value: usd(others) }];
}

const NEAREST = 6;

/** The accounts that are nearest to liquidation, or past it. */
function Nearest() {
  void rowsVersion.value;
  const first: AccountRow[] = [];
  const usage = (row: AccountRow): number => row.margin_usage ?? Infinity;
  for (const row of rows.values()) {
    if (usage(row) === 0 || (first.length === NEAREST && usage(row) <= usage(first[NEAREST - 1]!))) continue;
    first.push(row);
    first.sort((a, b) => usage(b) - usage(a)).splice(NEAREST);
  }
  return <section aria-labelledby="nearest">
    <h2 id="nearest">Nearest to liquidation <Age at={rowsAt.value} /></h2>
    {first.length === 0 ? <p class="dim">{rows.size === 0 ? "No accounts yet." : "No account has a requirement."}</p> : <table><caption>By usage, the highest first; excess in USD</caption>
      <thead><tr><th scope="col">account</th><th scope="col" class="optional">state</th><th scope="col" class="n">usage</th><th scope="col" class="n">excess</th></tr></thead>
      <tbody>{first.map((row) => <tr key={row.account}><th scope="row"><a href={to("account", row.account)}>{row.account}</a></th><td class="optional whole"><State of={row.state} /></td>
        <td class="n"><span class="optional"><UsageBar row={row} /></span> <span class="share-of">{percent(row.margin_usage)}</span></td><td class={float(row.excess) < 0 ? "n bad" : "n"}>{usd(row.excess)}</td></tr>)}</tbody></table>}
  </section>;
}

/** How many accounts stand at which usage; each bar opens its accounts. */
function Histogram() {
  void rowsVersion.value;
  const counts = new Array<number>(BINS).fill(0);
  for (const row of rows.values()) {
    const usage = row.margin_usage ?? Infinity;
    counts[Math.min(BINS - 1, Math.max(0, Math.floor(usage / WIDTH)))]!++;
  }
  const most = Math.max(1, ...counts);
  return <section aria-labelledby="by-usage">
    <h2 id="by-usage">Accounts by usage <Age at={rowsAt.value} /></h2>
    <p class="dim">Maintenance over equity, %; liquidation starts at 100. A bar opens its accounts.</p>
    {rows.size === 0 ? <p class="dim">No accounts yet.</p> : <ol class="histogram">
      {counts.map((count, bin) => {
        const [low, high] = [bin * WIDTH, bin === BINS - 1 ? Infinity : (bin + 1) * WIDTH];
        const till = high === Infinity ? "% or more" : `to ${Math.round(high * 100)} %`;
        const noun = count === 1 ? "account" : "accounts";
        return <li><a href={to("accounts", "", { from: low.toFixed(1), ...(high === Infinity ? {} : { below: high.toFixed(1) }) })}
          title={`${count} ${noun} at ${Math.round(low * 100)} ${till}`}>
          <span class="n">{count || <span class="unseen">no</span>}<span class="unseen"> {noun} at </span></span>
          <i class={low >= 0.999 ? "over" : ""} style={{ height: `${count ? Math.max(2, (count / most) * 100) : 0}%` }} />
          <span class="tick">{Math.round(low * 100)}<span class="unseen"> {till}</span></span>
        </a></li>;
      })}
    </ol>}
  </section>;
}

const CALM_FEEDS = new Set(["good", "live"]);

function FeedTable({ feeds, at }: { feeds: Overview["feeds"]; at: number }) {
  return <table><caption>How old the last quote of each source is</caption><thead><tr><th scope="col">source</th><th scope="col">state</th><th scope="col" class="n">age</th></tr></thead>
    <tbody>{feeds.map((feed) => <tr><th scope="row">{feed.source}</th><td><State of={feed.state} /></td>
      <td class="n">{feed.age_ms === null ? "never" : age(feed.age_ms + now.value - at)}</td></tr>)}</tbody></table>;
}

/** Those that are not well stand open; those that are fold to a line. */
function Feeds({ o, at }: { o: Overview; at: number }) {
  const well = o.feeds.filter(({ state, age_ms }) => CALM_FEEDS.has(state.toLowerCase()) && age_ms !== null);
  const ill = o.feeds.filter((feed) => !well.includes(feed));
  const oldest = Math.max(0, ...well.map(({ age_ms }) => age_ms!)) + now.value - at;
  return <section>
    <h2>Feeds</h2>
    {o.feeds.length === 0 && <p class="dim">No feed is connected; prices are those of the last market command.</p>}
    {ill.length > 0 && <FeedTable feeds={ill} at={at} />}
    {well.length > 0 && <details><summary>{well.length} of {o.feeds.length} good, the oldest quote {oldest < 1_000 ? "new" : `${age(oldest)} old`}</summary><FeedTable feeds={well} at={at} /></details>}
    <h2>Breakers</h2>
    {o.breakers.length === 0 ? <p class="dim">None is set up: nothing halts by itself. Parameters of the engine, breakers, set them.</p> :
      <table class="plain"><caption>What stops when prices cannot be trusted</caption><tbody>{o.breakers.map((breaker) => <tr><th scope="row">{breaker.name}</th>
        <td>{breaker.active ? <span class="bad">▲ active</span> : "not active"}</td><td class="dim">{breaker.reason}</td></tr>)}</tbody></table>}
  </section>;
}

const EVENTS_SHOWN = 12;

/** What happened last, before this page was opened. */
function Earlier() {
  const calls = useList("margin-calls", 0);
  const liquidations = useList("liquidation-events", 0);
  const last = [...calls.items, ...liquidations.items].sort((a, b) => Number(b.sequence) - Number(a.sequence)).slice(0, EVENTS_SHOWN - 4);
  if (last.length === 0) return null;
  return <><h3>Before that</h3><ol class="events">{last.map(({ command, reason, ...event }) => <li key={String(event.sequence)}><span class="dim num">{itemTime(event)}</span> <ItemText of={event} /></li>)}</ol></>;
}

function Events() {
  return <section>
    <h2>Live events</h2>
    {events.value.length === 0 ? <p class="dim">{link.value === "live" ? "Nothing has happened since this page was opened." : "There is no stream; the audit page lists what happened."}</p> :
      <ol class="events" aria-live="polite">{events.value.slice(0, EVENTS_SHOWN).map((event) => <li key={String(event.sequence)}>
        <span class="dim num">{itemTime(event)}</span> <ItemText of={event} /></li>)}</ol>}
    <Earlier />
    <p class="row"><a href={to("liquidations")}>Liquidations and margin calls</a> <a href={to("audit")}>Audit</a></p>
  </section>;
}

export function OverviewPage() {
  const o = overview.value;
  return <>
    <h1>Overview</h1>
    {o ? <Figures o={o} at={overviewAt.value} /> : <p class="dim loading" role="status">{link.value === "offline" ? "The server cannot be reached; trying again every few seconds." : "Asking for the overview …"}</p>}
    <div class="pair"><Histogram /><Nearest /></div>
    {o && <div class="pair"><Events /><Feeds o={o} at={overviewAt.value} /></div>}
  </>;
}
