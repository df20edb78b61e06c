/** Keys: shown by `?`, and never taken while somebody types. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { go, to } from "./route";
import { turn } from "./theme";

const help = signal(false);
/** What j, k and Enter do on the page that is open. */
export const rowKeys = signal<{ step: (by: number) => void; open: () => void } | null>(null);

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));

export function listenToKeys(pages: () => string[]): void {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (typing(event.target)) {
      if (event.key === "Escape") (event.target as HTMLElement).blur();
      return;
    }
    const onControl = event.target instanceof HTMLElement && /^(A|BUTTON|SUMMARY)$/.test(event.target.tagName);
    const page = pages()[Number(event.key) - 1];
    if (event.key === "?") help.value = true;
    else if (event.key === "/") document.getElementById("search")?.focus();
    else if (event.key === "j" || event.key === "k") rowKeys.value?.step(event.key === "j" ? 1 : -1);
    else if (event.key === "Enter" && rowKeys.value && !onControl) rowKeys.value.open();
    else if (event.key === "w" && document.getElementById("what-if")) focusWhatIf();
    else if (event.key === "t") turn();
    else if (page) go(to(page));
    else return;
    event.preventDefault();
  });
}

function focusWhatIf(): void {
  const builder = document.getElementById("what-if")!;
  builder.scrollIntoView({ block: "start" });
  builder.querySelector<HTMLElement>("input, button")?.focus();
}

const KEYS: [string, string][] = [
  ["?", "these keys"],
  ["/", "search an account"],
  ["1 … 9", "the pages of the rail, from the top"],
  ["j  k", "next and previous row"],
  ["Enter", "open the row"],
  ["w", "what-if, on an account"],
  ["t", "dark or light"],
  ["Esc", "leave a field or a dialog"],
];

export function KeysDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => void (help.value && dialog.current?.showModal()), [help.value]);
  return <dialog ref={dialog} class="reason" aria-labelledby="keys-title" onClose={() => (help.value = false)}>
    <h2 id="keys-title">Keys</h2>
    <table><tbody>{KEYS.map(([key, does]) => <tr><th scope="row"><kbd>{key}</kbd></th><td>{does}</td></tr>)}</tbody></table>
    <p class="row"><button type="button" onClick={() => dialog.current?.close()}>Close</button></p>
  </dialog>;
}
