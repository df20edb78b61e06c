/** A change of parameters: typed, looked at as a difference, and asked for; another owner approves it. */
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { overview, session } from "../live";
import { clock } from "../format";
import { route, remember, to } from "../route";
import { changed, leaves, read, written } from "../values";
import type { Leaf } from "../values";
import type { Item } from "../wire";
import { Diff, named, valuesOf } from "./parameters";

type Drafts = Record<string, string>;
interface When { from: string; grace: string; ramp: string }
interface Fault { path: string | null; text: string }

const HOUR_NS = 3_600e9;
const AT_ONCE: When = { from: "", grace: "", ramp: "" };

function fromAddress(): Drafts {
  try {
    return JSON.parse(route.value.query.get("set") ?? "{}") as Drafts;
  } catch {
    return {};
  }
}

/** The field that a refusal speaks of: the one whose path it states, else the one whose name it says. */
function spokenOf(error: Error, paths: string[]): string | null {
  const last = (path: string): string => path.split(".").at(-1)!;
  const longest = [...paths].sort((a, b) => b.length - a.length);
  const said = error.message.replaceAll("[", ".").replaceAll("]", "");
  return longest.find((path) => said.includes(`$.${path}\``) || said.includes(`.parameters.${path}\``)) ?? longest.find((path) => new RegExp(`\\b${last(path)}\\b`).test(said)) ?? null;
}

/** What is proposed, or the first field that cannot be read. */
function proposedOf(values: unknown, drafts: Drafts, likes: Map<string, Leaf>): { proposed: unknown; fault: Fault | null } {
  let proposed = values;
  for (const [path, typed] of Object.entries(drafts)) {
    if (!likes.has(path)) continue;
    try {
      proposed = changed(proposed, read(path, typed, likes.get(path)!), path.split("."));
    } catch (error) {
      return { proposed: values, fault: { path, text: (error as Error).message } };
    }
  }
  return { proposed, fault: null };
}

function Field({ path, leaf, draft, set, fault }: { path: string; leaf: Leaf; draft: string | undefined; set: (typed: string) => void; fault: Fault | null }) {
  const id = `value-${path.replaceAll(/[^\w-]/g, "-")}`;
  const now = written(path, leaf);
  const wrong = fault?.path === path;
  const own = { id, "aria-invalid": wrong || undefined, "aria-describedby": wrong ? `${id}-fault` : undefined };
  const value = draft ?? now;
  return <tr class={draft !== undefined && draft !== now ? "own" : ""}>
    <th scope="row"><label for={id}>{named(path)}{path.endsWith("_ns") && ", s"}</label></th>
    <td class="n dim wrap optional">{now === "" ? "none" : typeof leaf === "boolean" ? (leaf ? "yes" : "no") : now}</td>
    <td>{typeof leaf === "boolean"
      ? <select {...own} value={value} onChange={(event) => set(event.currentTarget.value)}><option value="true">yes</option><option value="false">no</option></select>
      : <input {...own} value={value} placeholder="none" autocomplete="off" spellcheck={false} inputMode={typeof leaf === "number" ? "decimal" : undefined} onInput={(event) => set(event.currentTarget.value)} />}
      {wrong && <p class="fault" id={`${id}-fault`} role="alert">{fault!.text}</p>}</td>
  </tr>;
}

/** When a method's new parameters bind; the engine's own bind at once. */
function WhenFields({ when, set }: { when: When; set: (when: When) => void }) {
  const time = overview.value?.time;
  return <fieldset class="row"><legend>When it binds</legend>
    <label>takes force, UTC <input type="datetime-local" value={when.from} onInput={(event) => set({ ...when, from: event.currentTarget.value })} /></label>
    <label>maintenance waits, hours <input size={5} inputMode="decimal" value={when.grace} placeholder="0" onInput={(event) => set({ ...when, grace: event.currentTarget.value })} /></label>
    <label>then rises over, hours <input size={5} inputMode="decimal" value={when.ramp} placeholder="0" onInput={(event) => set({ ...when, ramp: event.currentTarget.value })} /></label>
    <span class="dim">Left empty, at once{time && `; the engine's time is ${clock(time.iso)}`}.</span>
  </fieldset>;
}

const hours = (typed: string): number => Math.round(Number(typed || 0) * HOUR_NS);

function question(name: string, parameters: unknown, when: When): unknown {
  if (name === "engine") return { parameters };
  return { method: name, parameters, effective_ns: when.from ? Date.parse(`${when.from}Z`) * 1e6 : 0, grace_ns: hours(when.grace), ramp_ns: hours(when.ramp) };
}

function Sent({ waiting, done }: { waiting: boolean; done: () => void }) {
  return <div class="card" role="status">
    <p><b>{waiting ? "Asked for: it waits for a second owner." : "Done: the change is in force."}</b></p>
    <p class="row">{waiting && <a href={to("approvals")}>To the approvals</a>}<button type="button" onClick={done}>Back to what is in force</button></p>
  </div>;
}

export function Propose({ name, item, done }: { name: string; item: Item; done: () => void }) {
  const [base] = useState(item.values);
  const [whole, setWhole] = useState(base);
  const [drafts, setDrafts] = useState(fromAddress);
  const [when, setWhen] = useState(AT_ONCE);
  const [find, setFind] = useState("");
  const [fault, setFault] = useState<Fault | null>(null);
  const [reviewing, setReviewing] = useState(false);
  const [sent, setSent] = useState<"no" | "asking" | "waits" | "done">("no");
  const key = useRef("");
  const heading = useRef<HTMLHeadingElement>(null);
  const fields = leaves(whole);
  const likes = new Map(fields.map(({ path, leaf }) => [path, leaf]));
  const { proposed, fault: unread } = proposedOf(whole, drafts, likes);
  const [before, after] = [valuesOf({ values: base }), valuesOf({ values: proposed })];
  const count = [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path)).length;
  const shown = fields.filter(({ path }) => named(path).toLowerCase().includes(find.toLowerCase()) || path === fault?.path);
  useEffect(() => heading.current?.focus(), [reviewing]);
  useEffect(() => {
    if (fault?.path) document.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }, [fault]);
  const edit = (path: string, typed: string): void => {
    const next = { ...drafts, [path]: typed };
    if (typed === written(path, likes.get(path) ?? null)) delete next[path];
    setDrafts(next);
    setFault(null);
    remember({ ...Object.fromEntries(route.value.query), set: Object.keys(next).length ? JSON.stringify(next) : "" });
  };
  const review = (): void => {
    setFault(unread);
    if (unread) return;
    key.current = `parameters-${Array.from(crypto.getRandomValues(new Uint32Array(4)), (each) => each.toString(16)).join("")}`;
    setReviewing(true);
  };
  const send = (): void => {
    setSent("asking");
    api.proposeParameters(question(name, proposed, when), key.current).then(
      ({ state }) => setSent(state === "pending" ? "waits" : "done"),
      (error: Error) => { setSent("no"); setReviewing(false); setFault({ path: spokenOf(error, Object.keys(drafts)) ?? spokenOf(error, [...likes.keys()]), text: error.message }); },
    );
  };
  if (sent === "waits" || sent === "done") return <Sent waiting={sent === "waits"} done={done} />;
  const several = count === 1 ? "1 change" : `${count} changes`;
  if (reviewing) return <section class="propose">
    <h2 ref={heading} tabIndex={-1}>{several} of {name}, to be looked at</h2>
    <Diff before={before} after={after} all={false} names={{ before: "in force", after: "proposed" }} />
    {name !== "engine" && <p class="dim">Takes force {when.from ? `${when.from.replace("T", " ")} UTC` : "at once"}{hours(when.grace) > 0 && `; maintenance waits ${when.grace} hours`}{hours(when.ramp) > 0 && `, then rises over ${when.ramp} hours`}.</p>}
    <p>{session.value ? "Another owner has to approve it before it takes force." : "This service asks nobody who is there: the change takes force as soon as it is sent."}</p>
    <p class="row"><button type="button" class="main" disabled={sent === "asking"} onClick={send}>{sent === "asking" ? "Asking …" : session.value ? "Ask for it" : "Change it now"}</button>
      <button type="button" onClick={() => setReviewing(false)}>Back to the values</button></p>
  </section>;
  return <form class="propose" noValidate onSubmit={(event) => { event.preventDefault(); if (count > 0 || unread) review(); }}>
    <h2 ref={heading} tabIndex={-1}>Propose a change of {name}</h2>
    {fault && fault.path === null && <p class="problem" role="alert"><b>Not asked for:</b> {fault.text}.</p>}
    <p class="row stays"><label>find <input type="search" value={find} onInput={(event) => setFind(event.currentTarget.value)} /></label>
      <button type="submit" class="main" disabled={count === 0 && !unread}>{count === 0 && !unread ? "Nothing changed yet" : `Look at ${unread ? "the changes" : several}`}</button>
      <button type="button" onClick={done}>Cancel</button></p>
    <table class="values"><caption>Values of {name}; none where a field is empty. Enter goes on to look at what would change.</caption>
      <thead><tr><th scope="col">parameter</th><th scope="col" class="n optional">in force</th><th scope="col">proposed</th></tr></thead>
      <tbody>{shown.map(({ path, leaf }) => <Field key={path} path={path} leaf={leaf} draft={drafts[path]} fault={fault} set={(typed) => edit(path, typed)} />)}</tbody></table>
    {name !== "engine" && <WhenFields when={when} set={setWhen} />}
    <Whole values={proposed} set={(values) => { setWhole(values); setDrafts({}); setFault(null); }} />
  </form>;
}

/** All values as JSON, for what fields cannot say: another coin, another tier. */
function Whole({ values, set }: { values: unknown; set: (values: unknown) => void }) {
  const [problem, setProblem] = useState("");
  const take = (typed: string): void => {
    try {
      const found: unknown = JSON.parse(typed);
      if (typeof found !== "object" || found === null || Array.isArray(found)) throw new Error("an object of values is needed");
      set(found);
      setProblem("");
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return <details><summary>All values as JSON, to add or drop some</summary>
    <textarea aria-label="All values as JSON" rows={16} spellcheck={false} aria-invalid={problem ? true : undefined} onChange={(event) => take(event.currentTarget.value)}>{JSON.stringify(values, null, 2)}</textarea>
    {problem && <p class="fault" role="alert">This is no JSON that could be taken: {problem}.</p>}</details>;
}
