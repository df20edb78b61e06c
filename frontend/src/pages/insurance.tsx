/** The insurance fund: what it holds, what each market may draw and has drawn, and the draws. */
import { digits, float, percent, usd } from "../format";
import { events, overview } from "../live";
import { Await, useAnswer } from "../load";
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

export function InsurancePage() {
  const stamp = events.value.filter((event) => /draw|fund|default/i.test(JSON.stringify([event.event, event.kind, event.type]))).length;
  const answer = useAnswer(api.insurance, [stamp, overview.value?.insurance_fund]);
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
        {fund.draws.length > 0 ? <ItemTable items={fund.draws} caption="Since the service started, the newest first" /> : <p class="dim">Nothing has been drawn since the service started.</p>}
      </>;
    }}</Await>
  </>;
}
