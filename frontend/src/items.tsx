/** Records whose fields the server decides, written so that a person can read them. */
import { clock, digits, usdCents } from "./format";
import { to } from "./route";
import { isTime } from "./wire";
import type { Item } from "./wire";

/** Time of record of an event or entry, whichever name it goes by. */
export function itemTime(item: Item): string {
  for (const value of [item.time, item.at, item.started]) if (isTime(value)) return clock(value.iso);
  return "";
}

export function text(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  if (isTime(value)) return clock(value.iso);
  if (Array.isArray(value)) return value.map(text).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, inner]) => `${words(name)} ${text(inner)}`).join(", ");
  if (/^-?\d+(\.\d+)?E-?\d+$/i.test(String(value))) return digits(String(Number(value)));
  if (typeof value === "number") return Number.isInteger(value) ? String(value).replace("-", "−") : digits(value.toFixed(8));
  // what a binary fraction could not hold is no digit of a price
  if (/^-?\d+\.\d{9,}$/.test(String(value)) && Math.abs(Number(value)) >= 1) return digits(Number(value).toFixed(6));
  if (/^-?\d+\.\d+$/.test(String(value))) return digits(String(value));
  return String(value).replace(/^-(?=[\d.])/, "−");
}

export const words = (name: string): string => name.replace(/_ns$/, "").replaceAll("_", " ");

/** `LiquidationOrdered` as a person says it. */
export const deed = (name: string): string => (/^([A-Z][a-z]+){2,}$/.test(name) ? name.replace(/(?!^)[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`) : name);

const isMoment = (name: string, value: unknown): boolean => name.endsWith("_ns") && Number(value) > 1e18;

/** Figures in USD, which nobody reads beyond the cent. */
export const MONEY = new Set(["deficit", "equity", "initial", "maintenance"]);

/** A field's value; a time that comes as nanoseconds is written as one. */
export const named = (name: string, value: unknown): string =>
  isMoment(name, value) ? clock(new Date(Number(value) / 1e6).toISOString()) : MONEY.has(name) ? usdCents(value as string) : text(value);

const HEADLINE = ["event", "kind", "type", "action", "what", "name"];
const HIDDEN = new Set(["sequence", "time", "at", "time_ns"]);

/** One line: what it is, then its other fields in the order sent. */
export function ItemText({ of }: { of: Item }) {
  const head = HEADLINE.find((name) => typeof of[name] === "string");
  const rest = Object.entries(of).filter(([name, value]) => name !== head && !HIDDEN.has(name) && value !== null && value !== "");
  return <>{head && <b>{deed(String(of[head]))}</b>} {rest.map(([name, value]) => <span class="field">{name === "account" && typeof value === "string" ? <a href={to("account", value)}>{value}</a> : <><span class="dim">{words(name)}</span> {named(name, value)}</>}</span>)}</>;
}

/** Fields of many items in the order first met. */
export function fields(items: Item[]): string[] {
  return [...new Set(items.flatMap((item) => Object.keys(item)))];
}
