/** Four figures, accounts by usage, feeds, breakers, and what has just happened. */
import { useEffect } from "preact/hooks";
import { age, float, percent, usd } from "../format";
import { ItemText, itemTime } from "../items";
import { events, link, now, overview, overviewAt, rows, rowsAt, rowsVersion } from "../live";
import { to } from "../route";
import { State } from "../usage";
import { Age, Figure } from "../why";
import type { Overview } from "../wire";

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
    <Figure note="USD" of={{ title: "Equity", value: usd(o.equity), source: SOURCE, at, text: "Collateral after haircut, unrealised profit and option value, of all accounts together." }} />
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

function Feeds({ o, at }: { o: Overview; at: number }) {
  return <section>
    <h2>Feeds</h2>
    {o.feeds.length === 0 ? <p class="dim">No feed is connected; prices are those of the last market command.</p> :
      <table><caption>How old the last quote of each source is</caption><thead><tr><th scope="col">source</th><th scope="col">state</th><th scope="col" class="n">age</th></tr></thead>
        <tbody>{o.feeds.map((feed) => <tr><th scope="row">{feed.source}</th><td><State of={feed.state} /></td>
          <td class="n">{feed.age_ms === null ? "never" : age(feed.age_ms + now.value - at)}</td></tr>)}</tbody></table>}
    <h2>Breakers</h2>
    {o.breakers.length === 0 ? <p class="dim">None is set up.</p> :
      <table class="plain"><caption>What stops when prices cannot be trusted</caption><tbody>{o.breakers.map((breaker) => <tr><th scope="row">{breaker.name}</th>
        <td>{breaker.active ? <span class="bad">▲ active</span> : "not active"}</td><td class="dim">{breaker.reason}</td></tr>)}</tbody></table>}
  </section>;
}

const EVENTS_SHOWN = 12;

function Events() {
  return <section>
    <h2>Live events</h2>
    {events.value.length === 0 ? <p class="dim">{link.value === "live" ? "Nothing has happened since this page was opened." : "There is no stream; the audit page lists what happened."}</p> :
      <ol class="events" aria-live="polite">{events.value.slice(0, EVENTS_SHOWN).map((event) => <li key={String(event.sequence)}>
        <span class="dim num">{itemTime(event)}</span> <ItemText of={event} /></li>)}</ol>}
    <p><a href={to("audit")}>All that happened</a></p>
  </section>;
}

export function OverviewPage() {
  const o = overview.value;
  return <>
    <h1>Overview</h1>
    {o ? <Figures o={o} at={overviewAt.value} /> : <p class="dim loading" role="status">{link.value === "offline" ? "The server cannot be reached; trying again every few seconds." : "Asking for the overview …"}</p>}
    <Histogram />
    <div class="pair">{o && <Feeds o={o} at={overviewAt.value} />}<Events /></div>
  </>;
}
