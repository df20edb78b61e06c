/** What is known now: filled by one WebSocket, by plain requests where there is none. */
import { computed, signal } from "@preact/signals";
import * as api from "./api";
import type { Message, Told } from "./socket.worker";
import type { AccountRow, Health, Item, Overview, Session } from "./wire";

export type Link = "connecting" | "live" | "polling" | "offline";

export const link = signal<Link>("connecting");
/** How the service said it does, last; null before it said anything. */
export const service = signal<Health | null>(null);
/** Who is logged in; null where the service asks nobody. */
export const session = signal<Session | null>(null);
/** Whether it is settled who is there: until then no page asks for anything that he may not see. */
export const identified = signal(false);
export const overview = signal<Overview | null>(null);
export const overviewAt = signal(0);
/** Rows by account, changed in place; `rowsVersion` says when. Ten thousand rows are too many to copy at each tick. */
export const rows = new Map<string, AccountRow>();
export const rowsVersion = signal(0);
export const rowsAt = signal(0);
export const events = signal<Item[]>([]);
/** The browser's clock, once a second, for ages. */
export const now = signal(Date.now());

/** Whoever is bound to some accounts is told of those, by asking: the stream and the sums tell of all. */
export const bound = computed(() => (session.value?.accounts ?? null) !== null);

const EVENTS_KEPT = 200;
/** Changes are gathered this long before they are drawn, so that figures move at a pace that can be read. */
const PACE_MS = 250;
const POLL_MS = 5_000;
/** How often a service that opens is asked how far it is. */
const OPENING_MS = 500;
const SHORTEST_WAIT_MS = 500;
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

let wait = SHORTEST_WAIT_MS;

function connect(): void {
  const socket = new Worker(new URL("./socket.worker.ts", import.meta.url), { type: "module" });
  const opened = (): void => {
    wait = SHORTEST_WAIT_MS;
    // The oldest of the last sequences seen: to see a message twice is harmless, to miss one is not.
    const from = sequences.size ? Math.min(...sequences.values()) : undefined;
    socket.postMessage(JSON.stringify({ subscribe: ["accounts", "overview", "events"], ...(from === undefined ? {} : { from }) }));
    link.value = "live";
  };
  const closed = (): void => {
    socket.terminate();
    if (link.value !== "offline") link.value = "polling";
    setTimeout(() => void begin(), wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
  socket.onmessage = ({ data }: MessageEvent<Told>) => (data.told === "message" ? receive(data.message) : data.told === "open" ? opened() : closed());
  socket.onerror = closed;
  socket.postMessage(new URL("api/v1/stream", location.href.replace(/^http/, "ws")).href);
}

async function poll(): Promise<void> {
  try {
    if (bound.value) await api.accounts(take);
    else takeOverview(await api.overview());
    if (link.value === "offline") link.value = "polling";
  } catch {
    if (link.value !== "live") link.value = "offline";
  }
}

/** Ask how the service does until its engine is open: nothing else is asked before, so that nothing is refused. */
async function whenOpen(): Promise<void> {
  for (;;) {
    try {
      service.value = await api.health();
      if (service.value.status === "ok") return;
      link.value = "connecting";
    } catch {
      link.value = "offline";
    }
    await new Promise((done) => setTimeout(done, service.value?.status === "starting" && link.value !== "offline" ? OPENING_MS : POLL_MS));
  }
}

/** A stranger is shown where to log in, without a question that would be refused. */
async function identify(): Promise<void> {
  if (!api.hasSession()) api.unknown.value = true;
  else session.value = await api.session().catch(() => null);
}

/** Ask for everything once the service is open, and again each time the stream has ended. */
async function begin(): Promise<void> {
  await whenOpen();
  if (service.value?.open === false) await identify();
  if (api.unknown.value) return;
  identified.value = true;
  void poll();
  if (bound.value) {
    link.value = "polling";
    if (!location.hash) location.replace("#/accounts");
    return;
  }
  // the stream's snapshot brings them too; the header says where we stand
  if (rows.size === 0) api.accounts(take).catch(() => undefined);
  connect();
}

export function start(): void {
  setInterval(() => (now.value = Date.now()), 1_000);
  void begin();
  setInterval(() => {
    if (!(link.value === "polling" || (bound.value && link.value === "offline")) || api.unknown.value) return;
    void poll();
    if (!bound.value) api.accounts(take).catch(() => undefined);
  }, POLL_MS);
}
