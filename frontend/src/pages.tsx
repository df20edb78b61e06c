/** Every page, by the name its address has; tests open each of this list, so that none is forgotten. */
import type { JSX } from "preact";
import { events } from "./live";
import { AccountPage } from "./pages/account";
import { AccountsPage } from "./pages/accounts";
import { InsurancePage } from "./pages/insurance";
import { ListPage } from "./pages/items";
import { LiquidationsPage } from "./pages/liquidations";
import { OverviewPage } from "./pages/overview";
import { ParametersPage } from "./pages/parameters";
import { ReplayPage } from "./pages/replay";
import { StressPage } from "./pages/stress";

export interface Page {
  name: string;
  /** As the rail names it; a page without one is reached from the page that it is `under`. */
  label?: string;
  under?: string;
  show: (argument: string) => JSX.Element;
}

export const PAGES: Page[] = [
  { name: "overview", label: "Overview", show: () => <OverviewPage /> },
  { name: "accounts", label: "Accounts", show: () => <AccountsPage /> },
  { name: "account", under: "accounts", show: (name) => <AccountPage key={name} name={name} /> },
  { name: "stress", label: "Stress", show: () => <StressPage /> },
  { name: "liquidations", label: "Liquidations", show: () => <LiquidationsPage /> },
  { name: "insurance", label: "Insurance", show: () => <InsurancePage /> },
  { name: "replay", label: "Replay", show: () => <ReplayPage /> },
  { name: "parameters", label: "Parameters", show: () => <ParametersPage /> },
  { name: "audit", label: "Audit", show: () => <ListPage name="audit" title="Audit" about="Who did what, in the order in which it took force." stamp={events.value.length} /> },
];
