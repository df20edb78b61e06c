/** Equity and requirements over time. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "preact/hooks";
import { compact, float, usd } from "./format";
import { dark, ink } from "./theme";
import type { HistoryPoint } from "./wire";

const LINES = [
  { label: "equity", stroke: "line-1", dash: [] },
  { label: "initial", stroke: "line-2", dash: [8, 4] },
  { label: "maintenance", stroke: "line-3", dash: [2, 3] },
] as const;
const HEIGHT = 260;

/** Seconds within a quarter of an hour, hours within two days, days beyond. */
function times(marks: number[]): string[] {
  const span = marks.length > 1 ? marks[marks.length - 1]! - marks[0]! : 0;
  const [long, short] = [span > 172_800, span > 0 && span < 900];
  return marks.map((mark) => {
    const iso = new Date(mark * 1_000).toISOString();
    if (short) return iso.slice(11, 19);
    return long || iso.slice(11, 16) === "00:00" ? iso.slice(5, 10) : iso.slice(11, 16);
  });
}

function options(width: number): uPlot.Options {
  const axis = { stroke: ink("dim"), grid: { stroke: ink("rule"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  return {
    width, height: HEIGHT, padding: [8, 26, null, null], cursor: { drag: { x: true, y: false } }, legend: { live: true },
    scales: { x: { time: true } },
    axes: [{ ...axis, values: (_, marks) => times(marks) }, { ...axis, size: 62, values: (_, marks) => marks.map((mark) => compact(mark)) }],
    series: [
      { label: "time, UTC", value: (_, seconds) => (seconds === null ? "–" : new Date(seconds * 1_000).toISOString().slice(0, 19).replace("T", " ")) },
      ...LINES.map(({ label, stroke, dash }) => ({ label, stroke: ink(stroke), dash: [...dash], width: 2, points: { show: false }, value: (_: uPlot, y: number | null) => usd(y) })),
    ],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), "UTC"),
  };
}

export function Series({ points }: { points: HistoryPoint[] }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = (): uPlot.AlignedData => [
    points.map(({ time }) => time.epoch_ms / 1_000),
    points.map(({ equity }) => float(equity)),
    points.map(({ initial }) => float(initial)),
    points.map(({ maintenance }) => float(maintenance)),
  ];
  useEffect(() => {
    const made = new uPlot(options(box.current!.clientWidth), data(), box.current!);
    plot.current = made;
    const legend = box.current!.querySelector<HTMLTableElement>(".u-legend")!;
    legend.ariaLabel = "Values where the pointer stands";
    legend.querySelectorAll("th").forEach((each) => (each.scope = "row"));
    const watch = new ResizeObserver(([entry]) => entry && made.setSize({ width: entry.contentRect.width, height: HEIGHT }));
    watch.observe(box.current!);
    return () => { watch.disconnect(); made.destroy(); };
  }, [dark.value]);
  useEffect(() => plot.current?.setData(data()), [points]);
  const last = points[points.length - 1];
  const breaches = points.filter(({ equity, maintenance }) => float(equity) < float(maintenance)).length;
  return <figure class="plot">
    <figcaption>Equity and requirements, USD{breaches > 0 && `; below maintenance in ${breaches} of ${points.length} points`}. Drag to zoom, double-click to see all.</figcaption>
    <div ref={box} />
    <p class="unseen">{last ? `Equity ${usd(last.equity)}, initial ${usd(last.initial)}, maintenance ${usd(last.maintenance)} USD at the end of ${points.length} points.` : "No points."}</p>
  </figure>;
}
