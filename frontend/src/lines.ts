/** The rows in view: some forty elements that are filled anew as the table is scrolled, each cell only where its text differs. */
import { percent, usd } from "./format";
import { rows } from "./live";
import { to } from "./route";
import { stateOf, usageOf } from "./usage";
import type { AccountRow } from "./wire";

export type Key = "account" | "state" | "equity" | "initial" | "maintenance" | "excess" | "margin_usage" | "worst_scenario";
/** `fits`: so many characters stand in the column for certain. Only a longer text is clipped: each clip is painted apart. */
export interface Column { key: Key; label: string; width: string; fits: number; right?: boolean; bar?: boolean }

export const ROW = 32;
/** Drawn beyond what is seen, at either end. */
const MARGIN = 8;
/** Rows come in so many at a time, so that most frames of a scroll move what is painted and paint nothing. */
const STEP = 4;
/** So many rows are filled anew in a frame, while the table is scrolled and while it is not; the order of all may change at once. */
const FILLED = { moving: 4, still: 16 };
/** The table stands still once nothing has scrolled for so long. */
const STILL_MS = 150;

/** A cell, and how it is filled; what it showed before says whether it fades. */
interface Cell { element: HTMLElement; fill: (row: AccountRow, same: boolean) => void }

function element(tag: string, attributes: Record<string, string>, ...inside: Node[]): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

function bar(): Cell {
  const used = element("i", {});
  const whole = element("span", { class: "bar", role: "img" }, used, element("u", {}));
  return { element: whole, fill: (row) => {
    const { over, width, said } = usageOf(row.margin_usage);
    used.className = over ? "over" : "";
    used.style.width = `${width}%`;
    whole.setAttribute("aria-label", said);
    whole.title = `${said}; the mark is where liquidation starts`;
  } };
}

function written(key: Key, row: AccountRow): string {
  if (key === "state") return stateOf(row.state).text;
  if (key === "margin_usage") return percent(row.margin_usage);
  if (key === "account" || key === "worst_scenario") return row[key] ?? "–";
  return usd(row[key]);
}

const tone = (key: Key, row: AccountRow): string =>
  key === "state" ? stateOf(row.state).tone : key === "worst_scenario" ? "dim" : key === "excess" && Number(row.excess) < 0 ? "bad" : "";

function cell({ key, fits, right, bar: barred }: Column): Cell {
  const text = document.createTextNode("");
  const link = key === "account" ? (element("a", { tabindex: "-1" }, text) as HTMLAnchorElement) : null;
  const usage = barred ? bar() : null;
  const inside = key === "margin_usage" ? element("span", { class: "share-of" }, text) : link ?? text;
  const whole = element("span", { role: link ? "rowheader" : "gridcell" }, ...(usage ? [usage.element, document.createTextNode(" ")] : []), inside);
  let odd = false;
  let shown = "";
  return { element: whole, fill: (row, same) => {
    const now = written(key, row);
    const changed = same && now !== shown;
    usage?.fill(row, same);
    if (now === shown && same) return;
    if (now !== shown) text.data = shown = now;
    if (link) link.href = to("account", row.account);
    if (key === "worst_scenario") whole.title = row.worst_scenario ?? "";
    odd = changed ? !odd : odd; // another animation plays from its beginning, the same one would not
    const classes = [right ? "n" : "", now.length > fits ? "long" : "", tone(key, row), changed ? (odd ? "changed odd" : "changed") : ""].filter(Boolean).join(" ");
    if (whole.className !== classes) whole.className = classes;
  } };
}

class Line {
  readonly element: HTMLElement;
  row: AccountRow | null = null;
  private readonly cells: Cell[];
  private index = -1;
  private selected: boolean | null = null;

  constructor(columns: Column[]) {
    this.cells = columns.map(cell);
    this.element = element("div", { class: "cells", role: "row" }, ...this.cells.map((each) => each.element));
  }

  place(index: number): void {
    if (index === this.index) return;
    this.index = index;
    this.element.style.top = `${index * ROW}px`;
    this.element.setAttribute("aria-rowindex", String(index + 2));
  }

  select(selected: boolean): void {
    if (selected === this.selected) return;
    this.selected = selected;
    this.element.setAttribute("aria-selected", String(selected));
  }

  fill(row: AccountRow): void {
    const same = this.row?.account === row.account;
    for (const each of this.cells) each.fill(row, same);
    this.row = row;
  }
}

/** Draws into `body`, which is as high as all rows, what `box` has scrolled into view. */
export class Lines {
  private order: string[] = [];
  private columns: Column[] = [];
  private selected = 0;
  private shown = new Map<number, Line>();
  private spare: Line[] = [];
  private first = 0;
  private waits = 0;
  private moving = false;
  private still: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly box: HTMLElement, private readonly body: HTMLElement) {}

  /** Show these accounts in this order, as they are known now. */
  show(order: string[], columns: Column[], selected: number): void {
    if (columns !== this.columns) {
      this.body.replaceChildren();
      this.shown.clear();
      this.spare = [];
    }
    [this.order, this.columns, this.selected] = [order, columns, selected];
    if (this.moving) this.later();
    else this.draw();
  }

  scrolled(): void {
    this.moving = true;
    clearTimeout(this.still);
    this.still = setTimeout(() => this.stand(), STILL_MS);
    if (this.waits || this.window(this.box.scrollTop) !== this.first) this.draw();
  }

  resized(): void {
    this.draw();
  }

  end(): void {
    cancelAnimationFrame(this.waits);
    clearTimeout(this.still);
  }

  private window(top: number): number {
    return Math.max(0, Math.floor(top / ROW / STEP) * STEP - MARGIN);
  }

  /** Draw in the next frame. A frame's scroll comes before it: while that goes on all is written there, and laid out once. */
  private later(): void {
    this.waits ||= requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    cancelAnimationFrame(this.waits);
    this.waits = 0;
    const { scrollTop, clientHeight } = this.box; // asked before anything is written: what is asked later is laid out first
    this.first = this.window(scrollTop);
    const last = Math.min(this.order.length, this.first + Math.ceil(clientHeight / ROW) + STEP + 2 * MARGIN);
    for (const [index, line] of this.shown) {
      if (index >= this.first && index < last) continue;
      this.shown.delete(index);
      this.spare.push(line);
    }
    const brought = this.bring(last);
    for (const line of this.spare) line.element.remove();
    this.refresh(Math.floor(scrollTop / ROW), brought);
  }

  /** Rows that came into the window take the elements of those that left it, which stay where they are in the document. */
  private bring(last: number): number {
    let brought = 0;
    for (let index = this.first; index < last; index++) {
      let line = this.shown.get(index);
      if (!line) {
        line = this.spare.pop() ?? new Line(this.columns);
        if (!line.element.isConnected) this.body.append(line.element);
        brought++;
        line.place(index);
        line.fill(rows.get(this.order[index]!)!);
        this.shown.set(index, line);
      }
      line.select(index === this.selected);
    }
    if (brought && !this.moving) this.align();
    return brought;
  }

  private stand(): void {
    this.moving = false;
    this.align();
  }

  /** Rows are read out in the order of the document. */
  private align(): void {
    let after: Element | null = null;
    for (const [, { element }] of [...this.shown].sort(([a], [b]) => b - a)) {
      if (element.nextElementSibling !== after) this.body.insertBefore(element, after);
      after = element;
    }
  }

  /** Fill what changed, what is seen first; where that is much, the rest has its turn in the next frames. */
  private refresh(seen: number, brought: number): void {
    const most = Math.max(0, FILLED[this.moving ? "moving" : "still"] - brought);
    const stale = [...this.shown].filter(([index, line]) => line.row !== rows.get(this.order[index]!)).sort(([a], [b]) => Number(a < seen) - Number(b < seen) || a - b);
    for (const [index, line] of stale.slice(0, most)) line.fill(rows.get(this.order[index]!)!);
    if (stale.length > most) this.later();
  }
}
