// Which jobs are shown, in which order, and what a click selects. Pure.

import { FINAL, isActive, type Status } from "../protocol";
import type { Row } from "./protocol";
import { why } from "./words";

export const FILTERS = ["all", "active", "done", "failed"] as const;
export type Filter = (typeof FILTERS)[number];

export const SORTS = ["status", "newest", "oldest", "title", "longest"] as const;
export type Sort = (typeof SORTS)[number];

const PASSES: Readonly<Record<Filter, (status: Status) => boolean>> = {
  all: () => true,
  active: isActive,
  done: (status) => status === "succeeded",
  failed: (status) => FINAL.has(status) && status !== "succeeded",
};

const ORDERS: Readonly<Record<Sort, (a: Row, b: Row) => number>> = {
  // What runs, then the queue in its order, then what has ended, newest first.
  status: (a, b) => rank(a) - rank(b) || place(a, b) || (rank(a) === 2 ? b.key - a.key : a.key - b.key),
  newest: (a, b) => b.key - a.key,
  oldest: (a, b) => a.key - b.key,
  title: (a, b) => a.title.localeCompare(b.title, undefined, { numeric: true }) || a.key - b.key,
  longest: (a, b) => (b.elapsed ?? -1) - (a.elapsed ?? -1) || b.key - a.key,
};

function rank(row: Row): number {
  return row.status === "running" ? 0 : FINAL.has(row.status) ? 2 : 1;
}

function place(a: Row, b: Row): number {
  return rank(a) === 1 ? (a.position || 1e9) - (b.position || 1e9) : 0;
}

/** The jobs that pass, in order. Words are looked for in title, owner, node, status, and why it ended so. */
export function arranged(rows: readonly Row[], filter: Filter, words: string, sort: Sort): Row[] {
  const wanted = words.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return rows
    .filter((row) => PASSES[filter](row.status) && (wanted.length === 0 || has(row, wanted)))
    .sort(ORDERS[sort]);
}

/** The place of those that wait and are not shown one by one; no job has this key. */
export const FOLD = 0;
const MANY = 8; // that wait are all shown; of more, only a few
const FEW = 3;

/** The keys to show: of many that wait the next few and, for the others, `FOLD`; if it is open all, and `FOLD` last. */
export function folded(
  rows: readonly Row[],
  open: boolean,
): { readonly keys: number[]; readonly more: number } {
  const waiting = rows.filter((row) => rank(row) === 1).map((row) => row.key);
  const keys = rows.map((row) => row.key);
  if (waiting.length <= MANY) return { keys, more: 0 };
  const more = waiting.length - FEW;
  const hidden = new Set(waiting.slice(FEW));
  const shown = open ? keys : keys.filter((key) => !hidden.has(key));
  const last = open ? waiting.at(-1) : waiting[FEW - 1];
  return { keys: shown.flatMap((key) => (key === last ? [key, FOLD] : [key])), more };
}

function has(row: Row, wanted: readonly string[]): boolean {
  const said = `${row.title} ${row.owner} ${row.node} ${why(row)} ${row.status}`.toLocaleLowerCase();
  return wanted.every((word) => said.includes(word));
}

/** What is selected after a click: with a modifier one more or one less, with shift all from the anchor on. */
export function clicked(
  shown: readonly number[],
  selected: ReadonlySet<number>,
  key: number,
  anchor: number | null,
  keys: { readonly toggle: boolean; readonly range: boolean },
): ReadonlySet<number> {
  if (keys.range && anchor !== null) {
    const [from, to] = [shown.indexOf(anchor), shown.indexOf(key)].sort((a, b) => a - b);
    const range = shown.slice(Math.max(0, from ?? 0), (to ?? 0) + 1);
    return new Set(keys.toggle ? [...selected, ...range] : range);
  }
  if (!keys.toggle) return new Set([key]);
  const next = new Set(selected);
  if (!next.delete(key)) next.add(key);
  return next;
}
