// From numbers to the words on the screen. Pure.

import type { Life } from "./bridge";
import { FINAL, type Frame, type NodeState, type State } from "./protocol";

/** "0.4 s", "42 s", "2 min 05 s", "1 h 04 min" */
export function duration(seconds: number, digits = 1): string {
  const whole = Math.round(seconds);
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(digits)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Steps per second, or seconds per step when that is the larger number. */
export function pace(speed: number | null): string {
  if (speed === null || !(speed > 0)) return "";
  return speed >= 1 ? `${speed.toFixed(speed < 100 ? 1 : 0)} steps/s` : `${duration(1 / speed)} per step`;
}

/** An honest range: "about 12 s left", "1–3 min left". */
export function timeLeft(left: readonly [number, number] | null, since = 0): string {
  if (left === null) return "";
  const low = Math.max(0, left[0] - since);
  const high = Math.max(low, left[1] - since);
  if (high < 1) return "less than 1 s left";
  const unit = high < 90 ? 1 : 60;
  const name = unit === 1 ? "s" : "min";
  const from = Math.round(low / unit);
  const to = Math.max(1, Math.round(high / unit));
  if (from === 0 && to > 1) return `up to ${to} ${name} left`;
  return from >= to || to - from <= 0.15 * to ? `about ${to} ${name} left` : `${from}–${to} ${name} left`;
}

/** How old the last word of the server is. */
export function age(silent: number): string {
  return silent < 2 ? "just now" : `${duration(silent, 0)} ago`;
}

export function fileSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${["B", "kB", "MB", "GB"][power]}`;
}

export function percent(progress: number): string {
  return `${Math.floor(100 * Math.min(1, Math.max(0, progress)) + 1e-6)} %`;
}

/** How long something took: a zero would be a lie. */
export function took(seconds: number): string {
  return seconds < 0.05 ? "< 0.1 s" : duration(seconds);
}

/** What stands at the right end of a node's row. */
export function nodeWords(look: NodeState, seconds: number | null): string {
  if (look === "cached" || look === "failed" || look === "stopped") return look;
  return look === "done" && seconds !== null ? took(seconds) : "";
}

/** The line under the status: Python's, unless only the page knows why it says nothing. */
export function note(state: State, life: Life, busy: boolean): string {
  if (life === "gone" && !FINAL.has(state.status))
    return "Kernel restarted: this view is a picture of the past.";
  return busy ? "The kernel is busy: it will hear this when the cell is done." : state.line;
}

/** Where the job stands: by the state, or by the frame on the screen when that is newer. */
export interface Standing {
  readonly node: string | null;
  readonly step: number;
  readonly of: number;
  readonly progress: number;
}

export function standing(state: State, frame: Frame | null, frameIsNewer: boolean): Standing {
  if (state.status !== "running" || frame === null || !frameIsNewer || frame.of === 0) return state;
  // The bar moves with the picture; overall progress never falls.
  const node = frame.node || state.node;
  return { node, step: frame.step, of: frame.of, progress: Math.max(state.progress, frame.progress) };
}

/** The words over the live picture: sampler previews are the model's guess of the final picture. */
export function caption(state: State, frame: Frame | null): string {
  if (frame === null) return "";
  return frame.of > 0 || frame.step > 0 ? `${state.guess} · step ${frame.step}` : state.guess;
}
