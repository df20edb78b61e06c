/** Work on ten thousand rows, cut into pieces so small that a frame is never late for them. */

/** Longest piece, ms: an eighth of a frame. */
const SLICE_MS = 2;
/** Rows between two looks at the clock. */
const STEP = 256;

const pause = (): Promise<void> => new Promise((done) => {
  const { port1, port2 } = new MessageChannel(); // unlike a timer's, its turn comes at once, and after a frame that waits
  port1.onmessage = () => done();
  port2.postMessage(null);
});

/** Run work that yields where it may be interrupted; undefined once it is no longer wanted. */
export async function inSlices<T>(work: Generator<void, T>, wanted: () => boolean): Promise<T | undefined> {
  for (;;) {
    await pause(); // the first time too: who asks may be drawing a frame
    if (!wanted()) return undefined;
    for (const until = performance.now() + SLICE_MS; performance.now() < until; ) {
      const { done, value } = work.next();
      if (done) return value;
    }
  }
}

export function* each<A>(list: Iterable<A>, visit: (item: A) => void): Generator<void, void> {
  let done = 0;
  for (const item of list) {
    visit(item);
    if (++done % STEP === 0) yield;
  }
}

/** A stable merge sort from runs that each fit a slice. */
export function* sort<A>(list: A[], compare: (a: A, b: A) => number): Generator<void, A[]> {
  let [from, to] = [list.slice(), new Array<A>(list.length)];
  for (let start = 0; start < from.length; start += STEP) {
    from.slice(start, start + STEP).sort(compare).forEach((item, i) => (from[start + i] = item));
    yield;
  }
  for (let run = STEP; run < from.length; run *= 2) {
    for (let start = 0; start < from.length; start += 2 * run) {
      const [middle, end] = [Math.min(start + run, from.length), Math.min(start + 2 * run, from.length)];
      let [a, b] = [start, middle];
      for (let place = start; place < end; place++) {
        to[place] = a < middle && (b >= end || compare(from[a]!, from[b]!) <= 0) ? from[a++]! : from[b++]!;
        if (place % STEP === 0) yield;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
