/** What stands in every page's place until the service's engine is open. */
import { link, service } from "../live";

const count = new Intl.NumberFormat("en");

export function OpeningPage() {
  const health = service.value;
  if (health?.status === "failed") return <>
    <h1>The service has stopped</h1>
    <p class="problem" role="alert"><b>It takes no commands:</b> {health.finding ?? "it did not say why"}.</p>
    <p class="dim">What was acknowledged is in the journal. Once the cause is mended and the service started again, this page goes on by itself.</p>
  </>;
  if (link.value === "offline") return <>
    <h1>No answer</h1>
    <p role="status">The server cannot be reached; trying again every few seconds.</p>
  </>;
  if (health?.status !== "starting") return <p class="dim loading" role="status">Asking how the service does …</p>;
  const { progress } = health;
  const compiles = progress?.what === "kernels";
  return <>
    <h1>The service is opening</h1>
    <p role="status">{compiles ? "It compiles what it computes with, which only a first start must; that takes a minute or two." : "Its engine applies the journal; figures appear as soon as it has."}</p>
    {progress ? <p class="opening"><progress value={progress.done} max={progress.of} aria-label={compiles ? "Kernels compiled" : "Commands applied"} />
      <span class="num">{count.format(progress.done)} of {compiles && "about "}{count.format(progress.of)} {compiles ? "kernels" : "commands"}</span></p>
      : <p class="opening"><progress aria-label="Opening" /> <span class="dim">Loading what it computes with; a first start takes longer.</span></p>}
  </>;
}
