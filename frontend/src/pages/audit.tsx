/** Who asked for what, when and from where, by the service's own log; and what the engine has noted of itself. */
import { useEffect, useState } from "preact/hooks";
import { clock } from "../format";
import { events, session } from "../live";
import { Problem } from "../load";
import { remember, route } from "../route";
import { save } from "../save";
import { Scroll } from "../scroll";
import { isTime } from "../wire";
import type { Item } from "../wire";
import { Age } from "../why";
import { Listing, Moment, useList } from "./items";
import type { Listed } from "./items";

/** What a request does, in words: by method and path, the longest path first. */
const DEEDS: [RegExp, string][] = [
  [/^POST \/api\/v1\/session/, "logged in"],
  [/^DELETE \/api\/v1\/session/, "logged out"],
  [/^POST \/api\/v1\/parameters/, "asked for other parameters"],
  [/^POST \/api\/v1\/approvals/, "decided on what another asked for"],
  [/^POST \/api\/v1\/orders/, "placed an order"],
  [/^DELETE \/api\/v1\/accounts\/\{name\}\/orders/, "cancelled an order"],
  [/^POST \/api\/v1\/deposits/, "credited a deposit"],
  [/^POST \/api\/v1\/withdrawals/, "asked for a withdrawal"],
  [/^POST \/api\/v1\/stress/, "ran a stress"],
  [/^POST \/api\/v1\/accounts\/\{name\}\/what-if/, "asked what if"],
  [/^POST \/api\/v1\/(margin|compare)/, "margined a book"],
  [/^POST \/api\/v1\/alerts/, "acknowledged an alert"],
  [/^GET /, "looked at"],
];

/** The filter's choices, and the part of an entry that each looks for. */
const KINDS: [string, string][] = [
  ["refused", "refused"], ["log-ins and log-outs", "/session"], ["parameters", "/parameters"], ["approvals", "/approvals"], ["orders", "/orders"],
  ["deposits", "/deposits"], ["withdrawals", "/withdrawals"], ["stress", "/stress"], ["what-if", "/what-if"],
];

interface Deed { what: string; on: string; refused: boolean; outcome: string }

function deed({ action, decision }: Item): Deed {
  const [asked, said] = [String(action), String(decision)];
  const words = DEEDS.find(([pattern]) => pattern.test(asked))?.[1];
  const path = asked.split(" ").slice(0, 2).join(" ").replace("/api/v1/", "");
  const on = asked.match(/'(?:name|order|method)': '([^']*)'/)?.[1] ?? "";
  const refused = said.startsWith("refused");
  return { what: words === undefined ? path : words === "looked at" ? `looked at ${path.replace(/^GET /, "")}` : words, on, refused, outcome: refused ? said.replace(/^refused:\s*/, "") : said };
}

const by = (via: unknown): string => (String(via) === "session" ? "the dashboard's log-in" : String(via).replace(/^key:/, "key ").replace(/^unknown$/, "nothing known"));

function Entries({ list }: { list: Listed }) {
  return <Scroll name="Who asked for what"><table class="audit"><caption>The newest first; times UTC</caption>
    <thead><tr><th scope="col">when</th><th scope="col">who</th><th scope="col">did what</th><th scope="col" class="optional">from</th><th scope="col" class="optional">by</th><th scope="col">outcome</th></tr></thead>
    <tbody>{list.items.map((item) => {
      const { what, on, refused, outcome } = deed(item);
      return <tr key={String(item.sequence)}><td class="num nowrap">{isTime(item.time) ? <Moment text={clock(item.time.iso)} /> : "–"}</td>
        <th scope="row"><button type="button" class="plain" title="only of this one" onClick={() => remember({ ...Object.fromEntries(route.value.query), who: String(item.who) })}>{String(item.who)}</button></th>
        <td title={`${String(item.action)}; ${String(item.detail)}`}>{what}{on && <>, <b>{on}</b></>}<span class="narrow dim">from {String(item.address)}, {by(item.via)}</span></td>
        <td class="num optional">{String(item.address)}</td><td class="optional">{by(item.via)}</td>
        <td class="wrap">{refused ? <span class="bad">▲ refused: {outcome}</span> : outcome}</td></tr>;
    })}</tbody></table></Scroll>;
}

function Asked() {
  const { query } = route.value;
  const [who, action] = [query.get("who") ?? "", query.get("action") ?? ""];
  const question = new URLSearchParams({ ...(who && { who }), ...(action && { action }) }).toString();
  const [typed, setTyped] = useState(who);
  useEffect(() => setTyped(who), [who]);
  const list = useList(`access-log${question && `?${question}`}`, 0);
  const change = (changes: Record<string, string>): void => remember({ ...Object.fromEntries(query), ...changes });
  const known = [...new Set(list.items.map((item) => String(item.who)))].sort();
  return <>
    <form class="row" role="search" onSubmit={(event) => { event.preventDefault(); change({ who: typed.trim() }); }}>
      <label>who <input type="search" list="audit-who" value={typed} placeholder="everybody" onInput={(event) => setTyped(event.currentTarget.value)} onChange={() => change({ who: typed.trim() })} /></label>
      <datalist id="audit-who">{known.map((name) => <option value={name} />)}</datalist>
      <label>what <select value={action} onChange={(event) => change({ action: event.currentTarget.value })}><option value="">everything</option>{KINDS.map(([label, part]) => <option value={part}>{label}</option>)}</select></label>
      <span class="num" role="status">{list.items.length === 1 ? "1 entry" : `${list.items.length} entries`}{list.next ? ", more to load" : ""}</span> {list.at > 0 && <Age at={list.at} stale={60_000} />}
      <button type="button" onClick={list.again}>Again</button>
      <button type="button" disabled={list.items.length === 0} onClick={() => save("audit", list.items)}>CSV</button>
    </form>
    {list.error && <Problem error={list.error} what="log" />}
    {list.items.length > 0 ? <Entries list={list} /> : list.at > 0 && <p class="dim">{who || action ? "Nobody did this." : "Nothing has been asked for yet."}</p>}
    {list.next && <p><button type="button" onClick={list.more}>More</button></p>}
    <p class="dim">Changes, refusals and log-ins; what was only looked at is not written down. Each entry holds the hash of the one before: <code>crossmargin audit-log</code> checks that none was changed.</p>
  </>;
}

export function AuditPage() {
  const who = session.value;
  const known = who !== null && who.scopes?.includes("admin") === true;
  const of = known && route.value.query.get("of") !== "engine" ? "asked" : "engine";
  return <>
    <h1>Audit</h1>
    {known && <p class="row" role="group" aria-label="Audit of">
      <button type="button" aria-pressed={of === "asked"} onClick={() => remember({})}>Who did what</button>
      <button type="button" aria-pressed={of === "engine"} onClick={() => remember({ of: "engine" })}>What the engine noted</button></p>}
    {of === "asked" ? <Asked /> : <>
      <p class="dim">{who === null ? "This service asks nobody who is there, so nobody's name stands here. " : !known ? "Who asked for it is shown to owners with the scope admin. " : ""}Checks of the books, halts, and changes of parameters, in the order in which they took force.</p>
      <Listing name="audit" title="What the engine noted" stamp={events.value.length} /></>}
  </>;
}
