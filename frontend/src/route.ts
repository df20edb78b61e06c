/** Where we are: `#/page/argument?query`, so that every view has an address that reproduces it. */
import { computed, signal } from "@preact/signals";

export interface Route { page: string; argument: string; query: URLSearchParams }

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export const route = computed<Route>(() => {
  const [path = "", query = ""] = hash.value.replace(/^#\/?/, "").split("?");
  const [page = "", argument = ""] = path.split("/");
  return { page: page || "overview", argument: decodeURIComponent(argument), query: new URLSearchParams(query) };
});

export const to = (page: string, argument = "", query?: Record<string, string>): string => {
  const search = query ? new URLSearchParams(query).toString() : "";
  return `#/${page}${argument && `/${encodeURIComponent(argument)}`}${search && `?${search}`}`;
};

export const go = (address: string): void => void (location.hash = address);

/** Change the query without a step in the browser's history. */
export function remember(query: Record<string, string>): void {
  const { page, argument } = route.value;
  const kept = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ""));
  history.replaceState(null, "", to(page, argument, kept));
  hash.value = location.hash;
}
