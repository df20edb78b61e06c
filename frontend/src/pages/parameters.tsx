/** Parameters by the day they take force, and what differs between two of them. */
import { digits } from "../format";
import { events } from "../live";
import { text, words } from "../items";
import { Problem } from "../load";
import { remember, route } from "../route";
import { Scroll } from "../scroll";
import { isTime } from "../wire";
import type { Item } from "../wire";
import { Age } from "../why";
import { useList } from "./items";

/** Every value under its path, so that nested tables compare one by one. */
export function flat(value: unknown, path = ""): Map<string, string> {
  if (path.endsWith("_ns") && typeof value === "number") return new Map([[path, `${digits(value / 1e9)} s`]]);
  if (value === null || typeof value !== "object" || isTime(value)) return new Map([[path, text(value)]]);
  return new Map(Object.entries(value).flatMap(([name, inner]) => [...flat(inner, path ? `${path}.${name}` : name)]));
}

const NOT_VALUES = new Set(["version", "effective", "by", "who", "time", "sequence", "name", "method", "sources", "source"]);

/** The values of a version: under `values`, or all that is not said about the version itself. */
export function valuesOf(item: Item | undefined): Map<string, string> {
  if (!item) return new Map();
  return flat(item.values ?? item.parameters ?? Object.fromEntries(Object.entries(item).filter(([name]) => !NOT_VALUES.has(name))));
}

const title = (item: Item): string => ["method", "name", "version", "effective"].map((name) => item[name]).filter((value) => value !== undefined && value !== null).map(text).join(" · ") || "parameters";

export function Diff({ before, after, all }: { before: Map<string, string>; after: Map<string, string>; all: boolean }) {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const shown = names.filter((name) => all || before.get(name) !== after.get(name));
  if (shown.length === 0) return <p class="dim">The two are alike in all {names.length} values.</p>;
  return <Scroll name="Values before and after"><table><caption>{shown.length} of {names.length} values</caption>
    <thead><tr><th scope="col">parameter</th><th scope="col" class="n">before</th><th scope="col" class="n">after</th><th scope="col">what happened</th></tr></thead>
    <tbody>{shown.map((name) => {
      const [a, b] = [before.get(name), after.get(name)];
      const what = a === b ? "" : a === undefined ? "+ added" : b === undefined ? "− dropped" : "≠ changed";
      return <tr class={what ? "own" : ""}><th scope="row">{words(name)}</th><td class="n wrap">{a ?? "–"}</td><td class="n wrap">{b ?? "–"}</td><td>{what}</td></tr>;
    })}</tbody></table></Scroll>;
}

export function ParametersPage() {
  const stamp = events.value.filter((event) => /param/i.test(JSON.stringify(event))).length;
  const { items, at, error } = useList("parameters", stamp);
  const { query } = route.value;
  const last = items.length - 1;
  const index = (name: string, otherwise: number): number => Math.min(last, Math.max(0, Number(query.get(name) ?? otherwise) || 0));
  const [from, till, all] = [index("from", last - 1), index("to", last), query.get("all") === "1"];
  const change = (changes: Record<string, string>): void => remember({ ...Object.fromEntries(query), ...changes });
  const choice = (name: string, label: string, at: number) => <label>{label} <select value={at} onChange={(event) => change({ [name]: event.currentTarget.value })}>
    {items.map((item, i) => <option value={i}>{title(item)}</option>)}</select></label>;
  return <>
    <h1>Parameters</h1>
    <p class="dim">What the rules are computed with, by version; a change takes force by command and is in the audit. <Age at={at} stale={60_000} /></p>
    {error && <Problem error={error} what="parameters" />}
    {at > 0 && items.length === 0 && <p class="dim">No parameters have been set.</p>}
    {items.length > 0 && <>
      <p class="row">{choice("from", "before", from)} {choice("to", "after", till)}
        <label><input type="checkbox" checked={all} onChange={(event) => change({ all: event.currentTarget.checked ? "1" : "" })} /> alike ones too</label></p>
      <Diff before={valuesOf(items[from])} after={valuesOf(items[till])} all={all || from === till} />
    </>}
  </>;
}
