/** The whole house after one move: who loses, who falls below maintenance, what nobody can pay. */
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { float, move, usd } from "../format";
import { Problem } from "../load";
import { overview } from "../live";
import { remember, route, to } from "../route";
import { save } from "../save";
import { Scroll } from "../scroll";
import { Figure } from "../why";
import type { Stress } from "../wire";

const SHOWN = 100;
/** Moved apart from the rest; what else has an index price moves together. */
const OWN = ["BTC", "ETH"];
const REST = "others";
const MONEY = new Set(["USD", "USDC", "USDT", "DAI", "EUR"]);
const PRESETS: [string, Record<string, number>, number][] = [
  ["All down two fifths, vols double", { BTC: -0.4, ETH: -0.45, [REST]: -0.5 }, 1],
  ["All down a fifth, vols up", { BTC: -0.2, ETH: -0.25, [REST]: -0.3 }, 0.3],
  ["All up a fifth, vols down", { BTC: 0.2, ETH: 0.25, [REST]: 0.3 }, -0.2],
  ["Vols double", {}, 1],
];

/** Coins with an index price that have no slider of their own. */
const rest = (own: string[]): string[] => (overview.value?.feeds ?? []).flatMap(({ source }) => source.match(/^index (\w+)$/)?.[1] ?? []).filter((coin) => !MONEY.has(coin) && !own.includes(coin));

/** Moves as the server wants them: the rest of the coins one by one. */
function spelled(moves: Record<string, number>): Record<string, number> {
  const { [REST]: others, ...own } = moves;
  return others ? { ...Object.fromEntries(rest(Object.keys(own)).map((coin) => [coin, others])), ...own } : own;
}

const named = (coin: string): string => (coin === REST ? "other coins" : `${coin} price`);

function Result({ result, at, moves }: { result: Stress; at: number; moves: string }) {
  const accounts = [...result.accounts].sort((a, b) => float(a.equity_after) - float(b.equity_after));
  const breaches = accounts.filter(({ breach }) => breach).length;
  const source = `POST /api/v1/stress with ${moves}`;
  const profit = accounts.reduce((sum, { pnl }) => sum + pnl, 0);
  return <>
    <div class="figures">
      <Figure danger={breaches > 0} note={`of ${usd(accounts.length)}`} of={{ title: "Below maintenance", value: usd(breaches), source, at, text: "Accounts that would be liquidated at these prices." }} />
      <Figure danger={float(result.shortfall) > 0} note="USD" of={{ title: "Shortfall", value: usd(result.shortfall), source, at, text: "What accounts with negative equity would still owe: the part that the waterfall must pay.", more: { href: to("liquidations"), label: "Waterfall" } }} />
      <Figure note="USD" of={{ title: "Profit of all", value: usd(profit), source, at, text: "The sum over accounts; zero where every position has its other side here." }} />
    </div>
    <Scroll name="Accounts after the move"><table><caption>{accounts.length > SHOWN ? `The ${SHOWN} with the least equity left` : "Least equity left first"}; USD</caption>
      <thead><tr><th scope="col">account</th><th scope="col" class="n">profit or loss</th><th scope="col" class="n">equity after</th><th scope="col" class="optional">after</th></tr></thead>
      <tbody>{accounts.slice(0, SHOWN).map((row) => <tr><th scope="row"><a href={to("account", row.account)}>{row.account}</a>{row.breach && <span class="narrow bad">▲ liquidation</span>}</th><td class="n">{usd(row.pnl)}</td>
        <td class={float(row.equity_after) < 0 ? "n bad" : "n"}>{usd(row.equity_after)}</td><td class="optional">{row.breach ? <span class="bad">▲ below maintenance</span> : "stands"}</td></tr>)}</tbody></table></Scroll>
    <p><button type="button" onClick={() => save("stress", accounts as never)}>All {usd(accounts.length)} as CSV</button></p>
  </>;
}

export function StressPage() {
  const query = route.value.query;
  const [coins, setCoins] = useState<Record<string, number>>(() => Object.fromEntries((query.get("moves") ?? `BTC:-0.2,ETH:-0.25,${REST}:-0.3`).split(",").map((pair) => pair.split(":")).map(([coin, value]) => [coin!, Number(value) || 0])));
  const [vol, setVol] = useState(Number(query.get("vol") ?? "0.3") || 0);
  const [answer, setAnswer] = useState<{ result: Stress; at: number; moves: string } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [asking, setAsking] = useState(false);
  const run = (moves: Record<string, number>, vols: number): void => {
    setAsking(true);
    remember({ moves: Object.entries(moves).map((pair) => pair.join(":")).join(","), vol: String(vols) });
    api.stress(spelled(moves), vols).then(
      (result) => { setAnswer({ result, at: Date.now(), moves: `${Object.entries(moves).map(([coin, value]) => `${coin === REST ? "other coins" : coin} ${move(value)}`).join(", ")}, vols ${move(vols)}` }); setError(null); },
      (problem: Error) => setError(problem),
    ).finally(() => setAsking(false));
  };
  const ready = overview.value !== null; // which coins the rest are is said there
  useEffect(() => { if (query.has("moves") && (ready || !(REST in coins))) run(coins, vol); }, [ready]);
  const sliders = [...new Set([...OWN, ...Object.keys(coins).filter((coin) => coin !== REST), ...(rest(Object.keys(coins)).length > 0 ? [REST] : [])])];
  return <>
    <h1>Stress</h1>
    <p class="dim">Every account revalued after one move. Nothing is traded.</p>
    <form class="builder" onSubmit={(event) => { event.preventDefault(); run(coins, vol); }}>
      {sliders.map((coin) => [coin, coins[coin] ?? 0] as const).map(([coin, value]) => <label class="slider" key={coin} title={coin === REST ? rest(Object.keys(coins)).join(", ") : undefined}><span>{named(coin)}</span>
        <input type="range" min={-0.9} max={1} step={0.01} value={value} aria-valuetext={move(value)} onInput={(event) => setCoins({ ...coins, [coin]: Number(event.currentTarget.value) })} /><output class="n">{move(value)}</output></label>)}
      <label class="slider"><span>vols</span><input type="range" min={-0.8} max={2} step={0.01} value={vol} aria-valuetext={move(vol)} onInput={(event) => setVol(Number(event.currentTarget.value))} /><output class="n">{move(vol)}</output></label>
      <p class="row"><button type="submit" class="main" disabled={asking}>{asking ? "Revaluing …" : "Run"}</button>
        {PRESETS.map(([label, moves, vols]) => <button type="button" onClick={() => { const all = { ...Object.fromEntries(sliders.map((coin) => [coin, 0])), ...Object.fromEntries(Object.entries(moves).filter(([coin]) => sliders.includes(coin))) }; setCoins(all); setVol(vols); run(all, vols); }}>{label}</button>)}</p>
    </form>
    {error && <Problem error={error} what="stress" />}
    {answer ? <div class={asking ? "old" : ""}><p>After <b>{answer.moves}</b></p><Result {...answer} /></div> : asking ? <p class="dim loading" role="status">Revaluing every account …</p> : !error && <p class="dim">Choose a move and run it.</p>}
  </>;
}
