import "./style.css";
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "./api";
import { age } from "./format";
import { listenToKeys, KeysDialog } from "./keys";
import { bound, identified, link, now, overview, overviewAt, rowsAt, service, session, start } from "./live";
import { route, to } from "./route";
import { dark, turn } from "./theme";
import { Search } from "./search";
import { WhyDialog } from "./why";
import { may, PAGES } from "./pages";
import { LoginPage } from "./pages/login";
import { OpeningPage } from "./pages/opening";

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
    <a href={to(offered()[0]!.name)} class="brand">crossmargin</a>
    <Search />
    <span class={`link ${link.value === "polling" && bound.value ? "paced" : link.value}`} role="status">{link.value === "polling" && bound.value ? "every 5 s" : LINKS[link.value]}</span>
    <span class="dim clock">{bound.value ? `figures: ${age(now.value - rowsAt.value)}` : time ? `market ${time.iso.slice(0, 19).replace("T", " ")} UTC, ${age(now.value - overviewAt.value)}` : "no market yet"}</span>
    <button type="button" onClick={turn} aria-label={dark.value ? "Use light colours" : "Use dark colours"}>{dark.value ? "Light" : "Dark"}</button>
    {user && <span class="user optional">{user}</span>}
    {user && <button type="button" onClick={() => void api.logOut().finally(() => location.reload())} aria-label={`Log out ${user}`}>Log out</button>}
  </header>;
}

const offered = () => PAGES.filter((page) => page.label !== undefined && may(page));

function Rail() {
  const { page } = route.value;
  const here = PAGES.find(({ name }) => name === page)?.under ?? page;
  const rail = useRef<HTMLElement>(null);
  // on a phone it is a strip: the page that is open must not be the one out of sight
  useEffect(() => {
    const own = rail.current?.querySelector<HTMLElement>("[aria-current]");
    if (own) rail.current!.scrollLeft = own.offsetLeft - (rail.current!.clientWidth - own.offsetWidth) / 2;
  }, [here, offered().length]);
  return <nav class="rail" aria-label="Pages" ref={rail}>
    {offered().map(({ name, label }) => <a href={to(name)} aria-current={here === name ? "page" : undefined}>{label}</a>)}
  </nav>;
}

function App() {
  const { page, argument } = route.value;
  const main = useRef<HTMLElement>(null);
  const [first, setFirst] = useState(true);
  useEffect(() => {
    const label = PAGES.find(({ name }) => name === page)?.label ?? page;
    document.title = `${api.unknown.value ? "Log in" : argument || label} · crossmargin`;
    if (!first) main.current?.focus();
    setFirst(false);
  }, [page, argument, api.unknown.value]);
  if (api.unknown.value) return <main id="main"><LoginPage /></main>;
  const found = PAGES.find(({ name }) => name === page);
  return <>
    <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
    <Header />
    <Rail />
    <main id="main" tabIndex={-1} ref={main}>
      {service.value?.status !== "ok" ? <OpeningPage /> : !identified.value ? <><h1>{page}</h1><p class="dim loading" role="status">Asking who is there …</p></> : found && may(found) ? found.show(argument)
        : found ? <><h1>Not for this login</h1><p>{found.label ?? found.name} needs rights that {session.value?.user ?? "nobody here"} has not. <a href="#/accounts">To the accounts</a></p></>
        : <><h1>No such page</h1><p>Nothing is shown at “{page}”. <a href="#/overview">To the overview</a></p></>}
    </main>
    <WhyDialog />
    <KeysDialog />
  </>;
}

listenToKeys(() => offered().map(({ name }) => name));
start();
render(<App />, document.getElementById("app")!);
