/** Logging in, where the service asks who is there. */
import { useState } from "preact/hooks";
import * as api from "../api";
import { Problem } from "../load";

export function LoginPage() {
  const [problem, setProblem] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      await api.logIn(String(given.get("user")), String(given.get("password")));
      location.reload(); // everything is asked anew, as somebody
    } catch (error) {
      setProblem(error instanceof api.Refused && error.status === 401 ? new Error("user and password do not belong together") : (error as Error));
      setBusy(false);
    }
  };
  return <form class="login card" onSubmit={(event) => void submit(event as unknown as SubmitEvent)}>
    <h1>Log in</h1>
    <p class="dim">This service shows its figures to those it knows.</p>
    <label><span>User</span><input name="user" autocomplete="username" required autofocus /></label>
    <label><span>Password</span><input name="password" type="password" autocomplete="current-password" required /></label>
    {problem && (problem instanceof api.Refused ? <Problem error={problem} what="session" /> : <p class="problem" role="alert">{problem.message}.</p>)}
    <button type="submit" disabled={busy}>{busy ? "Asking …" : "Log in"}</button>
  </form>;
}
