/** The insurance fund: what it holds, what each market may draw and has drawn, and the draws. */
import { useState } from "preact/hooks";
import { digits, float, percent, usd } from "../format";
import { events, overview } from "../live";
import { Await, Problem, useAnswer } from "../load";
import * as api from "../api";
import { Age, Figure } from "../why";
import type { Insurance } from "../wire";
import { ItemTable } from "./items";

const SOURCE = "GET /api/v1/insurance";

function Markets({ fund, at }: { fund: Insurance; at: number }) {
  const drawn = Object.entries(fund.drawn_by_market).sort(([, a], [, b]) => float(b) - float(a));
  const cap = fund.cap_per_market === null ? null : float(fund.cap_per_market);
  return <table><caption>{fund.asset}, since the journal began; <Age at={at} stale={60_000} /></caption>
    <thead><tr><th scope="col">market</th><th scope="col" class="n">drawn</th><th scope="col" class="n">of its cap</th></tr></thead>
    <tbody>{drawn.map(([market, amount]) => <tr><th scope="row">{market}</th><td class="n">{usd(amount)}</td><td class="n">{cap ? percent(float(amount) / cap) : "no cap"}</td></tr>)}
      {drawn.length === 0 && <tr><td colSpan={3} class="dim">no market has drawn anything</td></tr>}</tbody></table>;
}

/** The newest draws, and older ones as they are asked for; a new answer begins anew. */
function Draws({ fund }: { fund: Insurance }) {
  const newest = { fund, draws: fund.draws, next: fund.next ?? null, error: null as Error | null };
  const [held, setHeld] = useState(newest);
  const { draws, next, error } = held.fund === fund ? held : newest;
  const more = (cursor: string): void => void api.insurance(cursor).then(
    (page) => setHeld({ fund, draws: [...draws, ...page.draws], next: page.next ?? null, error: null }),
    (refused: Error) => setHeld({ fund, draws, next, error: refused }),
  );
  if (draws.length === 0) return <p class="dim">Nothing has been drawn.</p>;
  return <>
    <ItemTable items={draws} caption="The newest first" />
    {error && <Problem error={error} what="older draws" />}
    {next && <p><button type="button" onClick={() => more(next)}>More</button></p>}
  </>;
}

export function InsurancePage() {
  const stamp = events.value.filter((event) => /draw|fund|default/i.test(JSON.stringify([event.event, event.kind, event.type]))).length;
  const answer = useAnswer(() => api.insurance(), [stamp, overview.value?.insurance_fund]);
  return <>
    <h1>Insurance fund</h1>
    <p class="dim">It pays what a bankrupt account still owes once its own money is gone, before anybody else does.</p>
    <Await answer={answer} what="insurance fund">{(fund, at) => {
      const drawn = Object.values(fund.drawn_by_market).reduce((sum, amount) => sum + float(amount), 0);
      return <>
        <div class="figures">
          <Figure note={fund.asset} of={{ title: "Fund", value: usd(fund.fund), at, source: SOURCE, text: "What the fund's account in the ledger holds now; fees of liquidations go in, shortfalls of bankrupt accounts come out." }} />
          <Figure note={fund.asset} danger={drawn > 0} of={{ title: "Drawn by markets", value: usd(drawn), at, source: SOURCE, text: "Paid for shortfalls since the journal began." }} />
          <Figure note="per market" of={{ title: "Cap", value: fund.cap_per_market === null ? "none" : digits(fund.cap_per_market), at, source: SOURCE, text: "The most that the losses of one market may take from the fund; what is beyond goes to the next layer of the waterfall." }} />
        </div>
        <h2>By market</h2>
        <Markets fund={fund} at={at} />
        <h2>Draws</h2>
        <Draws fund={fund} />
      </>;
    }}</Await>
  </>;
}
