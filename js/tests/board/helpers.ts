import { type Row, readRow } from "../../src/board/protocol";

/** A row as Python sends it. */
export function row(i: number, more: Record<string, unknown> = {}): Row {
  return readRow({ i, t: `job ${i}`, s: "succeeded", ...more }, 0);
}
