/** The whole house after one move: who loses, who falls below maintenance, what nobody can pay. */
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { float, move, usd } from "../format";
import { Problem } from "../load";
import { remember, route, to } from "../route";
import { save } from "../save";
import { Scroll } from "../scroll";
import { Figure } from "../why";
import type { Stress } from "../wire";

const SHOWN = 100;
const PRESETS: [string, Record<string, number>, number][] = [
  ["Down two fifths, vols double", { BTC: -0.4, ETH: -0.45 }, 1],
  ["Down a fifth, vols up", { BTC: -0.2, ETH: -0.25 }, 0.3],
  ["Up a fifth, vols down", { BTC: 0.2, ETH: 0.25 }, -0.2],
  ["Vols double", {}, 1],
];

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
    <p><button type="button" onClick={() => save("stress", accounts as never)}>CSV</button></p>
    <Scroll name="Accounts after the move"><table><caption>{accounts.length > SHOWN ? `The ${SHOWN} with the least equity left` : "Least equity left first"}; USD</caption>
      <thead><tr><th scope="col">account</th><th scope="col" class="n">profit or loss</th><th scope="col" class="n">equity after</th><th scope="col">after</th></tr></thead>
      <tbody>{accounts.slice(0, SHOWN).map((row) => <tr><th scope="row"><a href={to("account", row.account)}>{row.account}</a></th><td class="n">{usd(row.pnl)}</td>
        <td class={float(row.equity_after) < 0 ? "n bad" : "n"}>{usd(row.equity_after)}</td><td>{row.breach ? <span class="bad">▲ below maintenance</span> : "stands"}</td></tr>)}</tbody></table></Scroll>
  </>;
}

export function StressPage() {
  const query = route.value.query;
  const [coins, setCoins] = useState(() => Object.fromEntries((query.get("moves") ?? "BTC:-0.2,ETH:-0.25").split(",").map((pair) => pair.split(":")).map(([coin, value]) => [coin!, Number(value) || 0])));
  const [vol, setVol] = useState(Number(query.get("vol") ?? "0.3") || 0);
  const [answer, setAnswer] = useState<{ result: Stress; at: number; moves: string } | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [asking, setAsking] = useState(false);
  const run = (moves: Record<string, number>, vols: number): void => {
    setAsking(true);
    remember({ moves: Object.entries(moves).map((pair) => pair.join(":")).join(","), vol: String(vols) });
    api.stress(moves, vols).then(
      (result) => { setAnswer({ result, at: Date.now(), moves: `${Object.entries(moves).map(([coin, value]) => `${coin} ${move(value)}`).join(", ")}, vols ${move(vols)}` }); setError(null); },
      (problem: Error) => setError(problem),
    ).finally(() => setAsking(false));
  };
  useEffect(() => { if (query.has("moves")) run(coins, vol); }, []);
  return <>
    <h1>Stress</h1>
    <p class="dim">Every account revalued after one move. Nothing is traded.</p>
    <form class="builder" onSubmit={(event) => { event.preventDefault(); run(coins, vol); }}>
      {Object.entries(coins).map(([coin, value]) => <label class="slider" key={coin}><span>{coin} price</span>
        <input type="range" min={-0.9} max={1} step={0.01} value={value} aria-valuetext={move(value)} onInput={(event) => setCoins({ ...coins, [coin]: Number(event.currentTarget.value) })} /><output class="n">{move(value)}</output></label>)}
      <label class="slider"><span>vols</span><input type="range" min={-0.8} max={2} step={0.01} value={vol} aria-valuetext={move(vol)} onInput={(event) => setVol(Number(event.currentTarget.value))} /><output class="n">{move(vol)}</output></label>
      <p class="row"><button type="submit" disabled={asking}>{asking ? "Revaluing …" : "Run"}</button>
        {PRESETS.map(([label, moves, vols]) => <button type="button" onClick={() => { const all = { ...Object.fromEntries(Object.keys(coins).map((coin) => [coin, 0])), ...moves }; setCoins(all); setVol(vols); run(all, vols); }}>{label}</button>)}</p>
    </form>
    {error && <Problem error={error} what="stress" />}
    {answer ? <Result {...answer} /> : !error && <p class="dim">Choose a move and run it.</p>}
  </>;
}
