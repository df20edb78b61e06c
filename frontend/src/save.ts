/** Anything shown can be taken along as CSV. */
import { isTime } from "./wire";
import type { Item } from "./wire";
import { fields } from "./items";

function cell(value: unknown): string {
  const text = value === null || value === undefined ? "" : isTime(value) ? value.iso : typeof value === "object" ? JSON.stringify(value) : String(value);
  // A spreadsheet would run a text that begins like a formula; a negative number is no formula.
  const tame = /^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}

export function csv(items: Item[]): string {
  const names = fields(items);
  return [names, ...items.map((item) => names.map((name) => item[name]))].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

export function save(name: string, items: Item[]): void {
  const address = URL.createObjectURL(new Blob([csv(items)], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: `${name}.csv` }).click();
  URL.revokeObjectURL(address);
}
