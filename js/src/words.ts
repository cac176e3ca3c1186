// From numbers to the words on the screen. Pure.

import type { Life } from "./bridge";
import {
  FINAL,
  type Frame,
  isActive,
  type NodeState,
  type Output,
  type Plan,
  type State,
  type Status,
} from "./protocol";

export const STATUS_WORDS: Readonly<Record<Status, string>> = {
  new: "Not started",
  queued: "Queued",
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
  lost: "Lost",
};

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

/** How a node is drawn: one that ran when the job ended has stopped. */
export type NodeLook = NodeState | "stopped";

export function nodeLook(status: Status, state: NodeState): NodeLook {
  return state === "running" && FINAL.has(status) ? "stopped" : state;
}

/** What stands at the right end of a node's row. */
export function nodeWords(look: NodeLook, seconds: number | null): string {
  if (look === "cached" || look === "failed" || look === "stopped") return look;
  return look === "done" && seconds !== null ? took(seconds) : "";
}

const NOUNS: Readonly<Record<Output["kind"], readonly [string, string]>> = {
  image: ["image", "images"],
  text: ["text", "texts"],
  video: ["video", "videos"],
  audio: ["sound", "sounds"],
  file: ["file", "files"],
};

/** "1 image", "4 images, 1 text" */
export function outputWords(outputs: readonly Output[], count: number): string {
  if (outputs.length === 0) return count === 0 ? "" : `${count} ${count === 1 ? "output" : "outputs"}`;
  const counts = new Map<Output["kind"], number>();
  for (const output of outputs) counts.set(output.kind, (counts.get(output.kind) ?? 0) + 1);
  return [...counts].map(([kind, n]) => `${n} ${NOUNS[kind][n === 1 ? 0 : 1]}`).join(", ");
}

/** The line under the status: what is going on, or what became of it. */
export function note(state: State, outputs: readonly Output[], life: Life, busy: boolean): string {
  if (life === "gone" && !FINAL.has(state.status))
    return "Kernel restarted: this view is a picture of the past.";
  if (busy) return "The kernel is busy: it will hear this when the cell is done.";
  if (state.status === "new") return "Nothing has been sent yet.";
  if (state.status === "succeeded") {
    return [outputWords(outputs, state.outputs), state.note].filter(Boolean).join(" · ");
  }
  if (state.note) return capital(state.note);
  return state.status === "running" ? state.activity : "";
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a screen reader hears when the state changes, and only then. */
export function announcement(state: State): string {
  const words = state.stopping ? "Interrupting" : STATUS_WORDS[state.status];
  const why = state.error?.title ?? (FINAL.has(state.status) || state.status === "queued" ? state.note : "");
  return why ? `${words}: ${why}` : words;
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
  const words = isActive(state.status) ? "current guess" : "last guess";
  return frame.of > 0 || frame.step > 0 ? `${words} · step ${frame.step}` : words;
}

/** What stands where the picture will be. */
export function placeholder(state: State): string {
  if (state.status === "new") return "start() sends it to the server";
  if (!state.previews) return "previews are off for this job";
  if (isActive(state.status)) return "the picture forms here";
  return state.status === "succeeded" ? "no steps to preview" : "no picture";
}

/** Whether the job ended before any node began. */
export function nothingRan(plan: Plan, state: State): boolean {
  return (
    FINAL.has(state.status) && plan.nodes.every((_, i) => (state.nodes[i]?.[0] ?? "waiting") === "waiting")
  );
}
