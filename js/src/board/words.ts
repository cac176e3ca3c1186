// From rows to the words on a board. Pure.

import { FINAL, type Status } from "../protocol";
import { capital, duration, percent, STATUS_WORDS, timeLeft, took } from "../words";
import type { Row } from "./protocol";

/** 1st, 2nd, 3rd, 4th, 11th … */
export function ordinal(n: number): string {
  const teen = n % 100 >= 10 && n % 100 <= 20;
  return `${n}${teen ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th")}`;
}

/** What stands where there is no picture. */
export function tileWords(row: Row): string {
  if (row.status === "new") return "not sent yet";
  if (row.status === "queued") return row.position ? `${ordinal(row.position)} in line` : "in line";
  if (row.status === "running") {
    if (row.owner) return "running";
    return row.previews ? "the picture forms here" : "previews are off";
  }
  if (row.status === "succeeded")
    return row.owner && row.outputs ? outputs(row.outputs) : row.outputs ? "" : "no output";
  return capital(STATUS_WORDS[row.status]);
}

function outputs(count: number): string {
  return `${count} ${count === 1 ? "output" : "outputs"}`;
}

/** The first line under the title: what it does, or what became of it. */
export function lineOf(row: Row, step = row.step): string {
  switch (row.status) {
    case "running":
      if (row.stopping) return "interrupting…";
      if (row.message) return row.message;
      return row.of > 0 ? `${row.node} ${step}/${row.of}` : row.node || "starting…";
    case "new":
      return "";
    case "queued":
      return row.stopping ? "cancelling…" : row.message || "waiting";
    case "succeeded":
      return row.cached
        ? "cached"
        : ["done", row.elapsed === null ? "" : took(row.elapsed)].filter(Boolean).join(" · ");
    case "failed":
      return row.elapsed === null ? "failed at once" : `failed · ${took(row.elapsed)}`;
    default:
      return row.message || STATUS_WORDS[row.status].toLowerCase();
  }
}

/** The second line, of what runs: the time so far and the time left. `since` is seconds since the row came. */
export function figuresOf(row: Row, since: number): string {
  if (row.status !== "running") return "";
  const words = [row.elapsed === null ? "" : duration(row.elapsed + since)];
  if (!row.message) words.push(timeLeft(row.left, since).replace("about ", ""));
  return words.filter(Boolean).join(" · ");
}

/** Whose it is, if not ours, and where, if there are several servers. */
export function whereOf(row: Row, server: string): string {
  return [row.owner, server].filter(Boolean).join(" · ");
}

/** All of a card in one sentence, for a screen reader. */
export function spoken(row: Row, selected: boolean, server: string): string {
  const words = [row.title, STATUS_WORDS[row.status].toLowerCase()];
  if (row.status === "running") words.push(percent(row.progress), row.node);
  if (row.status === "queued" && row.position) words.push(`${ordinal(row.position)} in line`);
  if (row.status === "succeeded")
    words.push(row.cached ? "cached" : row.elapsed === null ? "" : took(row.elapsed));
  if (row.status === "failed") words.push(row.node, row.message);
  if (row.status === "cancelled" || row.status === "lost") words.push(row.message);
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
  const why = only.status === "failed" && only.message ? `, ${only.message}` : "";
  return `${only.title}: ${STATUS_WORDS[only.status].toLowerCase()}${why}`;
}

export function jobs(count: number): string {
  return `${count} ${count === 1 ? "job" : "jobs"}`;
}
