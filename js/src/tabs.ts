// Which tab is shown. Pure.

import { FINAL, type Status } from "./protocol";

export type Tab = "live" | "final";

export const TABS: readonly Tab[] = ["live", "final"];

/** The person's choice; without one, the final pictures as soon as the job has ended with some. */
export function shownTab(chosen: Tab | null, status: Status, hasOutputs: boolean): Tab {
  return chosen ?? (FINAL.has(status) && hasOutputs ? "final" : "live");
}

/** The tab that a key leads to, or null if the key is none of the tab list's. */
export function tabByKey(key: string, current: Tab): Tab | null {
  const at = TABS.indexOf(current);
  if (key === "ArrowRight" || key === "ArrowDown") return TABS[(at + 1) % TABS.length] ?? null;
  if (key === "ArrowLeft" || key === "ArrowUp") return TABS[(at + TABS.length - 1) % TABS.length] ?? null;
  if (key === "Home") return TABS[0] ?? null;
  if (key === "End") return TABS[TABS.length - 1] ?? null;
  return null;
}
