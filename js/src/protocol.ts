// What Python and the page say to each other. Python decides everything; the page only draws it.
// Durations are seconds, ages are ages: the clocks of kernel and page are never compared.

export type Status = "new" | "queued" | "running" | "succeeded" | "failed" | "cancelled" | "lost";
/** "stopped": it ran when the job ended. */
export type NodeState = "waiting" | "cached" | "running" | "done" | "failed" | "stopped";
export type Link = "connected" | "connecting" | "reconnecting" | "closed";
export type OutputKind = "image" | "text" | "video" | "audio" | "file";

/** The part that never changes: trait `plan`. */
export interface Plan {
  readonly id: string;
  /** The live view's own id, as the notebook has it. */
  readonly model: string;
  readonly title: string;
  readonly server: string;
  readonly nodes: readonly { readonly id: string; readonly label: string; readonly activity: string }[];
}

export interface Problem {
  readonly label: string;
  readonly node: string;
  readonly input: string;
  readonly message: string;
}

/** The part that changes: trait `state`. */
export interface State {
  readonly status: Status;
  /** The status, for people. */
  readonly word: string;
  /** What is going on, or what became of it. */
  readonly line: string;
  /** What a screen reader says when it changes, and only then. */
  readonly said: string;
  /** What stands where the picture will be. */
  readonly empty: string;
  /** What a preview is called. */
  readonly guess: string;
  readonly progress: number;
  readonly node: string | null;
  readonly step: number;
  readonly of: number;
  readonly speed: number | null;
  readonly elapsed: number | null;
  readonly left: readonly [number, number] | null;
  /** Whether any node began. */
  readonly ran: boolean;
  /** In the order of the plan: state and seconds. */
  readonly nodes: readonly (readonly [NodeState, number | null])[];
  readonly stopping: boolean;
  readonly link: Link;
  readonly silent: number | null;
  readonly error: {
    readonly title: string;
    readonly problems: readonly Problem[];
    readonly detail: string;
  } | null;
  readonly warnings: readonly string[];
  readonly outputs: number;
  readonly previews: boolean;
}

export interface Frame {
  readonly k: "frame";
  /** The stream's name and the frame's number: for the acknowledgement. */
  readonly s: string;
  readonly n: number;
  readonly node: string;
  readonly step: number;
  readonly of: number;
  readonly progress: number;
  readonly t: number | null;
}

export interface Output {
  readonly k: "output";
  readonly i: number;
  readonly node: string;
  readonly label: string;
  readonly kind: OutputKind;
  readonly name: string;
  /** Of the bytes that came along, or of the file if none came. */
  readonly media_type: string;
  readonly text: string;
  readonly width: number;
  readonly height: number;
  /** Bytes of the file itself; 0 when unknown. */
  readonly size: number;
  /** Whether the bytes that came along are a smaller copy. */
  readonly reduced: boolean;
  readonly saved: boolean;
  /** Why there is nothing to show; empty when there is. */
  readonly problem: string;
}

export type ToPage = { readonly k: "hi" } | Frame | Output | Refused | Kept;

/** An Interrupt that could not be done, and why. */
export interface Refused {
  readonly k: "refused";
  readonly why: string;
}

/** What a saved notebook keeps, by media type. */
export interface Kept {
  readonly k: "copy";
  readonly data: object;
}

export const NO_PLAN: Plan = { id: "", model: "", title: "", server: "", nodes: [] };

export const NO_STATE: State = {
  status: "new",
  word: "",
  line: "",
  said: "",
  empty: "",
  guess: "",
  progress: 0,
  node: null,
  step: 0,
  of: 0,
  speed: null,
  elapsed: null,
  left: null,
  ran: true,
  nodes: [],
  stopping: false,
  link: "connecting",
  silent: null,
  error: null,
  warnings: [],
  outputs: 0,
  previews: true,
};

const NO_FRAME: Frame = { k: "frame", s: "", n: 0, node: "", step: 0, of: 0, progress: 0, t: null };

const NO_COPY: Kept = { k: "copy", data: {} };

const NO_OUTPUT: Output = {
  k: "output",
  i: 0,
  node: "",
  label: "",
  kind: "file",
  name: "",
  media_type: "",
  text: "",
  width: 0,
  height: 0,
  size: 0,
  reduced: false,
  saved: false,
  problem: "",
};

export const FINAL: ReadonlySet<Status> = new Set(["succeeded", "failed", "cancelled", "lost"]);

/** Whether the server still has something to do for this job. */
export function isActive(status: Status): boolean {
  return status === "queued" || status === "running";
}

function filled<T extends object>(defaults: T, raw: unknown): T {
  return raw !== null && typeof raw === "object" ? { ...defaults, ...raw } : defaults;
}

export function readPlan(raw: unknown): Plan {
  return filled(NO_PLAN, raw);
}

export function readState(raw: unknown): State {
  return filled(NO_STATE, raw);
}

/** A message to the page, or null if it is none that this version knows. */
export function readMessage(raw: unknown): ToPage | null {
  const kind = (raw as { k?: unknown } | null)?.k;
  if (kind === "hi") return { k: "hi" };
  if (kind === "refused") return filled<Refused>({ k: "refused", why: "" }, raw);
  if (kind === "frame") return filled(NO_FRAME, raw);
  if (kind === "output") return filled(NO_OUTPUT, raw);
  if (kind === "copy") return filled(NO_COPY, raw);
  return null;
}
