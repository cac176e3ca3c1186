// From rows to the words on a board. Pure.

import { FINAL, type Status } from "../protocol";
import { duration, percent, timeLeft } from "../words";
import type { Row } from "./protocol";

/** The first line under the title: Python's, or the node that runs, whose step moves with the picture. */
export function lineOf(row: Row, step = row.step): string {
  if (row.line || row.status !== "running") return row.line;
  return row.of > 0 ? `${row.node} ${step}/${row.of}` : row.node;
}

/** Why it failed, was stopped or is lost. */
export function why(row: Row): string {
  if (row.status === "failed") return row.empty;
  return row.status === "cancelled" || row.status === "lost" ? row.line : "";
}

/** The second line, of what runs: the time so far and the time left. `since` is seconds since the row came. */
export function figuresOf(row: Row, since: number): string {
  if (row.status !== "running") return "";
  const words = [
    row.elapsed === null ? "" : duration(row.elapsed + since),
    timeLeft(row.left, since).replace("about ", ""),
  ];
  return words.filter(Boolean).join(" · ");
}

/** Whose it is, if not ours, and where, if there are several servers. */
export function whereOf(row: Row, server: string): string {
  return [row.owner, server].filter(Boolean).join(" · ");
}

/** All of a card in one sentence, for a screen reader. */
export function spoken(row: Row, selected: boolean, server: string): string {
  const words = [row.title, row.status === "new" ? row.empty : row.status];
  if (row.status === "running") words.push(percent(row.progress), row.node);
  else if (row.status === "failed") words.push(row.node, why(row));
  else words.push(row.status === "queued" ? row.empty : row.line);
  if (row.owner) words.push(`of ${row.owner}, not yours`);
  if (server) words.push(server);
  if (selected) words.push("selected");
  return words.filter(Boolean).join(", ");
}

const COUNTED: readonly (readonly [Status, string])[] = [
  ["running", "running"],
  ["queued", "waiting"],
  ["succeeded", "done"],
  ["failed", "failed"],
  ["cancelled", "cancelled"],
  ["lost", "lost"],
  ["new", "not started"],
];

/** "2 running · 2 waiting · 7 done · 1 failed" */
export function tally(rows: Iterable<Row>): string {
  const counts = new Map<Status, number>();
  for (const row of rows) counts.set(row.status, (counts.get(row.status) ?? 0) + 1);
  const words = COUNTED.map(([status, word]) => (counts.get(status) ? `${counts.get(status)} ${word}` : ""));
  return words.filter(Boolean).join(" · ");
}

/** What a screen reader hears of states that changed: one job by its name, several by their number. */
export function news(changed: readonly Row[]): string {
  const told = changed.filter((row) => !row.owner && (FINAL.has(row.status) || row.status === "running"));
  const [only] = told;
  if (only === undefined) return "";
  if (told.length > 1) return tally(told);
  return [`${only.title}: ${only.status}`, only.status === "failed" ? why(only) : ""]
    .filter(Boolean)
    .join(", ");
}

export function jobs(count: number): string {
  return `${count} ${count === 1 ? "job" : "jobs"}`;
}
