/** The shapes that the API sends. Money and prices are decimal strings; ratios and shocked profits are numbers. */
export type Money = string;
export interface Time { iso: string; epoch_ms: number }

/** What `/health` tells: whether the engine is open, how far it is on its way there, and whether the service asks who is there. */
export interface Health {
  status: "starting" | "ok" | "failed";
  open?: boolean;
  progress?: { done: number; of: number; what?: string } | null;
  finding?: string;
}

export interface Overview {
  time: Time;
  sequence: number;
  equity: Money;
  initial: Money;
  maintenance: Money;
  accounts_by_state: Record<string, number>;
  insurance_fund: Money;
  breakers: { name: string; active: boolean; reason: string | null }[];
  feeds: { source: string; age_ms: number | null; state: string }[];
}

export interface AccountRow {
  account: string;
  state: string;
  method: string;
  equity: Money;
  initial: Money;
  maintenance: Money;
  excess: Money;
  /** Maintenance over equity; 1 is where liquidation starts. Null where equity is not positive. */
  margin_usage: number | null;
  maintenance_ratio: number | null;
  worst_scenario: string | null;
}

export interface Position { instrument: string; quantity: Money; entry_price: Money | null; mark_price: Money; value: Money; value_currency: string }
export interface Account extends AccountRow {
  balances: { currency: string; amount: Money }[];
  positions: Position[];
  orders: Item[];
}

export interface Node { label: string; amount: Money | number; why: string | null; children: Node[] }

export interface Surface {
  underlying: string;
  prices: number[];
  vols: number[];
  pnl: number[][];
  excess: number[][];
  boundary: [number, number][];
  price_now?: number;
  vol_now?: number;
}

export interface HistoryPoint { time: Time; equity: Money; initial: Money; maintenance: Money }

export interface WhatIf {
  trades: { instrument: string; quantity: string }[];
  price_moves: Record<string, number>;
  vol_moves: Record<string, number>;
  collateral: { currency: string; amount: string }[];
}
export interface WhatIfAnswer {
  before: AccountRow;
  after: AccountRow;
  components: { label: string; before: Money | null; after: Money | null }[];
}

export interface Compared {
  method: string;
  initial: Money | null;
  maintenance: Money | null;
  excess: Money | null;
  largest_difference: string | null;
  refused: string | null;
}

export interface Stress {
  accounts: { account: string; pnl: number; equity_after: Money | number; breach: boolean }[];
  shortfall: Money | number;
}

/** Who is logged in, what he may do, and on whose accounts (null: all); an open service knows nobody and lets everybody. */
export interface Session { user: string | null; open?: boolean; scopes?: string[]; accounts?: string[] | null }

/** A command that waits for a second owner, or what became of it. */
export interface Approval { id: string; asked_by: string; asked: Time; command: Item; state: "pending" | "approved" | "rejected"; decided_by: string | null; decided?: Time }

export interface Insurance { time: Time; asset: string; fund: Money; cap_per_market: Money | null; drawn_by_market: Record<string, Money>; draws: Item[]; next?: string | null }

export interface Queues { account: string; policy: string; positions: Standing[] }
/** A place in the queue of one side of one contract; 1 is asked first, null where there is no profit to give; the light is the fifth in which it is: 20, 40, ... 100. */
export interface Standing { instrument: string; place: number | null; of: number; light: number | null; profit: Money; leverage: number }

/** The service after a record of its journal; without an overview where accounts had no price yet. */
export interface Moment { first: number; last: number; record: number; time: Time; unpriced: number; overview: Overview | null; accounts: AccountRow[] }

/** A record of a list whose fields the server decides: liquidations, draws, parameters, audit entries, margin calls. */
export type Item = Record<string, unknown>;

export function isTime(value: unknown): value is Time {
  return typeof value === "object" && value !== null && "iso" in value && "epoch_ms" in value;
}
