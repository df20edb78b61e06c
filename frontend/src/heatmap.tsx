/** Price x vol, diverging around zero, drawn on a canvas: the boundary of liquidation as a line, the present as a cross. */
import { useEffect, useRef, useState } from "preact/hooks";
import { compact, move, percent, usd } from "./format";
import { dark, ink } from "./theme";
import type { Surface } from "./wire";

const PAD = { left: 52, right: 8, top: 8, bottom: 34 };
const HEIGHT = 280;

type Colour = [number, number, number];
const colour = (name: string): Colour => {
  const hex = ink(name).slice(1);
  const long = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
  return [0, 2, 4].map((at) => parseInt(long.slice(at, at + 2), 16)) as Colour;
};
const mix = (a: Colour, b: Colour, share: number): string => `rgb(${a.map((x, i) => Math.round(x + (b[i]! - x) * share)).join(" ")})`;

/** Where a value of `axis` stands, in cells from the left edge of the first. */
function place(axis: number[], value: number): number {
  const rising = axis[0]! < axis[axis.length - 1]!;
  let i = 0;
  while (i < axis.length - 2 && (rising ? axis[i + 1]! < value : axis[i + 1]! > value)) i++;
  return i + 0.5 + (value - axis[i]!) / (axis[i + 1]! - axis[i]!);
}

/** The present, as sent; else the middle of the grid, where the present stands on a grid of even moves. */
export const present = (s: Surface): [number, number] => [
  s.price_now ?? s.prices[(s.prices.length - 1) >> 1]!,
  s.vol_now ?? s.vols[(s.vols.length - 1) >> 1]!,
];

/** The price on the boundary that is nearest to the present one while vols stay, as a move; null where the grid has none. */
export function nearest(s: Surface): number | null {
  const [price, vol] = present(s);
  const step = Math.abs(s.vols[1]! - s.vols[0]!);
  const moves = s.boundary.filter((point) => Math.abs(point[1] - vol) < step / 2).map((point) => (s.prices.some((p) => p < 0) ? point[0] - price : point[0] / price - 1));
  return moves.length ? moves.reduce((least, each) => (Math.abs(each) < Math.abs(least) ? each : least)) : null;
}

/** A small price axis is one of moves, not of prices. */
const priceText = (s: Surface, price: number): string => (Math.max(...s.prices.map(Math.abs)) < 5 ? percent(price) : usd(price));

/** Vols come as levels, or as moves, of which some go down. */
const volText = (s: Surface, vol: number): string => (Math.min(...s.vols) < 0 ? move(vol) : percent(vol));

function draw(canvas: HTMLCanvasElement, s: Surface, z: number[][]): void {
  const width = canvas.clientWidth;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = HEIGHT * scale;
  const pen = canvas.getContext("2d")!;
  pen.scale(scale, scale);
  pen.font = "12px system-ui, sans-serif";
  const [columns, lines] = [s.prices.length, s.vols.length];
  const [w, h] = [(width - PAD.left - PAD.right) / columns, (HEIGHT - PAD.top - PAD.bottom) / lines];
  const x = (cells: number): number => PAD.left + cells * w;
  const y = (cells: number): number => HEIGHT - PAD.bottom - cells * h;
  const most = Math.max(1, ...z.flat().map(Math.abs));
  const [low, mid, high] = [colour("low"), colour("mid"), colour("high")];
  z.forEach((line, j) => line.forEach((value, i) => {
    // The square root keeps the neighbourhood of zero, where liquidation is near, apart to the eye.
    pen.fillStyle = mix(mid, value < 0 ? low : high, Math.sqrt(Math.abs(value) / most));
    pen.fillRect(x(i), y(j + 1), w + 0.6, h + 0.6);
  }));
  pen.fillStyle = ink("dim");
  pen.textAlign = "center";
  const every = Math.ceil(columns / Math.max(2, Math.floor((width - 60) / 72)));
  s.prices.forEach((price, i) => { if (i % every === 0) pen.fillText(priceText(s, price), Math.min(Math.max(x(i + 0.5), PAD.left + 16), width - pen.measureText(priceText(s, price)).width / 2 - 2), HEIGHT - 18); });
  pen.fillText(`${s.underlying} price`, PAD.left + (width - PAD.left) / 2, HEIGHT - 3);
  pen.textAlign = "right";
  s.vols.forEach((vol, j) => { if (j % 2 === 0) pen.fillText(volText(s, vol), PAD.left - 5, y(j + 0.5) + 4); });
  const shown = s.boundary.filter(([price, vol]) => price >= Math.min(...s.prices) && price <= Math.max(...s.prices) && vol >= Math.min(...s.vols) && vol <= Math.max(...s.vols));
  pen.strokeStyle = ink("fg");
  pen.lineWidth = 2.5;
  for (const path of paths(shown, s)) {
    pen.beginPath();
    path.forEach(([price, vol], k) => (k ? pen.lineTo : pen.moveTo).call(pen, x(place(s.prices, price)), y(place(s.vols, vol))));
    pen.stroke();
  }
  const [cx, cy] = [x(place(s.prices, present(s)[0])), y(place(s.vols, present(s)[1]))];
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(cx - 7, cy); pen.lineTo(cx + 7, cy); pen.moveTo(cx, cy - 7); pen.lineTo(cx, cy + 7);
  pen.stroke();
}

/** The boundary comes as points; those that are neighbours on the grid make a line, so that two sides are never joined across the middle. */
function paths(points: [number, number][], s: Surface): [number, number][][] {
  const near = (a: [number, number], b: [number, number]): boolean =>
    Math.abs(place(s.prices, a[0]) - place(s.prices, b[0])) <= 3 && Math.abs(place(s.vols, a[1]) - place(s.vols, b[1])) <= 1.5;
  const lines: [number, number][][] = [];
  for (const point of [...points].sort((a, b) => a[1] - b[1] || a[0] - b[0])) {
    const line = lines.find((candidate) => near(candidate[candidate.length - 1]!, point));
    if (line) line.push(point);
    else lines.push([point]);
  }
  return lines;
}

type Cell = [number, number];

/** The cell in which the present stands. */
const centre = (s: Surface): Cell => {
  const within = (cells: number, axis: number[]): number => Math.min(axis.length - 1, Math.max(0, Math.floor(cells)));
  return [within(place(s.prices, present(s)[0]), s.prices), within(place(s.vols, present(s)[1]), s.vols)];
};
const STEPS: Record<string, Cell> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

/** Where a cell stands in the picture, for what lies upon it. */
const frame = (s: Surface, [i, j]: Cell): Record<string, string> => ({
  left: `calc(${PAD.left}px + (100% - ${PAD.left + PAD.right}px) * ${i / s.prices.length})`, width: `calc((100% - ${PAD.left + PAD.right}px) / ${s.prices.length})`,
  bottom: `${PAD.bottom + ((HEIGHT - PAD.top - PAD.bottom) * j) / s.vols.length}px`, height: `${(HEIGHT - PAD.top - PAD.bottom) / s.vols.length}px`,
});

/** The moves of price and vols from the present to a cell; null where a map tells levels of vol. */
function movesTo(s: Surface, [i, j]: Cell): { price: number; vol: number } | null {
  const round = (value: number): number => Math.round(value * 100) / 100;
  return Math.min(...s.vols) < 0 ? { price: round(s.prices[i]! / present(s)[0] - 1), vol: round(s.vols[j]!) } : null;
}

export function Heatmap({ surface: s, of, ask }: { surface: Surface; of: "pnl" | "excess"; ask: (moves: { price: number; vol: number }) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cell, setCell] = useState<Cell | null>(null);
  const z = s[of];
  const worst = Math.min(...z.flat());
  const best = Math.max(...z.flat());
  const most = Math.max(1, Math.abs(worst), Math.abs(best));
  const title = of === "pnl" ? "Profit or loss" : "Excess";
  useEffect(() => {
    const again = (): void => draw(canvas.current!, s, z);
    again();
    addEventListener("resize", again);
    return () => removeEventListener("resize", again);
  }, [s, of, dark.value]);
  const value = cell && z[cell[1]]?.[cell[0]];
  const point = (event: PointerEvent): void => {
    const box = canvas.current!.getBoundingClientRect();
    const i = Math.floor(((event.clientX - box.left - PAD.left) / (box.width - PAD.left - PAD.right)) * s.prices.length);
    const j = Math.floor(((box.bottom - PAD.bottom - event.clientY) / (HEIGHT - PAD.top - PAD.bottom)) * s.vols.length);
    setCell(z[j]?.[i] === undefined ? null : [i, j]);
  };
  const moves = cell && movesTo(s, cell);
  const step = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && moves) ask(moves);
    const by = STEPS[event.key];
    if (!by) return;
    event.preventDefault();
    const [i, j] = cell ?? centre(s);
    setCell(cell ? [Math.min(s.prices.length - 1, Math.max(0, i + by[0])), Math.min(s.vols.length - 1, Math.max(0, j + by[1]))] : [i, j]);
  };
  return <figure class="plot">
    <figcaption>{title}, USD, by price and vol{s.boundary.length > 0 && "; line: liquidation"}; cross: present</figcaption>
    <div class="map" role="group" tabIndex={0} aria-label={`${title}, cell by cell with the arrow keys`} onKeyDown={step} onBlur={() => setCell(null)} onDblClick={() => moves && ask(moves)}>
      <canvas ref={canvas} role="img" style={{ height: `${HEIGHT}px` }} onPointerMove={point} onPointerDown={point} onPointerLeave={() => setCell(null)}
        aria-label={`${title} by ${s.underlying} price and vol: from ${usd(worst)} to ${usd(best)} USD. ${s.boundary.length ? "A line marks where liquidation starts." : "No liquidation within the grid."} The table below has the figures.`} />
      {cell && value !== undefined && <i class="cell" style={frame(s, cell)} />}
    </div>
    <p class="scale"><span class="num">{compact(-most)}</span><i /><span class="num">{compact(most)}</span> <span class="dim num" role="status">{cell && typeof value === "number" ? `${s.underlying} ${priceText(s, s.prices[cell[0]]!)}, vols ${volText(s, s.vols[cell[1]]!)}: ${usd(value)} USD${moves ? "; Enter or a double click asks what if" : ""}` : `on the map ${compact(worst)} to ${compact(best)}; point at a cell, or walk by arrow keys`}</span></p>
  </figure>;
}
