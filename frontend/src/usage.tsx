import type { AccountRow } from "./wire";
import { percent } from "./format";

/** The bar ends at 125 % of equity, so that the mark of liquidation stands at four fifths. */
const FULL = 1.25;

/** How a usage is drawn and read out. */
export function usageOf(usage: number | null): { over: boolean; width: number; said: string } {
  return {
    over: usage === null || usage >= 1,
    width: usage === null ? 100 : Math.min(100, Math.max(0, (usage / FULL) * 100)),
    said: usage === null ? "equity is not positive" : `maintenance is ${percent(usage)} of equity`,
  };
}

export function UsageBar({ row }: { row: Pick<AccountRow, "margin_usage"> }) {
  const { over, width, said } = usageOf(row.margin_usage);
  return <span class="bar" role="img" aria-label={said} title={`${said}; the mark is where liquidation starts`}>
    <i class={over ? "over" : ""} style={{ width: `${width}%` }} /><u />
  </span>;
}

const CALM = new Set(["healthy", "normal", "active", "ok", "open", "safe", "live", "closed", "good"]);
const GRAVE = new Set(["liquidation", "liquidating", "default", "defaulted", "bankrupt"]);

export const calm = (state: string): boolean => CALM.has(state.toLowerCase());

/** A state in words; colour only underlines it. */
export function stateOf(name: string): { tone: string; text: string } {
  const state = name.toLowerCase();
  const tone = CALM.has(state) ? "" : GRAVE.has(state) ? "bad" : "warn";
  return { tone, text: `${tone === "bad" ? "▲ " : tone === "warn" ? "△ " : ""}${state.replaceAll("_", " ")}` };
}

export function State({ of }: { of: string }) {
  const { tone, text } = stateOf(of);
  return <span class={tone}>{text}</span>;
}
