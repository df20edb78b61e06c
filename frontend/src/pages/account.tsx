/** One account: the answer first, then why, then everything. */
import { useState } from "preact/hooks";
import * as api from "../api";
import { difference, digits, float, move, percent, usd } from "../format";
import { Heatmap, nearest } from "../heatmap";
import { text, words } from "../items";
import { Await, useAnswer } from "../load";
import { rows, rowsVersion } from "../live";
import { save } from "../save";
import { Scroll } from "../scroll";
import { Series } from "../series";
import { State, UsageBar } from "../usage";
import { Age, Figure } from "../why";
import { shareMoves, WhatIfBuilder } from "../what_if";
import type { Account, AccountRow, Node, Surface } from "../wire";
import { fields } from "../items";

/** A page asks again this often when its account has changed. */
const REFRESH_MS = 10_000;

/** The coin an instrument stands on: what stands after its venue and before its first dash, slash or underscore. */
export const coinOf = (instrument: string): string => instrument.replace(/^[a-z][a-z0-9_.]*:/, "").split(/[-/_:]/)[0]!;

function Top({ row, at, source }: { row: AccountRow; at: number; source: string }) {
  const short = float(row.excess) < 0;
  return <>
    <p class="row"><State of={row.state} /> <span class="dim">{row.method}</span></p>
    <div class="figures">
      <Figure note="USD" of={{ title: "Equity", value: usd(row.equity), source, at, text: "Collateral after haircut, plus unrealised profit and option value." }} />
      <Figure note={`maintenance ${usd(row.maintenance)}`} of={{ title: "Initial requirement", value: usd(row.initial), source, at,
        text: `What ${row.method} asks before risk may be added${row.worst_scenario ? `. Its worst scenario: ${row.worst_scenario}` : ""}. The tree below has the parts.` }} />
      <Figure note="USD" danger={short} of={{ title: "Excess", value: usd(row.excess), source, at, text: short ? "Below zero: no risk may be added until collateral comes or positions close." : "Equity above the initial requirement: what may carry new risk or leave.",
        parts: [{ label: "equity", value: usd(row.equity) }, { label: "initial requirement", value: difference(`-${row.initial}`) }] }} />
      <Figure danger={row.margin_usage === null || row.margin_usage >= 1} note={<UsageBar row={row} />} of={{ title: "Usage", value: percent(row.margin_usage), source, at,
        text: "Maintenance over equity. At 100 % liquidation starts; the mark on the bar stands there.", parts: [{ label: "maintenance", value: usd(row.maintenance) }, { label: "equity", value: usd(row.equity) }] }} />
    </div>
    {row.worst_scenario && <p>Worst scenario: <b>{row.worst_scenario}</b></p>}
  </>;
}

/** The largest amount of the tree, at which a bar is full. */
const largest = (node: Node): number => Math.max(Math.abs(float(node.amount)), ...node.children.map(largest));

function Branch({ node, whole, depth = 0 }: { node: Node; whole: number; depth?: number }) {
  const amount = float(node.amount);
  const share = whole ? Math.min(1, Math.abs(amount) / whole) : 0;
  const line = <><span class="label">{node.label}</span><span class="n">{usd(node.amount)}</span><span class="share"><i class={amount < 0 ? "less" : ""} style={{ width: `${share * 100}%` }} /></span><span class="dim">{node.why}</span></>;
  if (node.children.length === 0) return <li class="leaf">{line}</li>;
  const ordered = [...node.children].sort((a, b) => Math.abs(float(b.amount)) - Math.abs(float(a.amount)));
  return <li><details open={depth < 2}><summary>{line}</summary><ul>{ordered.map((child) => <Branch node={child} whole={whole} depth={depth + 1} />)}</ul></details></li>;
}

function Surfaces({ name, coins, stamp, ask }: { name: string; coins: string[]; stamp: number; ask: (coin: string, moves: { price: number; vol: number }) => void }) {
  const [coin, setCoin] = useState(coins[0]!);
  const answer = useAnswer(() => api.surface(name, coin), [name, coin, stamp]);
  return <section>
    <h2>If {coin} and its vols move</h2>
    {coins.length > 1 && <p class="row" role="group" aria-label="Underlying">{coins.map((each) => <button type="button" aria-pressed={each === coin} onClick={() => setCoin(each)}>{each}</button>)}</p>}
    <Await answer={answer} what="surface">{(surface, at) => <>
      <p>Nearest liquidation, vols unchanged: <b class="num">{nearest(surface) === null ? "none on the map" : `${coin} ${move(nearest(surface))}`}</b> <span class="dim">(read off the map: an estimate)</span> <Age at={at} stale={60_000} /></p>
      <div class="pair"><Heatmap surface={surface} of="excess" ask={(moves) => ask(coin, moves)} /><Heatmap surface={surface} of="pnl" ask={(moves) => ask(coin, moves)} /></div>
      <details><summary>The excess in figures <Age at={at} stale={60_000} /></summary><SurfaceTable surface={surface} /></details>
    </>}</Await>
  </section>;
}

function SurfaceTable({ surface: s }: { surface: Surface }) {
  return <Scroll name="Excess in figures"><table><caption>Excess, USD; vols down, {s.underlying} prices across</caption>
    <thead><tr><th scope="col">vol</th>{s.prices.map((price) => <th scope="col" class="n">{digits(Number(price.toPrecision(6)))}</th>)}</tr></thead>
    <tbody>{s.vols.map((vol, j) => <tr><th scope="row" class="n">{Math.min(...s.vols) < 0 ? move(vol) : percent(vol)}</th>{s.excess[j]!.map((value) => <td class={value < 0 ? "n bad" : "n"}>{usd(value)}</td>)}</tr>)}</tbody></table></Scroll>;
}

function Compare({ name, own, stamp }: { name: string; own: string; stamp: number }) {
  const answer = useAnswer(() => api.compare(name), [name, stamp]);
  return <section><h2>The same account under other methods</h2>
    <Await answer={answer} what="comparison">{(compared, at) => { const told = compared.some((row) => row.largest_difference !== null); const most = Math.max(0, ...compared.map((row) => float(row.initial) || 0)); return <Scroll name="Methods side by side"><table>
      <caption>USD, least initial requirement first; <Age at={at} stale={60_000} /></caption>
      <thead><tr><th scope="col">method</th><th scope="col" class="n">initial</th><th scope="col" class="n optional">maintenance</th><th scope="col" class="n">excess</th><th scope="col" class="optional wide"><span class="unseen">initial, drawn</span></th>{told && <th scope="col" class="optional">largest difference</th>}</tr></thead>
      <tbody>{compared.filter((row) => row.refused === null).sort((a, b) => float(a.initial) - float(b.initial)).map((row) => <tr class={row.method === own ? "own" : ""}>
        <th scope="row">{row.method}{row.method === own && " (in force)"}</th>
        <td class="n">{usd(row.initial)}</td><td class="n optional">{usd(row.maintenance)}</td><td class={float(row.excess) < 0 ? "n bad" : "n"}>{usd(row.excess)}</td>
        <td class="optional wide"><span class="share"><i class={float(row.excess) < 0 ? "over" : ""} style={{ width: `${most ? (float(row.initial) / most) * 100 : 0}%` }} /></span></td>{told && <td class="dim optional">{row.largest_difference ?? "–"}</td>}
      </tr>)}</tbody></table>
      {compared.some((row) => row.refused !== null) && <details><summary>{`${compared.filter((row) => row.refused !== null).length} more cannot margin this account, and say why`}</summary>
        <ul class="plain">{compared.filter((row) => row.refused !== null).map((row) => <li><b>{row.method}</b> <span class="dim">{row.refused}</span></li>)}</ul></details>}</Scroll>; }}</Await>
  </section>;
}

/** A price with the digits that a screen has use for; the CSV has them all. */
const price = (value: string | null): string => (value === null ? digits(null) : digits(Number(float(value).toPrecision(Math.abs(float(value)) >= 1_000 ? 9 : 7))));

function Holdings({ account, at }: { account: Account; at: number }) {
  return <section><h2>What it holds</h2>
    <Scroll name="Positions"><table><caption>Positions; <Age at={at} stale={60_000} /></caption>
      <thead><tr><th scope="col">instrument</th><th scope="col" class="n">contracts</th><th scope="col" class="n optional">entry</th><th scope="col" class="n optional">mark</th><th scope="col" class="n">value</th></tr></thead>
      <tbody>{account.positions.map((p) => <tr><th scope="row">{p.instrument}</th><td class="n">{digits(p.quantity)}</td><td class="n optional">{price(p.entry_price)}</td><td class="n optional">{price(p.mark_price)}</td><td class="n">{price(p.value)} <span class="dim">{p.value_currency}</span></td></tr>)}
        {account.positions.length === 0 && <tr><td colSpan={5} class="dim">no positions</td></tr>}</tbody></table></Scroll>
    <div class="pair">
      <table class="slim"><caption>Balances</caption><tbody>{account.balances.map((b) => <tr><th scope="row">{b.currency}</th><td class="n">{digits(b.amount)}</td></tr>)}</tbody></table>
      {account.orders.length > 0 && <Scroll name="Open orders"><table><caption>Open orders</caption><thead><tr>{fields(account.orders).map((field) => <th scope="col">{words(field)}</th>)}</tr></thead>
        <tbody>{account.orders.map((order) => <tr>{fields(account.orders).map((field) => <td>{text(order[field])}</td>)}</tr>)}</tbody></table></Scroll>}
    </div>
    <p><button type="button" onClick={() => save(`${account.account}-positions`, account.positions as never)}>Positions as CSV</button></p>
  </section>;
}

/** Five lights, as venues show them: all lit is who is asked first. */
function Lights({ light }: { light: number | null }) {
  const lit = light === null ? 0 : 6 - light / 20;
  return <span class="lights" role="img" aria-label={`${lit} of 5 lights`}>{[1, 2, 3, 4, 5].map((each) => <i class={each <= lit ? "lit" : ""} />)}</span>;
}

function Queue({ name, stamp }: { name: string; stamp: number }) {
  const answer = useAnswer(() => api.queues(name), [name, stamp]);
  return <section><h2>If somebody else goes bankrupt: its place in the queue</h2>
    <Await answer={answer} what="queue">{(queues, at) => queues.positions.length === 0 ? <p class="dim">It holds no position that could be closed against a bankrupt one.</p> :
      <Scroll name="Places in the queue"><table><caption>Auto-deleveraging by “{queues.policy}”; <Age at={at} stale={60_000} /></caption>
        <thead><tr><th scope="col">instrument</th><th scope="col">place</th><th scope="col" class="optional">lights</th><th scope="col" class="n">profit, USD</th><th scope="col" class="n optional">leverage</th></tr></thead>
        <tbody>{queues.positions.map((each) => <tr><th scope="row">{each.instrument}</th>
          <td>{each.place === null ? <span class="dim">no profit to give</span> : `${each.place} of ${each.of}`}</td><td class="optional"><Lights light={each.light} /></td>
          <td class="n">{usd(each.profit)}</td><td class="n optional">{digits(each.leverage.toFixed(2))}</td></tr>)}</tbody></table></Scroll>}</Await>
  </section>;
}

export function AccountPage({ name }: { name: string }) {
  void rowsVersion.value;
  const row = rows.get(name);
  // What is derived from the account is asked again at a readable pace, and only when its figures have changed.
  const [asked, setAsked] = useState({ row, at: Date.now() });
  if (row && asked.row !== row && Date.now() - asked.at > REFRESH_MS) setAsked({ row, at: Date.now() });
  const [chosen, setChosen] = useState(0); // cells of a map that were asked for: each begins the what-if anew
  const answer = useAnswer(() => api.account(name), [name, asked.at]);
  const tree = useAnswer(() => api.explain(name), [name, asked.at]);
  const past = useAnswer(() => api.history(name), [name, asked.at]);
  return <>
    <p><a href="#/accounts">Accounts</a></p>
    <h1>{name}</h1>
    <Await answer={answer} what="account">{(account, at) => {
      const coins = [...new Set(account.positions.map(({ instrument }) => coinOf(instrument)))].sort();
      return <>
        <Top row={account} at={at} source={`GET /api/v1/accounts/${name}`} />
        <WhatIfBuilder key={chosen} account={account} coins={coins} />
        <div class="pair">
          <section><h2>Why: what the figures are made of, USD</h2><Await answer={tree} what="explanation">{(node) =>
            <ul class="tree"><Branch node={node} whole={largest(node)} /></ul>}</Await></section>
          <section><h2>Over time</h2><Await answer={past} what="history">{(points) => points.length ? <Series points={points} /> : <p class="dim">No history yet.</p>}</Await></section>
        </div>
        {coins.length > 0 ? <Surfaces name={name} coins={coins} stamp={asked.at} ask={(coin, moves) => { shareMoves(coin, moves); setChosen(chosen + 1); document.getElementById("what-if")?.scrollIntoView({ block: "start" }); }} /> : <p class="dim">No position, so no price moves this account but those of its collateral.</p>}
        <Compare name={name} own={account.method} stamp={asked.at} />
        <Queue name={name} stamp={asked.at} />
        <Holdings account={account} at={at} />
      </>;
    }}</Await>
  </>;
}
