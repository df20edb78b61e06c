/** Every page, by the name its address has; tests open each of this list, so that none is forgotten. */
import type { JSX } from "preact";
import { session } from "./live";
import { AccountPage } from "./pages/account";
import { AccountsPage } from "./pages/accounts";
import { ApprovalsPage } from "./pages/approvals";
import { AuditPage } from "./pages/audit";
import { InsurancePage } from "./pages/insurance";
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
  /** It tells of all accounts. */
  house?: boolean;
  /** What its reader must be allowed; of a service that asks nobody, nothing. */
  scope?: string;
  /** It makes sense only where the service knows who is there. */
  known?: boolean;
  show: (argument: string) => JSX.Element;
}

export const PAGES: Page[] = [
  { name: "overview", label: "Overview", house: true, show: () => <OverviewPage /> },
  { name: "accounts", label: "Accounts", show: () => <AccountsPage /> },
  { name: "account", under: "accounts", show: (name) => <AccountPage key={name} name={name} /> },
  { name: "stress", label: "Stress", house: true, scope: "risk", show: () => <StressPage /> },
  { name: "liquidations", label: "Liquidations", house: true, show: () => <LiquidationsPage /> },
  { name: "insurance", label: "Insurance", house: true, show: () => <InsurancePage /> },
  { name: "replay", label: "Replay", house: true, scope: "risk", show: () => <ReplayPage /> },
  { name: "parameters", label: "Parameters", show: () => <ParametersPage /> },
  { name: "approvals", label: "Approvals", house: true, scope: "admin", known: true, show: () => <ApprovalsPage /> },
  { name: "audit", label: "Audit", house: true, show: () => <AuditPage /> },
];

/** Whether who is logged in may see a page: the service refuses the rest, and the rail does not offer it. */
export function may(page: Page): boolean {
  const who = session.value;
  if (who === null) return !page.known;
  return (!page.house || who.accounts === null) && (!page.scope || who.scopes?.includes(page.scope) === true);
}
