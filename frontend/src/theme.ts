/** Dark or light: the system's choice until the reader makes one. */
import { signal } from "@preact/signals";

const KEY = "crossmargin-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = localStorage.getItem(KEY);

export const dark = signal(chosen ? chosen === "dark" : system.matches);

function show(): void {
  document.documentElement.dataset.theme = dark.value ? "dark" : "light";
}

system.addEventListener("change", () => {
  if (localStorage.getItem(KEY)) return;
  dark.value = system.matches;
  show();
});
show();

export function turn(): void {
  dark.value = !dark.value;
  localStorage.setItem(KEY, dark.value ? "dark" : "light");
  show();
}

/** A colour of the style sheet, for canvases. */
export const ink = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
