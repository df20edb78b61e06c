import "./style.css";
import { render } from "preact";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import { age } from "./format";
import { listenToKeys, KeysDialog } from "./keys";
import { events, link, now, overview, overviewAt, service, session, start } from "./live";
import { route, to } from "./route";
import { dark, turn } from "./theme";
import { Search } from "./search";
import { WhyDialog } from "./why";
import { AccountPage } from "./pages/account";
import { AccountsPage } from "./pages/accounts";
import { ListPage } from "./pages/items";
import { InsurancePage } from "./pages/insurance";
import { LiquidationsPage } from "./pages/liquidations";
import { LoginPage } from "./pages/login";
import { OpeningPage } from "./pages/opening";
import { OverviewPage } from "./pages/overview";
import { ParametersPage } from "./pages/parameters";
import { ReplayPage } from "./pages/replay";
import { StressPage } from "./pages/stress";

const PAGES: { name: string; label: string; show: (argument: string) => JSX.Element }[] = [
  { name: "overview", label: "Overview", show: () => <OverviewPage /> },
  { name: "accounts", label: "Accounts", show: () => <AccountsPage /> },
  { name: "stress", label: "Stress", show: () => <StressPage /> },
  { name: "liquidations", label: "Liquidations", show: () => <LiquidationsPage /> },
  { name: "insurance", label: "Insurance", show: () => <InsurancePage /> },
  { name: "replay", label: "Replay", show: () => <ReplayPage /> },
  { name: "parameters", label: "Parameters", show: () => <ParametersPage /> },
  { name: "audit", label: "Audit", show: () => <ListPage name="audit" title="Audit" about="Who did what, in the order in which it took force." stamp={events.value.length} /> },
];

const LINKS = {
  connecting: "connecting",
  live: "live",
  polling: "no stream: asking every 5 s",
  offline: "offline: figures are the last received",
} as const;

function Header() {
  const time = overview.value?.time;
  const user = session.value?.user;
  return <header class="top">
    <a href="#/overview" class="brand">crossmargin</a>
    <Search />
    <span class={`link ${link.value}`} role="status">{LINKS[link.value]}</span>
    <span class="dim clock">{time ? `market ${time.iso.slice(0, 19).replace("T", " ")} UTC, ${age(now.value - overviewAt.value)}` : "no market yet"}</span>
    <button type="button" onClick={turn} aria-label={dark.value ? "Use light colours" : "Use dark colours"}>{dark.value ? "Light" : "Dark"}</button>
    {user && <button type="button" onClick={() => void api.logOut().finally(() => location.reload())} aria-label={`Log out ${user}`}>Log out</button>}
  </header>;
}

function Rail() {
  const here = route.value.page === "account" ? "accounts" : route.value.page;
  return <nav class="rail" aria-label="Pages">
    {PAGES.map(({ name, label }) => <a href={to(name)} aria-current={here === name ? "page" : undefined}>{label}</a>)}
  </nav>;
}

function App() {
  const { page, argument } = route.value;
  const main = useRef<HTMLElement>(null);
  const [first, setFirst] = useState(true);
  useEffect(() => {
    document.title = `${argument || (PAGES.find(({ name }) => name === page)?.label ?? page)} · crossmargin`;
    if (!first) main.current?.focus();
    setFirst(false);
  }, [page, argument]);
  if (api.unknown.value) return <main id="main"><LoginPage /></main>;
  const found = PAGES.find(({ name }) => name === page);
  return <>
    <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
    <Header />
    <Rail />
    <main id="main" tabIndex={-1} ref={main}>
      {service.value?.status !== "ok" ? <OpeningPage /> : page === "account" ? <AccountPage key={argument} name={argument} /> : found ? found.show(argument)
        : <p>There is no page “{page}”. <a href="#/overview">To the overview</a></p>}
    </main>
    <WhyDialog />
    <KeysDialog />
  </>;
}

listenToKeys(PAGES.map(({ name }) => name));
start();
render(<App />, document.getElementById("app")!);
