/** Liquidations as timelines with what they cost and who paid, and the waterfall drawn as one. */
import { digits, float, usd } from "../format";
import { fields, itemTime, ItemText, named, words } from "../items";
import { events } from "../live";
import { Problem } from "../load";
import { to } from "../route";
import { save } from "../save";
import { State } from "../usage";
import { Age, Why } from "../why";
import type { Item } from "../wire";
import { ItemTable, useList } from "./items";

const listOf = (value: unknown): Item[] => (Array.isArray(value) ? (value as Item[]) : []);
const DRAWN_APART = new Set(["account", "state", "started", "steps", "paid_by", "sequence"]);
/** Figures of the moment in which it began. */
const AT_FIRST = new Set(["equity", "maintenance"]);

function Liquidation({ item }: { item: Item }) {
  const steps = listOf(item.steps);
  const paid = listOf(item.paid_by);
  const rest = fields([item]).filter((name) => !DRAWN_APART.has(name) && item[name] !== null);
  return <article class="card">
    <h2><a href={to("account", String(item.account))}>{String(item.account)}</a> {typeof item.state === "string" && <State of={item.state} />} <span class="dim num">{itemTime(item)}</span></h2>
    {steps.length > 0 && <ol class="timeline">{steps.map((step) => <li><span class="dim num">{itemTime(step)}</span> <ItemText of={step} /></li>)}</ol>}
    <p>{rest.map((name) => <span class="field"><span class="dim">{words(name)}{AT_FIRST.has(name) && " at the start"}</span> <span class="num">{AT_FIRST.has(name) ? usd(item[name] as string) : named(name, item[name])}</span></span>)}
      {paid.length > 0 && <span class="field"><span class="dim">paid by</span> {paid.map((part) => `${String(part.layer)} ${digits(String(part.amount))}`).join(", ")}</span>}</p>
  </article>;
}

/** What stood in a layer before, whichever of its names the server gives it. */
const size = (item: Item): number => float((item.size ?? item.available ?? item.capacity ?? null) as string | null);
const drawn = (item: Item): number => float((item.drawn ?? item.amount ?? "0") as string) || 0;

/** What the layers are called where money is paid. */
const LAYERS: Record<string, string> = { collateral: "the account's collateral", contribution: "its own contribution", house: "the house's capital", insurance: "insurance fund",
  "default fund": "default fund of all", assessment: "assessments", adl: "deleveraging", socialised: "socialised losses" };

/** Layers from first to last payer; each bar starts where the one above ended, so that together they make the shortfall. */
function Waterfall({ items, at }: { items: Item[]; at: number }) {
  const total = items.reduce((sum, item) => sum + drawn(item), 0);
  let paid = 0;
  return <table class="waterfall"><caption>{total ? `USD; shortfall paid so far ${usd(total)}` : "Who would pay, in this order; no shortfall has had to be paid. USD"}; <Age at={at} stale={60_000} /></caption>
    <thead><tr><th scope="col">layer</th>{total > 0 && <th scope="col" class="wide">who paid which part</th>}<th scope="col" class="n">drawn</th><th scope="col" class="n optional">held</th></tr></thead>
    <tbody>{items.map((item) => {
      const [start, own] = [paid, drawn(item)];
      paid += own;
      const share = (value: number): string => `${total ? (value / total) * 100 : 0}%`;
      const layer = String(item.layer ?? item.name ?? item.payer ?? "layer");
      const name = LAYERS[layer] ?? layer;
      const held = Number.isNaN(size(item)) ? "–" : usd(size(item));
      return <tr><th scope="row">{name} <Why of={{ title: name, value: `${usd(own)} drawn`, at, source: "GET /api/v1/waterfall", text: "A layer pays what the layers before it could not, up to what it holds.", parts: [{ label: "paid before it", value: usd(start) }, { label: "drawn", value: usd(own) }, { label: "held", value: held === "–" ? "not stated" : held }] }} /></th>
        {total > 0 && <td class="wide"><span class="fall"><i style={{ marginLeft: share(start), width: share(own) }} /></span></td>}<td class="n">{usd(own)}</td><td class="n dim optional">{held}</td></tr>;
    })}</tbody></table>;
}

export function LiquidationsPage() {
  const stamp = events.value.filter((event) => /liquid|default|draw|margin/i.test(JSON.stringify([event.event, event.kind, event.type]))).length;
  const liquidations = useList("liquidations", stamp);
  const layers = useList("waterfall", stamp);
  const calls = useList("margin-calls", stamp);
  return <>
    <h1>Liquidations</h1>
    {liquidations.error ? <Problem error={liquidations.error} what="liquidations" /> : <p class="row"><span class="num" role="status">{liquidations.items.length === 1 ? "1 liquidation" : `${liquidations.items.length} liquidations`}</span> <Age at={liquidations.at} stale={60_000} />
      <button type="button" disabled={liquidations.items.length === 0} onClick={() => save("liquidations", liquidations.items)}>CSV</button></p>}
    {liquidations.at > 0 && liquidations.items.length === 0 && <p class="dim">No account has been liquidated.</p>}
    {liquidations.items.map((item) => <Liquidation item={item} />)}
    {liquidations.next && <p><button type="button" onClick={liquidations.more}>More</button></p>}
    <h2>Waterfall</h2>
    {layers.error && <Problem error={layers.error} what="waterfall" />}
    {layers.items.length > 0 ? <Waterfall items={layers.items} at={layers.at} /> : layers.at > 0 && <p class="dim">Nothing has been drawn.</p>}
    <h2>Margin calls</h2>
    {calls.error && <Problem error={calls.error} what="margin calls" />}
    {calls.items.length > 0 ? <ItemTable items={calls.items} caption="Accounts below their initial requirement" /> : calls.at > 0 && <p class="dim">No margin call.</p>}
  </>;
}
