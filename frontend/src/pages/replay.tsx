/** The past: a slider over the journal, and the service as it stood after the record chosen. */
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import { clock, float, percent, usd } from "../format";
import { Problem } from "../load";
import { remember, route, to } from "../route";
import { Scroll } from "../scroll";
import { calm, State, UsageBar } from "../usage";
import { Figure } from "../why";
import type { AccountRow, Moment } from "../wire";

const SETTLE_MS = 60;
const STEP_MS = 400;

function Rows({ rows }: { rows: AccountRow[] }) {
  return <Scroll name="Accounts at that moment"><table>
    <caption>Accounts, USD; those nearest to liquidation first</caption>
    <thead><tr><th scope="col">account</th><th scope="col" class="optional">state</th><th scope="col" class="n">usage</th><th scope="col" class="n">equity</th><th scope="col" class="n optional">initial</th><th scope="col" class="n optional">maintenance</th></tr></thead>
    <tbody>{rows.map((row) => <tr key={row.account}><th scope="row"><a href={to("account", row.account)}>{row.account}</a>{!calm(row.state) && <span class="narrow"><State of={row.state} /></span>}</th><td class="optional"><State of={row.state} /></td>
      <td class="n"><span class="optional"><UsageBar row={row} /></span> <span class="share-of">{percent(row.margin_usage)}</span></td><td class="n">{usd(row.equity)}</td><td class="n optional">{usd(row.initial)}</td><td class="n optional">{usd(row.maintenance)}</td></tr>)}</tbody></table></Scroll>;
}

function Figures({ moment, at }: { moment: Moment; at: number }) {
  const source = `GET /api/v1/replay?record=${moment.record}`;
  const o = moment.overview;
  if (!o) return <p class="dim">{moment.unpriced} accounts had no price yet at that moment, so there are no sums.</p>;
  const below = moment.accounts.filter((row) => float(row.excess) < 0).length;
  return <div class="figures">
    <Figure note="USD" of={{ title: "Equity", value: usd(o.equity), source, at, text: "Of all accounts at that moment." }} />
    <Figure note="USD" of={{ title: "Maintenance", value: usd(o.maintenance), source, at, text: "Of all accounts at that moment." }} />
    <Figure note="USD" of={{ title: "Insurance fund", value: usd(o.insurance_fund), source, at, text: "What the fund held at that moment." }} />
    <Figure note={`of ${moment.accounts.length} shown`} danger={below > 0} of={{ title: "Below initial", value: String(below), source, at, text: "Accounts that could not add risk at that moment." }} />
  </div>;
}

export function ReplayPage() {
  const asked = route.value.query.get("record");
  const [chosen, setChosen] = useState<number | null>(asked === null ? null : Number(asked));
  const [found, setFound] = useState<{ moment: Moment; at: number } | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const [playing, setPlaying] = useState(false);
  const waiting = useRef(new AbortController());
  useEffect(() => {
    const timer = setTimeout(() => {
      waiting.current.abort();
      const own = (waiting.current = new AbortController());
      api.moment(chosen, own.signal).then(
        (moment) => { setFound({ moment, at: Date.now() }); setProblem(null); },
        (error: Error) => { if (!own.signal.aborted) { setProblem(error); setPlaying(false); } },
      );
      if (chosen !== null) remember({ record: String(chosen) });
    }, found === null ? 0 : SETTLE_MS);
    return () => clearTimeout(timer);
  }, [chosen]);
  const moment = found?.moment;
  const here = chosen ?? moment?.record ?? 1;
  const stride = moment ? Math.max(1, Math.round(moment.last / 200)) : 1;
  const shown = moment?.record;
  useEffect(() => {
    if (!playing || !moment || shown !== here) return undefined; // the next step waits for the one before it
    if (here >= moment.last) { setPlaying(false); return undefined; }
    const timer = setTimeout(() => setChosen(Math.min(moment.last, here + stride)), STEP_MS);
    return () => clearTimeout(timer);
  }, [playing, shown, here]);
  const step = (by: number): void => setChosen(Math.min(moment?.last ?? 1, Math.max(1, here + by)));
  return <>
    <h1>Replay</h1>
    <p class="dim">The service as it stood after any record of its journal, rebuilt from the records themselves.</p>
    {moment && <div class="row replay">
      <button type="button" onClick={() => { if (here >= moment.last) setChosen(1); setPlaying(!playing); }}>{playing ? "Stop" : "Play"}</button>
      <button type="button" onClick={() => step(-1)} disabled={here <= 1} aria-label="−1: one record back">−1</button>
      <button type="button" onClick={() => step(1)} disabled={here >= moment.last} aria-label="+1: one record on">+1</button>
      <label class="slider wide"><span>record</span><input type="range" min={moment.first} max={moment.last} step={1} value={here} aria-valuetext={`record ${here} of ${moment.last}`}
        onInput={(event) => { setPlaying(false); setChosen(Number(event.currentTarget.value)); }} /><output class="n">{here} of {moment.last}</output></label>
      <span class="num" role="status">{clock(moment.time.iso)} UTC</span>
    </div>}
    {problem && <Problem error={problem} what="moment" />}
    {!found && !problem && <p class="dim loading" role="status">Reading the journal; the first time after a start takes a while …</p>}
    {found && <><Figures moment={found.moment} at={found.at} /><Rows rows={found.moment.accounts} /></>}
  </>;
}
