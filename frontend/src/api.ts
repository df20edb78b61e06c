/** Calls to the public API, and nothing else: the dashboard shows, it never computes a margin. */
import type { Account, AccountRow, Compared, HistoryPoint, Item, Node, Overview, Stress, Surface, WhatIf, WhatIfAnswer } from "./wire";

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

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(`${ROOT}/${path}`, init);
  const body = await response.json().catch(() => null);
  if (response.ok) return body as T;
  const error = body?.error;
  throw new Refused(response.status, error?.rule ?? `the server answered ${response.status}`, error?.finding ?? "");
}

function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const csrf = document.cookie.match(/(?:^|; )csrf_?token=([^;]*)/)?.[1];
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (csrf) headers["x-csrftoken"] = decodeURIComponent(csrf);
  return call<T>(path, { method: "POST", headers, body: JSON.stringify(body), signal });
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
export const list = (name: List, cursor?: string | null): Promise<Page> =>
  call(cursor ? `${name}?cursor=${encodeURIComponent(cursor)}` : name);
