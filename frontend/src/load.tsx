/** Asking the server once per view, with its empty, loading and error states. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refused } from "./api";

export type Loaded<T> = { state: "loading" } | { state: "failed"; error: Error } | { state: "here"; value: T; at: number };

/** Ask again when one of `inputs` changes; what is shown stays until the answer is here. */
export function useAnswer<T>(ask: () => Promise<T>, inputs: unknown[]): Loaded<T> {
  const [answer, setAnswer] = useState<Loaded<T>>({ state: "loading" });
  useEffect(() => {
    let current = true;
    ask().then(
      (value) => current && setAnswer({ state: "here", value, at: Date.now() }),
      (error: Error) => current && setAnswer({ state: "failed", error }),
    );
    return () => void (current = false);
  }, inputs);
  return answer;
}

export function Problem({ error, what }: { error: Error; what: string }) {
  const text = error instanceof Refused ? error.message : `the server cannot be reached (${error.message})`;
  return <p class="problem" role="alert"><b>No {what}:</b> {text}.</p>;
}

export function Await<T>({ answer, what, children }: {
  answer: Loaded<T>; what: string; children: (value: T, at: number) => ComponentChildren;
}) {
  if (answer.state === "loading") return <p class="dim loading" role="status">Asking for {what} …</p>;
  if (answer.state === "failed") return <Problem error={answer.error} what={what} />;
  return <>{children(answer.value, answer.at)}</>;
}
