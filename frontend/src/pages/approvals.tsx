/** What waits for a second owner: four eyes see a change of parameters, or a large withdrawal, before it is done. */
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { clock, digits } from "../format";
import { ItemText, text } from "../items";
import { session } from "../live";
import { Problem } from "../load";
import { to } from "../route";
import { Scroll } from "../scroll";
import { Age } from "../why";
import type { Approval, Item } from "../wire";
import { useList } from "./items";
import { Diff, valuesOf } from "./parameters";

const POLL_MS = 5_000;

/** What a change of parameters asks for, beside what is in force; null where the command is of another kind. */
function changeOf({ command }: Approval, force: Item[]): { before: Map<string, string>; after: Map<string, string> } | null {
  if (!/^Set(Margin)?Parameters$/.test(String(command.type))) return null;
  const own = force.filter((each) => (command.type === "SetParameters" ? each.name === "engine" : each.method === command.method));
  return { before: valuesOf(own[own.length - 1]), after: valuesOf({ values: command.parameters }) };
}

/** What is asked for, in words. */
function title({ command }: Approval): string {
  if (command.type === "SetParameters") return "Parameters of the engine";
  if (command.type === "SetMarginParameters") return `Parameters of ${String(command.method)}`;
  if (command.type === "Withdraw") return `Withdrawal of ${text(command.amount)} ${String(command.asset)} from ${String(command.account)}`;
  return String(command.type);
}

/** When a method's parameters bind, where that is not at once. */
function Binding({ command }: Approval) {
  const [from, grace, ramp] = [command.effective_ns, command.grace_ns, command.ramp_ns].map((ns) => Number(ns ?? 0));
  if (!from && !grace && !ramp) return null;
  return <p class="dim">Takes force {from ? `${clock(new Date(from! / 1e6).toISOString())} UTC` : "at once"}{grace ? `; maintenance waits ${digits(grace / 3_600e9)} hours` : ""}{ramp ? `, then rises over ${digits(ramp / 3_600e9)} hours` : ""}.</p>;
}

function Waiting({ item, force, decided }: { item: Approval; force: Item[] | null; decided: (error: Error | null) => void }) {
  const ofParameters = /^Set(Margin)?Parameters$/.test(String(item.command.type));
  const change = force && changeOf(item, force);
  const [asking, setAsking] = useState(false);
  const own = session.value?.user === item.asked_by;
  const decide = (decision: "approve" | "reject"): void => {
    setAsking(true);
    api.decide(item.id, decision).then(() => decided(null), (error: Error) => decided(error)).finally(() => setAsking(false));
  };
  return <article class="card">
    <h2>{title(item)} <span class="dim">asked by {item.asked_by}, <span class="num">{clock(item.asked.iso)} UTC</span></span></h2>
    {change ? <><Diff {...change} all={false} names={{ before: "in force", after: "proposed" }} /><Binding {...item} /></> : ofParameters ? <p class="dim loading" role="status">Asking what is in force …</p> : <p><ItemText of={{ ...item.command, type: null, id: null }} /></p>}
    {own ? <p class="dim">You asked for this: another owner has to decide.</p> : <p class="row">
      <button type="button" class="main" disabled={asking} onClick={() => decide("approve")}>Approve</button>
      <button type="button" disabled={asking} onClick={() => decide("reject")}>Reject</button></p>}
  </article>;
}

const ids = (items: Approval[]): string => items.map(({ id }) => id).join();

export function ApprovalsPage() {
  const [held, setHeld] = useState<{ waiting: Approval[]; at: number; changes: number } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const inForce = useList("parameters", held?.changes ?? 0);
  const asked = useList("approvals", held?.changes ?? 0);
  const ask = (): void => void api.waiting().then(
    (waiting) => setHeld((last) => ({ waiting, at: Date.now(), changes: last ? last.changes + Number(ids(last.waiting) !== ids(waiting)) : 0 })),
    (problem: Error) => setError(problem),
  );
  useEffect(() => {
    ask();
    const timer = setInterval(ask, POLL_MS);
    return () => clearInterval(timer);
  }, []);
  const waiting = held?.waiting ?? [];
  const done = (asked.items as unknown as Approval[]).filter(({ state }) => state !== "pending");
  return <>
    <h1>Approvals</h1>
    <p class="dim">Changes of parameters and withdrawals above their limit are done once a second owner has approved them. {held && <Age at={held.at} />}</p>
    {error && <Problem error={error} what="decision" />}
    {!held && !error && <p class="dim loading" role="status">Asking what waits …</p>}
    {held && waiting.length === 0 && <p>Nothing waits. <a href={to("parameters", "", { propose: "1" })}>Propose a change of parameters</a></p>}
    {waiting.map((item) => <Waiting key={item.id} item={item} force={inForce.at > 0 ? inForce.items : null} decided={(problem) => { setError(problem); ask(); }} />)}
    {done.length > 0 && <><h2>Decided</h2><Scroll name="Decided"><table><caption>The newest first; times UTC</caption>
      <thead><tr><th scope="col">what</th><th scope="col">asked by</th><th scope="col">decided</th><th scope="col">by</th><th scope="col" class="optional">when</th></tr></thead>
      <tbody>{done.map((item) => <tr><th scope="row">{title(item)}</th><td>{item.asked_by}</td><td>{item.state === "rejected" ? <span class="warn">rejected</span> : item.state}</td><td>{text(item.decided_by)}</td><td class="optional num">{text(item.decided)}</td></tr>)}</tbody></table></Scroll></>}
    {asked.error && <Problem error={asked.error} what="what was decided" />}
    {asked.next && <p><button type="button" onClick={asked.more}>More</button></p>}
  </>;
}
