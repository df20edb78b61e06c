/** What the rules are computed with: what is in force beside what it replaced or came with, and a change of it asked for. */
import { clock, digits } from "../format";
import { events, session } from "../live";
import { text, words } from "../items";
import { Problem } from "../load";
import { remember, route } from "../route";
import { save } from "../save";
import { Scroll } from "../scroll";
import { isTime } from "../wire";
import type { Item } from "../wire";
import { Age } from "../why";
import { useList } from "./items";
import { Propose } from "./propose";

const UNITS: [number, string][] = [[86_400, "d"], [3_600, "h"], [60, "min"]];

/** A duration in the largest unit of which it is a few whole ones. */
function duration(seconds: number): string {
  const [length, unit] = UNITS.find(([each]) => seconds > 0 && seconds % each === 0 && seconds / each < 1_000) ?? [1, "s"];
  return `${digits(seconds / length)} ${unit}`;
}

/** Every value under its path, so that nested tables compare one by one. */
export function flat(value: unknown, path = ""): Map<string, string> {
  if (path.endsWith("_ns") && typeof value === "number") return new Map([[path, duration(value / 1e9)]]);
  if (typeof value === "boolean") return new Map([[path, value ? "yes" : "no"]]);
  if (value === null) return new Map([[path, "none"]]);
  if (typeof value !== "object" || isTime(value)) return new Map([[path, text(value)]]);
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return new Map([[path, text(value)]]);
  return new Map(Object.entries(value).flatMap(([name, inner]) => [...flat(inner, path ? `${path}.${name}` : name)]));
}

const NOT_VALUES = new Set(["version", "by", "who", "time", "sequence", "name", "method", "sources", "source", "in_force", "shipped", "grace_ns", "ramp_ns"]);
const listed = (values: unknown): Map<string, string> => flat(Object.fromEntries(Object.entries((values ?? {}) as Item).filter(([name]) => !NOT_VALUES.has(name))));

/** The values of a version: under `values`, or all that is not said about the version itself. */
export const valuesOf = (item: Item | undefined): Map<string, string> => listed(item?.values ?? item?.parameters ?? item);

/** A path as a reader says it. */
export const named = (path: string): string => path.split(".").map((part) => (/^\d+$/.test(part) ? `#${Number(part) + 1}` : words(part))).join(" · ");

export interface Names { before: string; after: string }

export function Diff({ before, after, all, names = { before: "before", after: "after" }, find = "" }: { before: Map<string, string>; after: Map<string, string>; all: boolean; names?: Names; find?: string }) {
  const paths = [...new Set([...after.keys(), ...before.keys()])];
  const changed = paths.filter((path) => before.get(path) !== after.get(path));
  const shown = [...changed, ...(all ? paths.filter((path) => before.get(path) === after.get(path)) : [])].filter((path) => named(path).toLowerCase().includes(find.toLowerCase()));
  if (shown.length === 0) return <p class="dim">{find ? `No parameter's name holds “${find}”.` : `The two are alike in all ${paths.length} values.`}</p>;
  return <Scroll name="Values before and after"><table class="diff"><caption>{changed.length === 0 ? `Alike in all ${paths.length} values` : `${changed.length} of ${paths.length} values differ`}</caption>
    <thead><tr><th scope="col">parameter</th><th scope="col" class="n">{names.before}</th><th scope="col" class="n">{names.after}</th><th scope="col"><span class="unseen">what happened</span></th></tr></thead>
    <tbody>{shown.map((path) => {
      const [a, b] = [before.get(path), after.get(path)];
      const [sign, what] = a === b ? ["", ""] : a === undefined ? ["+", "added"] : b === undefined ? ["−", "dropped"] : ["≠", "changed"];
      return <tr class={what ? "own" : ""}><th scope="row">{named(path)}</th><td class="n wrap">{a ?? "–"}</td><td class="n wrap">{b ?? "–"}</td><td class="nowrap">{sign} <span class="word">{what}</span></td></tr>;
    })}</tbody></table></Scroll>;
}

/** The versions of one set of parameters, the oldest first. */
interface Family { name: string; versions: Item[]; current: number }

function families(items: Item[]): Family[] {
  const names = [...new Set(items.map((item) => String(item.name ?? item.method ?? "parameters")))];
  return names.map((name) => {
    const versions = items.filter((item) => String(item.name ?? item.method ?? "parameters") === name);
    const current = versions.findIndex((item) => item.in_force === true);
    return { name, versions, current: current < 0 ? versions.length - 1 : current };
  });
}

const SHIPPED = "shipped";

const stateOf = (at: number, current: number): string => (at === current ? "in force" : at > current ? "to come" : "replaced");

function label({ versions, current }: Family, at: number): string {
  const { version, effective } = versions[at]!;
  const since = isTime(effective) ? `from ${clock(effective.iso).slice(0, 16)} UTC` : "";
  return [version === undefined ? "" : `version ${String(version)}`, stateOf(at, current), since].filter(Boolean).join(", ");
}

function Sources({ item }: { item: Item }) {
  const found = (item.values as Item | undefined)?.sources;
  if (!Array.isArray(found) || found.length === 0) return null;
  return <details><summary>Where they come from: {found.length === 1 ? "1 source" : `${found.length} sources`}</summary><ul class="plain">{(found as Item[]).map(({ title, url, read, note }) => <li>
    {url ? <a href={String(url)} rel="noreferrer" target="_blank">{String(title)}</a> : String(title)}{read ? <span class="dim"> read {String(read)}</span> : null}{note ? <span class="dim">; {String(note)}</span> : null}</li>)}</ul></details>;
}

export function ParametersPage() {
  const stamp = events.value.filter((event) => /param/i.test(JSON.stringify(event))).length;
  const { items, at, error } = useList("parameters", stamp);
  const { query } = route.value;
  const change = (changes: Record<string, string>): void => remember({ ...Object.fromEntries(query), ...changes });
  const all = families(items);
  const family = all.find(({ name }) => name === query.get("of")) ?? all[0];
  const who = session.value;
  const mayAsk = who === null || (who.accounts === null && who.scopes?.includes("admin") === true);
  const proposing = query.get("propose") === "1" && mayAsk;
  return <>
    <h1>Parameters</h1>
    <p class="dim">What the rules are computed with. A change is a command: it takes force for everybody at one moment, and a second owner approves it first.</p>
    {error && <Problem error={error} what="parameters" />}
    {at > 0 && items.length === 0 && <p class="dim">No parameters have been set.</p>}
    {family && <>
      <div class="row">
        <span class="row" role="group" aria-label="Parameters of">{all.map(({ name }) => <button type="button" key={name} aria-pressed={name === family.name} onClick={() => remember({ of: name, ...(proposing ? { propose: "1" } : {}) })}>{name}</button>)}</span>
        {mayAsk && !proposing && <button type="button" class="main" onClick={() => change({ propose: "1", set: "" })}>Propose a change</button>}
        <Age at={at} stale={60_000} />
      </div>
      {proposing ? <Propose key={`${family.name} ${family.versions.length}`} name={family.name} item={family.versions[family.versions.length - 1]!} done={() => change({ propose: "", set: "" })} />
        : <Compared family={family} query={query} change={change} />}
    </>}
  </>;
}

function Compared({ family, query, change }: { family: Family; query: URLSearchParams; change: (changes: Record<string, string>) => void }) {
  const { versions, current } = family;
  const shipped = versions[0]!.shipped as Item | null | undefined;
  const asked = (name: string, otherwise: number): number => Math.min(versions.length - 1, Math.max(0, query.has(name) ? Number(query.get(name)) - 1 || 0 : otherwise));
  const after = asked("after", current);
  const fromShipped = Boolean(shipped) && (query.get("before") === SHIPPED || (!query.has("before") && after === 0));
  const before = asked("before", Math.max(0, after - 1));
  const [a, b] = [fromShipped ? listed(shipped) : valuesOf(versions[before]), valuesOf(versions[after])];
  const differ = [...new Set([...a.keys(), ...b.keys()])].some((path) => a.get(path) !== b.get(path));
  const every = query.get("all") === "1" || !differ;
  const find = query.get("find") ?? "";
  const choices = versions.map((_, at) => <option value={String(at + 1)}>{label(family, at)}</option>);
  return <>
    <p class="row">
      <label>compare <select value={String(after + 1)} onChange={(event) => change({ after: event.currentTarget.value })}>{choices}</select></label>
      <label>with <select value={fromShipped ? SHIPPED : String(before + 1)} onChange={(event) => change({ before: event.currentTarget.value })}>
        {shipped && <option value={SHIPPED}>as shipped</option>}{choices}</select></label>
      <label>find <input type="search" value={find} onInput={(event) => change({ find: event.currentTarget.value })} /></label>
      {differ && <label><input type="checkbox" checked={every} onChange={(event) => change({ all: event.currentTarget.checked ? "1" : "" })} /> alike ones too</label>}
      <button type="button" onClick={() => save(`parameters-${family.name}`, [...new Set([...a.keys(), ...b.keys()])].map((path) => ({ parameter: path, before: a.get(path), after: b.get(path) })))}>CSV</button>
    </p>
    <Diff before={a} after={b} all={every} find={find} names={{ before: fromShipped ? "as shipped" : stateOf(before, current), after: stateOf(after, current) }} />
    <Sources item={versions[after]!} />
  </>;
}
