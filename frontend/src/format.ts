/** How figures are written. Decimal strings go to Intl unparsed, so that no cent is lost to binary fractions. */
import type { Money } from "./wire";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 12 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const percents = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const moves = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
const differences = new Intl.NumberFormat("en", { maximumFractionDigits: 0, signDisplay: "exceptZero" });

type Figure = Money | number | null | undefined;
const NONE = "–";

const written = (format: Intl.NumberFormat, value: Figure): string => {
  if (value === null || value === undefined || value === "") return NONE;
  const text = format.format(value as Intl.StringNumericLiteral);
  return text === "-0" ? "0" : text.replace("-", "−");
};

/** Dollars without cents: tables and figures. */
export const usd = (value: Figure): string => written(whole, value);
export const usdCents = (value: Figure): string => written(cents, value);
/** A quantity or price, with all the digits it came with. */
export const digits = (value: Figure): string => written(exact, value);
export const compact = (value: Figure): string => written(short, value);
export const percent = (value: number | null | undefined): string => written(percents, value);
export const move = (value: number | null | undefined): string => written(moves, value);
export const difference = (value: Figure): string => written(differences, value);

/** For drawing and sorting only. */
export const float = (value: Figure): number => (value === null || value === undefined ? NaN : Number(value));

/** How long ago, in the largest unit that says enough. */
export function age(ms: number): string {
  if (!Number.isFinite(ms)) return "never";
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export const clock = (iso: string): string => iso.replace("T", " ").replace(/(\.\d+)?Z$/, "");
