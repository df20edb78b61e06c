/** What is known now: filled by one WebSocket, by plain requests where there is none. */
import { signal } from "@preact/signals";
import * as api from "./api";
import type { AccountRow, Item, Overview } from "./wire";

export type Link = "connecting" | "live" | "polling" | "offline";

export const link = signal<Link>("connecting");
export const overview = signal<Overview | null>(null);
export const overviewAt = signal(0);
/** Rows by account, changed in place; `rowsVersion` says when. Ten thousand rows are too many to copy at each tick. */
export const rows = new Map<string, AccountRow>();
export const rowsVersion = signal(0);
export const rowsAt = signal(0);
export const events = signal<Item[]>([]);
/** The browser's clock, once a second, for ages. */
export const now = signal(Date.now());

const EVENTS_KEPT = 200;
/** Changes are gathered this long before they are drawn, so that figures move at a pace that can be read. */
const PACE_MS = 250;
const POLL_MS = 5_000;
const LONGEST_WAIT_MS = 15_000;

let waiting: AccountRow[] = [];
let gathering = false;

function take(fresh: AccountRow[]): void {
  waiting.push(...fresh);
  if (gathering) return;
  gathering = true;
  setTimeout(() => {
    for (const row of waiting) rows.set(row.account, row);
    waiting = [];
    gathering = false;
    rowsAt.value = Date.now();
    rowsVersion.value++;
  }, rows.size ? PACE_MS : 0);
}

function takeOverview(data: Overview): void {
  overview.value = data;
  overviewAt.value = Date.now();
}

interface Message { channel: string; sequence: number; data: unknown }
const sequences = new Map<string, number>();

/** A list as it comes: bare, or under its name. */
function listOf<T>(data: unknown, name: string): T[] {
  if (Array.isArray(data)) return data as T[];
  const inside = (data as Record<string, unknown> | null)?.[name];
  return Array.isArray(inside) ? (inside as T[]) : data ? [data as T] : [];
}

function receive(message: Message): void {
  if (message.sequence !== undefined) sequences.set(message.channel, message.sequence);
  if (message.channel === "overview") takeOverview(message.data as Overview);
  else if (message.channel === "accounts") take(listOf<AccountRow>(message.data, "accounts"));
  else if (message.channel === "events") {
    const fresh = listOf<Item>(message.data, "events").map((event) => ({ sequence: message.sequence, ...event }));
    events.value = [...fresh.reverse(), ...events.value].slice(0, EVENTS_KEPT);
  }
}

let wait = 500;

function connect(): void {
  const socket = new WebSocket(new URL("api/v1/stream", location.href.replace(/^http/, "ws")));
  socket.onopen = () => {
    wait = 500;
    // The oldest of the last sequences seen: to see a message twice is harmless, to miss one is not.
    const from = sequences.size ? Math.min(...sequences.values()) : undefined;
    socket.send(JSON.stringify({ subscribe: ["accounts", "overview", "events"], ...(from === undefined ? {} : { from }) }));
    link.value = "live";
  };
  socket.onmessage = (event) => receive(JSON.parse(event.data as string) as Message);
  socket.onclose = () => {
    link.value = "polling";
    void poll();
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
}

async function poll(): Promise<void> {
  try {
    takeOverview(await api.overview());
    if (link.value === "offline") link.value = "polling";
  } catch {
    if (link.value !== "live") link.value = "offline";
  }
}

export function start(): void {
  setInterval(() => (now.value = Date.now()), 1_000);
  void poll();
  api.accounts(take).catch(() => undefined); // the stream's snapshot brings them too; the header says where we stand
  connect();
  setInterval(() => {
    if (link.value === "live") return;
    void poll();
    if (link.value === "polling") api.accounts(take).catch(() => undefined);
  }, POLL_MS);
}
