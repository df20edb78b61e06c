/** A list whose fields the server decides: found, paged, taken along. */
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { usdCents } from "../format";
import { fields, named, words } from "../items";
import { Problem } from "../load";
import { remember, route } from "../route";
import { save } from "../save";
import { Scroll } from "../scroll";
import { isTime } from "../wire";
import { Age } from "../why";
import type { Item } from "../wire";

export interface Listed { items: Item[]; next: string | null; at: number; error: Error | null; more: () => void }

/** A list from its first page on; `stamp` asks again from the start. */
export function useList(name: api.List, stamp: number): Listed {
  const [held, setHeld] = useState<Omit<Listed, "more">>({ items: [], next: null, at: 0, error: null });
  const ask = (cursor: string | null, before: Item[], current: () => boolean): void => void api.list(name, cursor).then(
    ({ items, next }) => current() && setHeld({ items: [...before, ...items], next, at: Date.now(), error: null }),
    (error: Error) => current() && setHeld((last) => ({ ...last, error })),
  );
  useEffect(() => {
    let current = true;
    ask(null, [], () => current);
    return () => void (current = false);
  }, [name, stamp]);
  return { ...held, more: () => ask(held.next, held.items, () => true) };
}

const isNumber = (value: unknown): boolean => typeof value === "number" || (typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value));

/** Figures in USD, which are written to the cent, so that they stand under each other. */
const MONEY = new Set(["deficit", "equity", "initial", "maintenance"]);
/** What a phone has no room for. */
const SPARED = new Set(["sequence", "command"]);
const classes = (...names: (string | false)[]): string => names.filter(Boolean).join(" ");

export function ItemTable({ items, caption }: { items: Item[]; caption: string }) {
  // a column that says the same of all, and in the caption already, is spared
  const names = fields(items).filter((name) => name !== "type" || items.some((item) => item.type !== items[0]!.type));
  const right = new Set(names.filter((name) => items.every((item) => item[name] === null || item[name] === undefined || isNumber(item[name])) && !name.endsWith("_ns")));
  return <Scroll name={caption}><table><caption>{caption}</caption>
    <thead><tr>{names.map((name) => <th scope="col" class={classes(right.has(name) && "n", SPARED.has(name) && "optional")}>{words(name)}</th>)}</tr></thead>
    <tbody>{items.map((item) => <tr>{names.map((name) => <td class={classes(right.has(name) ? "n" : (isTime(item[name]) || name.endsWith("_ns") || name === "account") && "nowrap", SPARED.has(name) && "optional")}>{MONEY.has(name) ? usdCents(item[name] as string) : named(name, item[name])}</td>)}</tr>)}</tbody>
  </table></Scroll>;
}

/** A whole page of one list, with a filter that the address remembers. */
export function ListPage({ name, title, about, stamp }: { name: api.List; title: string; about: string; stamp: number }) {
  const list = useList(name, stamp);
  const wanted = route.value.query.get("find") ?? "";
  const shown = wanted ? list.items.filter((item) => JSON.stringify(item).toLowerCase().includes(wanted.toLowerCase())) : list.items;
  return <>
    <h1>{title}</h1>
    <p class="dim">{about}</p>
    <p class="row"><label>find <input type="search" value={wanted} onInput={(event) => remember({ find: event.currentTarget.value })} /></label>
      <span class="num" role="status">{shown.length} of {list.items.length}{list.next ? " loaded" : ""}</span> <Age at={list.at} stale={60_000} />
      <button type="button" disabled={shown.length === 0} onClick={() => save(name, shown)}>CSV</button></p>
    {list.error && <Problem error={list.error} what={title.toLowerCase()} />}
    {shown.length > 0 ? <ItemTable items={shown} caption={title} /> : list.at > 0 && <p class="dim">Nothing yet.</p>}
    {list.next && <p><button type="button" onClick={list.more}>More</button></p>}
  </>;
}
