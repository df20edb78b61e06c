import { useState } from "preact/hooks";
import { rows } from "./live";
import { go, to } from "./route";

const SHOWN = 8;

/** Accounts whose name holds what was typed; those that begin with it first. */
function found(text: string): string[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const names = [...rows.keys()].filter((name) => name.toLowerCase().includes(wanted));
  return names.sort((a, b) => Number(b.toLowerCase().startsWith(wanted)) - Number(a.toLowerCase().startsWith(wanted)) || a.localeCompare(b)).slice(0, SHOWN);
}

export function Search() {
  const [text, setText] = useState("");
  const names = found(text);
  const submit = (event: Event): void => {
    event.preventDefault();
    const name = names.find((candidate) => candidate === text) ?? names[0];
    if (name === undefined) return;
    setText("");
    go(to("account", name));
    (document.activeElement as HTMLElement | null)?.blur();
  };
  return <form class="search" role="search" onSubmit={submit}>
    <input id="search" type="search" list="search-found" autocomplete="off" placeholder="Account  /" aria-label="Search an account"
      value={text} onInput={(event) => setText(event.currentTarget.value)} />
    <datalist id="search-found">{names.map((name) => <option value={name} />)}</datalist>
  </form>;
}
