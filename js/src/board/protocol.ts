// What Python and a board's page say to each other. `comfy_nb/widgets/rows.py` writes the rows.

import type { Status } from "../protocol";

/** One job. On the wire the names have one letter, and what is zero, empty or false is left out. */
export interface Row {
  readonly key: number;
  readonly title: string;
  readonly status: Status;
  readonly progress: number;
  /** The node that runs, or that failed. */
  readonly node: string;
  /** The first line under the title; empty while a node runs, whose name and step stand there. */
  readonly line: string;
  /** What stands where there is no picture. */
  readonly empty: string;
  readonly step: number;
  readonly of: number;
  /** Seconds; null when it never ran. */
  readonly elapsed: number | null;
  readonly left: readonly [number, number] | null;
  /** In the queue: 1 is next. */
  readonly position: number;
  readonly outputs: number;
  readonly stopping: boolean;
  readonly previews: boolean;
  /** Which of the board's servers. */
  readonly server: number;
  /** Whose it is, when it is not ours. */
  readonly owner: string;
  /** When this was said, in ms of this page's clock. */
  readonly at: number;
}

export interface FrameAbout {
  readonly s: string;
  readonly n: number;
  readonly key: number;
  readonly step: number;
  readonly of: number;
  readonly progress: number;
}

export interface ThumbAbout {
  readonly key: number;
  readonly text: string;
  readonly pictures: number;
}

/** What the detail view shows beside the job's own view. */
export interface Opened {
  readonly key: number;
  readonly page: string;
  readonly ref: string;
  readonly title: string;
  readonly parameters: readonly (readonly [string, string])[];
  readonly code: string;
}

export type Said =
  | {
      readonly k: "all";
      readonly rows: readonly Row[];
      readonly servers: readonly string[];
      readonly selected: readonly number[];
      readonly undo: number;
    }
  | { readonly k: "rows"; readonly rows: readonly Row[]; readonly gone: readonly number[] }
  | { readonly k: "frame"; readonly frame: FrameAbout }
  | { readonly k: "thumbs"; readonly thumbs: readonly ThumbAbout[] }
  | { readonly k: "selected"; readonly ids: readonly number[] }
  | { readonly k: "undo"; readonly count: number }
  | { readonly k: "servers"; readonly servers: readonly string[] }
  | { readonly k: "refused"; readonly ids: readonly number[]; readonly why: string }
  | { readonly k: "opened"; readonly opened: Opened };

type Raw = Readonly<Record<string, unknown>>;

/** A message to the page, or null if it is none that this version knows. `at` is now. */
export function readSaid(raw: unknown, at: number): Said | null {
  const said = (raw ?? {}) as Raw;
  switch (said.k) {
    case "all":
      return {
        k: "all",
        rows: list(said.rows).map((row) => readRow(row, at)),
        servers: list(said.servers).map(text),
        selected: list(said.selected).map(number),
        undo: number(said.undo),
      };
    case "rows":
      return {
        k: "rows",
        rows: list(said.rows).map((row) => readRow(row, at)),
        gone: list(said.gone).map(number),
      };
    case "frame":
      return { k: "frame", frame: readFrame(said) };
    case "thumbs":
      return { k: "thumbs", thumbs: list(said.thumbs).map(readThumb) };
    case "selected":
      return { k: "selected", ids: list(said.ids).map(number) };
    case "undo":
      return { k: "undo", count: number(said.count) };
    case "servers":
      return { k: "servers", servers: list(said.servers).map(text) };
    case "refused":
      return { k: "refused", ids: list(said.ids).map(number), why: text(said.why) };
    case "opened":
      return { k: "opened", opened: readOpened(said) };
    default:
      return null;
  }
}

export function readRow(raw: unknown, at: number): Row {
  const row = (raw ?? {}) as Raw;
  return {
    key: number(row.i),
    title: text(row.t),
    status: text(row.s) as Status,
    progress: number(row.p),
    node: text(row.n),
    line: text(row.m),
    empty: text(row.d),
    step: number(row.a),
    of: number(row.b),
    elapsed: typeof row.e === "number" ? row.e : null,
    left: Array.isArray(row.l) ? [number(row.l[0]), number(row.l[1])] : null,
    position: number(row.q),
    outputs: number(row.o),
    stopping: row.x === true,
    previews: row.v !== true,
    server: number(row.f),
    owner: text(row.w),
    at,
  };
}

function readFrame(raw: Raw): FrameAbout {
  return {
    s: text(raw.s),
    n: number(raw.n),
    key: number(raw.i),
    step: number(raw.a),
    of: number(raw.b),
    progress: number(raw.p),
  };
}

function readThumb(raw: unknown): ThumbAbout {
  const thumb = (raw ?? {}) as Raw;
  return { key: number(thumb.i), text: text(thumb.text), pictures: number(thumb.n) };
}

function readOpened(raw: Raw): Opened {
  return {
    key: number(raw.id),
    page: text(raw.page),
    ref: text(raw.ref),
    title: text(raw.title),
    parameters: list(raw.parameters).map((pair) => [text(list(pair)[0]), text(list(pair)[1])] as const),
    code: text(raw.code),
  };
}

function list(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? raw : [];
}

function text(raw: unknown): string {
  return typeof raw === "string" ? raw : "";
}

function number(raw: unknown): number {
  return typeof raw === "number" && Number.isFinite(raw) ? raw : 0;
}
