/** A list whose fields the server decides: found, paged, taken along. */
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { deed, fields, named, words } from "../items";
import { Problem } from "../load";
import { remember, route, to } from "../route";
import { save } from "../save";
import { Scroll } from "../scroll";
import { isTime } from "../wire";
import { Age } from "../why";
import type { Item } from "../wire";

export interface Listed { items: Item[]; next: string | null; at: number; error: Error | null; more: () => void; again: () => void }

/** A list from its first page on; `stamp` asks again from the start. */
export function useList(name: string, stamp: number): Listed {
  const [held, setHeld] = useState<Omit<Listed, "more" | "again">>({ items: [], next: null, at: 0, error: null });
  const ask = (cursor: string | null, before: Item[], current: () => boolean): void => void api.list(name, cursor).then(
    ({ items, next }) => current() && setHeld({ items: [...before, ...items], next, at: Date.now(), error: null }),
    (error: Error) => current() && setHeld((last) => ({ ...last, error })),
  );
  useEffect(() => {
    let current = true;
    ask(null, [], () => current);
    return () => void (current = false);
  }, [name, stamp]);
  return { ...held, more: () => ask(held.next, held.items, () => true), again: () => ask(null, [], () => true) };
}

const isNumber = (value: unknown): boolean => typeof value === "number" || (typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value));

/** What is there for a machine: the CSV has it. */
const HIDDEN = new Set(["sequence"]);
/** What a phone has no room for. */
const SPARED = new Set(["command", "level", "equity", "initial", "effective_ns", "deadline_ns"]);
/** What a reader looks for first. */
const FIRST = ["time", "account", "type", "what"];
const place = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
const classes = (...names: (string | false)[]): string => names.filter(Boolean).join(" ");

/** A day and its time, which a phone puts under each other, and never breaks within. */
export const Moment = ({ text }: { text: string }) => <>{text.split(" ").flatMap((part) => [<span class="whole">{part}</span>, " "])}</>;

export function ItemTable({ items, caption }: { items: Item[]; caption: string }) {
  const names = fields(items).filter((name) => !HIDDEN.has(name)).sort((a, b) => place(a) - place(b));
  const right = new Set(names.filter((name) => items.every((item) => item[name] === null || item[name] === undefined || isNumber(item[name])) && !name.endsWith("_ns")));
  return <Scroll name={caption}><table><caption>{caption}</caption>
    <thead><tr>{names.map((name) => <th scope="col" class={classes(right.has(name) && "n", SPARED.has(name) && "optional")}>{words(name)}</th>)}</tr></thead>
    <tbody>{items.map((item) => <tr>{names.map((name) => <td class={classes(right.has(name) ? "n" : (isTime(item[name]) || name.endsWith("_ns") || name === "account") && "nowrap", SPARED.has(name) && "optional")}>{name === "account" ? <a href={to("account", String(item.account))}>{String(item.account)}</a> : name === "type" ? <b>{deed(String(item.type))}</b> : isTime(item[name]) || name.endsWith("_ns") ? <Moment text={named(name, item[name])} /> : named(name, item[name])}</td>)}</tr>)}</tbody>
  </table></Scroll>;
}

/** One list with a filter that the address remembers. */
export function Listing({ name, title, stamp }: { name: api.List; title: string; stamp: number }) {
  const list = useList(name, stamp);
  const { query } = route.value;
  const wanted = query.get("find") ?? "";
  const shown = wanted ? list.items.filter((item) => JSON.stringify(item).toLowerCase().includes(wanted.toLowerCase())) : list.items;
  return <>
    <p class="row"><label>find <input type="search" value={wanted} onInput={(event) => remember({ ...Object.fromEntries(query), find: event.currentTarget.value })} /></label>
      <span class="num" role="status">{shown.length} of {list.items.length}{list.next ? " loaded" : ""}</span> {list.at > 0 && <Age at={list.at} stale={60_000} />}
      <button type="button" disabled={shown.length === 0} onClick={() => save(name, shown)}>CSV</button></p>
    {list.error && <Problem error={list.error} what={title.toLowerCase()} />}
    {shown.length > 0 ? <ItemTable items={shown} caption={title} /> : list.at > 0 && <p class="dim">Nothing yet.</p>}
    {list.next && <p><button type="button" onClick={list.more}>More</button></p>}
  </>;
}
