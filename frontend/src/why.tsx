/** Every figure can be asked why: one dialog, opened from the figure, that says what it is made of and how old it is. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { age } from "./format";
import { now } from "./live";

export interface Reason {
  title: string;
  value: string;
  /** What the figure means, in a sentence or two. */
  text: ComponentChildren;
  /** Parts that sum to it, where we have them. */
  parts?: { label: string; value: string }[];
  source: string;
  /** When it arrived, ms of the browser's clock. */
  at: number;
  more?: { href: string; label: string };
}

const reason = signal<Reason | null>(null);

export function Age({ at, stale = 15_000 }: { at: number; stale?: number }) {
  const ms = now.value - at;
  const old = ms > stale;
  return <span class={old ? "age stale" : "age"} title={at ? new Date(at).toISOString() : "nothing received yet"}>
    {old && "stale, "}{at ? age(ms) : "waiting"}
  </span>;
}

export function Why({ of }: { of: Reason }) {
  return <button type="button" class="why" aria-haspopup="dialog" aria-label={`Why: ${of.title}`} title="why"
    onClick={() => (reason.value = of)}>?</button>;
}

/** A figure with its name, its age and its why. */
export function Figure({ of, danger, note }: { of: Reason; danger?: boolean; note?: ComponentChildren }) {
  return <div class="figure">
    <span class="name">{of.title} <Why of={of} /></span>
    <b class={danger ? "num bad" : "num"}>{of.value}</b>
    <span class="dim">{note && <>{note} · </>}<Age at={of.at} /></span>
  </div>;
}

export function WhyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = reason.value;
  useEffect(() => {
    if (shown) dialog.current?.showModal();
  }, [shown]);
  const close = () => dialog.current?.close();
  return <dialog ref={dialog} class="reason" aria-labelledby="reason-title" onClose={() => (reason.value = null)}
    onClick={(event) => event.target === dialog.current && close()}>
    {shown && <>
      <h2 id="reason-title">{shown.title}</h2>
      <p class="num big">{shown.value}</p>
      <p>{shown.text}</p>
      {shown.parts && <table><caption>What it is made of</caption><tbody>
        {shown.parts.map((part) => <tr><th scope="row">{part.label}</th><td class="n">{part.value}</td></tr>)}
      </tbody></table>}
      <p class="dim">From {shown.source}, received <Age at={shown.at} /> ago.</p>
      <p class="row">
        {shown.more && <a href={shown.more.href} onClick={close}>{shown.more.label}</a>}
        <button type="button" onClick={close}>Close</button>
      </p>
    </>}
  </dialog>;
}
