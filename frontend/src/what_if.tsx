/** What if: trades, moves and collateral; before and after in place. The address holds the question, so that it can be shared. */
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import { difference, float, move, percent, usd } from "./format";
import { Problem } from "./load";
import { remember, route } from "./route";
import { Scroll } from "./scroll";
import { State, UsageBar } from "./usage";
import type { Account, WhatIf, WhatIfAnswer } from "./wire";

const NOTHING: WhatIf = { trades: [], price_moves: {}, vol_moves: {}, collateral: [] };
const FIGURES = ["equity", "initial", "maintenance", "excess"] as const;

/** The question as the server wants it: rows that are not filled in yet and moves of nothing are left out. */
function complete(asked: WhatIf): WhatIf {
  const moved = (moves: Record<string, number>) => Object.fromEntries(Object.entries(moves).filter(([, value]) => value !== 0));
  const number = (text: string): boolean => text.trim() !== "" && Number.isFinite(Number(text)) && Number(text) !== 0;
  return {
    trades: asked.trades.filter((trade) => trade.instrument && number(trade.quantity)),
    price_moves: moved(asked.price_moves),
    vol_moves: moved(asked.vol_moves),
    collateral: asked.collateral.filter((row) => row.currency && number(row.amount)),
  };
}

const empty = (asked: WhatIf): boolean => JSON.stringify(asked) === JSON.stringify(NOTHING);

function fromAddress(): WhatIf {
  try {
    return { ...NOTHING, ...(JSON.parse(route.value.query.get("if") ?? "{}") as Partial<WhatIf>) };
  } catch {
    return NOTHING;
  }
}

/** Put moves of a coin into the address, beside what is asked there already. */
export function shareMoves(coin: string, { price, vol }: { price: number; vol: number }): void {
  const asked = fromAddress();
  remember({ if: JSON.stringify(complete({ ...asked, price_moves: { ...asked.price_moves, [coin]: price }, vol_moves: { ...asked.vol_moves, [coin]: vol } })) });
}

function Slider({ label, value, from, to, set }: { label: string; value: number; from: number; to: number; set: (value: number) => void }) {
  return <label class="slider"><span>{label}</span>
    <input type="range" min={from} max={to} step={0.01} value={value} aria-valuetext={move(value)} onInput={(event) => set(Number(event.currentTarget.value))} />
    <output class="n">{move(value)}</output></label>;
}

function Answer({ answer, ms }: { answer: WhatIfAnswer; ms: number }) {
  const { before, after, components } = answer;
  const change = (a: string | null, b: string | null) => difference(float(b ?? "0") - float(a ?? "0"));
  return <Scroll name="Before and after"><table>
    <caption>USD; answered in {Math.round(ms)} ms</caption>
    <thead><tr><td /><th scope="col" class="n">before</th><th scope="col" class="n">after</th><th scope="col" class="n optional">change</th></tr></thead>
    <tbody>
      <tr><th scope="row">state</th><td class="n"><State of={before.state} /></td><td class="n"><State of={after.state} /></td><td class="optional" /></tr>
      {FIGURES.map((name) => <tr><th scope="row">{name}</th><td class="n">{usd(before[name])}</td><td class={name === "excess" && float(after[name]) < 0 ? "n bad" : "n"}>{usd(after[name])}</td><td class="n optional">{change(before[name], after[name])}</td></tr>)}
      <tr><th scope="row">usage</th><td class="n">{percent(before.margin_usage)}</td><td class="n"><UsageBar row={after} /> {percent(after.margin_usage)}</td><td class="optional" /></tr>
      {components.map((part) => <tr class="dim"><th scope="row">· {part.label}</th><td class="n">{usd(part.before)}</td><td class="n">{usd(part.after)}</td><td class="n optional">{change(part.before, part.after)}</td></tr>)}
    </tbody></table>
    {after.worst_scenario && <p class="dim">Worst scenario after: {after.worst_scenario}{before.worst_scenario === after.worst_scenario ? ", as before" : `; before: ${before.worst_scenario}`}.</p>}
  </Scroll>;
}

interface Answered { answer: WhatIfAnswer | null; error: Error | null; ms: number }
const UNASKED: Answered = { answer: null, error: null, ms: 0 };

/** Ask at once, and one question at a time: of those that come while one is answered only the last is asked. */
function useWhatIf(name: string, asked: WhatIf): Answered {
  const [state, setState] = useState(UNASKED);
  const question = JSON.stringify(complete(asked));
  const line = useRef<{ stop: AbortController | null; next: (() => void) | null }>({ stop: null, next: null });
  useEffect(() => {
    const { current } = line;
    if (empty(JSON.parse(question) as WhatIf)) {
      current.stop?.abort();
      Object.assign(current, { stop: null, next: null });
      return setState(UNASKED);
    }
    const ask = (): void => {
      const stop = (current.stop = new AbortController());
      const begun = performance.now();
      api.whatIf(name, JSON.parse(question) as WhatIf, stop.signal).then(
        (answer) => stop.signal.aborted || setState({ answer, error: null, ms: performance.now() - begun }),
        (error: Error) => stop.signal.aborted || setState((last) => ({ ...last, error })),
      ).finally(() => {
        if (current.stop !== stop) return;
        const { next } = current;
        Object.assign(current, { stop: null, next: null });
        next?.();
      });
    };
    if (current.stop) current.next = ask;
    else ask();
  }, [name, question]);
  useEffect(() => () => line.current.stop?.abort(), []);
  return state;
}

export function WhatIfBuilder({ account, coins }: { account: Account; coins: string[] }) {
  const [asked, setAsked] = useState(fromAddress);
  const [copied, setCopied] = useState(false);
  const { answer, error, ms } = useWhatIf(account.account, asked);
  const settled = useRef(0);
  const change = (changes: Partial<WhatIf>): void => {
    const next = { ...asked, ...changes };
    setAsked(next);
    setCopied(false);
    clearTimeout(settled.current);
    settled.current = window.setTimeout(() => remember({ if: empty(complete(next)) ? "" : JSON.stringify(complete(next)) }), 300);
  };
  const edit = <K extends "trades" | "collateral">(list: K, at: number, changes: Partial<WhatIf[K][number]>): void =>
    change({ [list]: asked[list].map((row, i) => (i === at ? { ...row, ...changes } : row)) });
  const drop = (list: "trades" | "collateral", at: number): void => change({ [list]: asked[list].filter((_, i) => i !== at) });
  return <section id="what-if" aria-labelledby="what-if-title">
    <h2 id="what-if-title">What if</h2>
    <div class="pair">
      <div class="builder">
        {coins.map((coin) => <>
          <Slider label={`${coin} price`} from={-0.5} to={0.5} value={asked.price_moves[coin] ?? 0} set={(value) => change({ price_moves: { ...asked.price_moves, [coin]: value } })} />
          <Slider label={`${coin} vols`} from={-0.5} to={1} value={asked.vol_moves[coin] ?? 0} set={(value) => change({ vol_moves: { ...asked.vol_moves, [coin]: value } })} />
        </>)}
        <datalist id="instruments">{account.positions.map(({ instrument }) => <option value={instrument} />)}</datalist>
        {asked.trades.map((trade, i) => <p class="leg" role="group" aria-label={`Trade ${i + 1}`}>
          <input list="instruments" aria-label="Instrument" placeholder="instrument" value={trade.instrument} onInput={(event) => edit("trades", i, { instrument: event.currentTarget.value })} />
          <input inputMode="decimal" size={8} aria-label="Contracts, negative to sell" placeholder="± contracts" value={trade.quantity} onInput={(event) => edit("trades", i, { quantity: event.currentTarget.value })} />
          <span class="dim">at the mark</span>
          <button type="button" aria-label={`Drop trade ${i + 1}`} onClick={() => drop("trades", i)}>×</button></p>)}
        {asked.collateral.map((row, i) => <p class="leg" role="group" aria-label={`Collateral ${i + 1}`}>
          <input size={6} aria-label="Currency" placeholder="currency" value={row.currency} onInput={(event) => edit("collateral", i, { currency: event.currentTarget.value.toUpperCase() })} />
          <input inputMode="decimal" size={10} aria-label="Amount, negative to take out" placeholder="± amount" value={row.amount} onInput={(event) => edit("collateral", i, { amount: event.currentTarget.value })} />
          <button type="button" aria-label={`Drop collateral ${i + 1}`} onClick={() => drop("collateral", i)}>×</button></p>)}
        <p class="row">
          <button type="button" onClick={() => change({ trades: [...asked.trades, { instrument: "", quantity: "" }] })}>Add trade</button>
          <button type="button" onClick={() => change({ collateral: [...asked.collateral, { currency: account.balances[0]?.currency ?? "", amount: "" }] })}>Add collateral</button>
          <button type="button" disabled={empty(asked)} onClick={() => change(NOTHING)}>Clear</button>
          <button type="button" disabled={empty(complete(asked))} onClick={() => void navigator.clipboard?.writeText(location.href).then(() => setCopied(true))}>{copied ? "Link copied" : "Copy link"}</button>
        </p>
      </div>
      <div aria-live="polite">
        {error && <Problem error={error} what="answer" />}
        {answer ? <Answer answer={answer} ms={ms} /> : !error && <p class="dim">Move a slider or add a trade: before and after appear here. Nothing is traded.</p>}
      </div>
    </div>
  </section>;
}
