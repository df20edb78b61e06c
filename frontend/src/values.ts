/** Values of parameters as fields of a form: what stands at a path, as a text that a person types, and back. */

export type Leaf = string | number | boolean | null | (string | number)[];

const isLeaf = (value: unknown): value is Leaf =>
  value === null || typeof value !== "object" || (Array.isArray(value) && value.every((each) => typeof each !== "object"));

/** Every value that a field can hold, by its path; where a value came from is none. */
export function leaves(value: unknown, path: string[] = []): { path: string; leaf: Leaf }[] {
  if (isLeaf(value)) return [{ path: path.join("."), leaf: value }];
  return Object.entries(value as object).flatMap(([name, inner]) => (path.length === 0 && name === "sources" ? [] : leaves(inner, [...path, name])));
}

const isDuration = (path: string): boolean => path.endsWith("_ns");

/** How a leaf stands in its field; durations are typed in seconds. */
export function written(path: string, leaf: Leaf): string {
  if (leaf === null) return "";
  if (isDuration(path) && typeof leaf === "number") return String(leaf / 1e9);
  return Array.isArray(leaf) ? leaf.join(", ") : String(leaf);
}

const isNumber = (text: string): boolean => text.trim() !== "" && Number.isFinite(Number(text));

/** What was typed, in the kind of `like`, the value that the field had; what does not fit is refused. */
export function read(path: string, typed: string, like: Leaf): Leaf {
  if (typed.trim() === "") return typeof like === "string" && !isNumber(like) ? "" : Array.isArray(like) ? [] : null;
  if (typeof like === "boolean") return typed === "true";
  if (Array.isArray(like)) return typed.split(",").map((each) => read(path, each.trim(), like[0] ?? null) as string | number);
  const wantsNumber = typeof like === "number" || (typeof like === "string" && isNumber(like));
  if (wantsNumber && !isNumber(typed)) throw new Error(`must be a number, was “${typed.trim()}”`);
  if (typeof like === "string" || (like === null && !isNumber(typed))) return typed.trim();
  return isDuration(path) ? Math.round(Number(typed) * 1e9) : Number(typed);
}

/** `values` with other leaves at some paths; what is not touched is shared. */
export function changed(values: unknown, leaf: Leaf, path: string[]): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return leaf;
  if (Array.isArray(values)) return values.map((each, i) => (String(i) === first ? changed(each, leaf, rest) : each));
  return { ...(values as object), [first]: changed((values as Record<string, unknown>)[first], leaf, rest) };
}
