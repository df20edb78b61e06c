/** Calls to the public API, and nothing else: the dashboard shows, it never computes a margin. */
import { signal } from "@preact/signals";
import type { Account, Approval, AccountRow, Compared, Health, HistoryPoint, Insurance, Item, Moment, Node, Overview, Queues, Session, Stress, Surface, WhatIf, WhatIfAnswer } from "./wire";

const ROOT = "api/v1";

/** What the server refused: the rule, then what it found. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly rule: string,
    readonly finding: string,
  ) {
    super(finding ? `${rule}: ${finding}` : rule);
  }
}

/** Set when the server does not know who asks. */
export const unknown = signal(false);

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(`${ROOT}/${path}`, init);
  const body = await response.json().catch(() => null);
  if (response.ok) return body as T;
  if (response.status === 401) unknown.value = true;
  const error = body?.error;
  throw new Refused(response.status, error?.rule ?? `the server answered ${response.status}`, error?.finding ?? "");
}

/** How the service does; it tells anybody, and refuses nobody. */
export async function health(): Promise<Health> {
  return (await (await fetch("health")).json()) as Health;
}

const csrf = (): string | undefined => document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1];
/** A session left its cookie here; whether it still lives only the server knows. */
export const hasSession = (): boolean => csrf() !== undefined;

/** What a session's requests repeat, so that another site's page cannot make them. */
function token(): Record<string, string> {
  const found = csrf();
  return found ? { "x-csrftoken": decodeURIComponent(found) } : {};
}

function post<T>(path: string, body: unknown, signal?: AbortSignal, more: Record<string, string> = {}): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json", ...token(), ...more };
  return call<T>(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

export const session = (): Promise<Session> => call("session");
export const logIn = (user: string, password: string): Promise<Session> => post("session", { user, password });
/** Everything that waits for a second owner. */
export async function waiting(): Promise<Approval[]> {
  const found: Approval[] = [];
  let cursor: string | null = null;
  do {
    const page: { items: Approval[]; next: string | null } = await call(`approvals?state=pending&limit=1000${cursor === null ? "" : `&cursor=${cursor}`}`);
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}
export const decide = (id: string, decision: "approve" | "reject"): Promise<unknown> => post(`approvals/${encodeURIComponent(id)}`, { decision });
/** Ask for other parameters; the same key asks once. What waits for a second owner says that it is pending. */
export const proposeParameters = (question: unknown, key: string): Promise<{ state?: string }> => post("parameters", question, undefined, { "idempotency-key": key });
export async function logOut(): Promise<void> {
  await call("session", { method: "DELETE", headers: token() });
}

const of = (account: string): string => `accounts/${encodeURIComponent(account)}`;

export const overview = (): Promise<Overview> => call("overview");
export const account = (name: string): Promise<Account> => call(of(name));
export const history = async (name: string): Promise<HistoryPoint[]> => (await call<{ points: HistoryPoint[] }>(`${of(name)}/history`)).points;
export const explain = async (name: string): Promise<Node> => (await call<{ tree: Node }>(`${of(name)}/explain`)).tree;
export const surface = (name: string, underlying: string): Promise<Surface> =>
  call(`${of(name)}/surface?underlying=${encodeURIComponent(underlying)}`);
export const compare = async (name: string): Promise<Compared[]> => (await call<{ rows: Compared[] }>(`${of(name)}/compare`)).rows;
export const whatIf = (name: string, changes: WhatIf, signal: AbortSignal): Promise<WhatIfAnswer> =>
  post(`${of(name)}/what-if`, changes, signal);
export const queues = (name: string): Promise<Queues> => call(`${of(name)}/deleveraging`);
/** The fund with its newest draws, or those before a cursor. */
export const insurance = (cursor?: string): Promise<Insurance> => call(cursor === undefined ? "insurance" : `insurance?cursor=${encodeURIComponent(cursor)}`);
export const moment = (record: number | null, signal: AbortSignal): Promise<Moment> => call(record === null ? "replay" : `replay?record=${record}`, { signal });
export const stress = (moves: Record<string, number>, vol: number): Promise<Stress> => post("stress", { moves, vol });

/** Every account, page by page; `each` sees a page as soon as it is here, so that a long table fills from the top. */
export async function accounts(each: (rows: AccountRow[]) => void): Promise<void> {
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "limit=1000" : `limit=1000&cursor=${encodeURIComponent(cursor)}`;
    const page = await call<{ accounts: AccountRow[]; next: string | null }>(`accounts?${query}`);
    each(page.accounts);
    cursor = page.next;
  } while (cursor !== null);
}

export type List = "liquidations" | "waterfall" | "parameters" | "audit" | "margin-calls";
export interface Page { items: Item[]; next: string | null }
/** A page of a list, whose question may be part of its name. */
export const list = (name: string, cursor?: string | null): Promise<Page> =>
  call(cursor ? `${name}${name.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : name);
