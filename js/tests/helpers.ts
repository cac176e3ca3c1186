// A model that records, and a browser whose animation frames come when the test says so.

import type { AnyModel } from "@anywidget/types";
import type { Browser, Size } from "../src/painter";
import { NO_STATE, type Plan, type State } from "../src/protocol";

type Handler = (...values: unknown[]) => void;

export const PLAN: Plan = {
  id: "0b5f",
  model: "m1",
  title: "a glass bottle",
  server: "127.0.0.1:8188",
  nodes: [
    { id: "4", label: "Load Checkpoint", activity: "Loading model…" },
    { id: "3", label: "KSampler", activity: "Sampling image…" },
    { id: "9", label: "Save Image", activity: "Saving image…" },
  ],
};

export const RUNNING: State = {
  ...NO_STATE,
  status: "running",
  progress: 0.3,
  node: "3",
  word: "Running",
  line: "Sampling image…",
  said: "Running",
  empty: "the picture forms here",
  guess: "current guess",
  step: 6,
  of: 20,
  speed: 9.6,
  elapsed: 1.3,
  left: [1, 1.4],
  nodes: [
    ["cached", null],
    ["running", null],
    ["waiting", null],
  ],
  link: "connected",
  silent: 0.1,
};

export class FakeModel {
  readonly sent: { k: string; [key: string]: unknown }[] = [];
  /** As JupyterLab's are while a kernel restarts. */
  unreachable = false;
  private readonly handlers = new Map<string, Handler[]>();
  private readonly values: Record<string, unknown>;

  constructor(state: State = RUNNING, plan: Plan = PLAN) {
    this.values = { plan, state };
  }

  /** As anywidget gives it. */
  get face(): AnyModel {
    return {
      get: (key: string) => this.values[key],
      on: (name: string, handler: Handler) =>
        this.handlers.set(name, [...(this.handlers.get(name) ?? []), handler]),
      send: (content: FakeModel["sent"][number]) => {
        if (this.unreachable) throw new Error("Cannot send");
        this.sent.push(content);
      },
    } as unknown as AnyModel;
  }

  emit(name: string, ...values: unknown[]): void {
    for (const handler of this.handlers.get(name) ?? []) handler(...values);
  }

  /** Python sends a message. */
  says(content: object, ...buffers: DataView[]): void {
    this.emit("msg:custom", content, buffers);
  }

  /** Python sets a trait. */
  sets(name: "plan" | "state" | "poster", value: unknown): void {
    this.values[name] = value;
    this.emit(`change:${name}`);
  }

  said(kind: string): FakeModel["sent"] {
    return this.sent.filter((content) => content.k === kind);
  }
}

export function bytes(...values: number[]): DataView {
  return new DataView(Uint8Array.from(values).buffer);
}

/** Loads at once, and draws on command. A picture's first byte is its name; 0 is no picture. */
export class FakeBrowser implements Browser {
  readonly loaded: number[] = [];
  private readonly frames: (readonly [() => void, () => void])[] = [];

  async load(image: HTMLImageElement, data: DataView): Promise<Size | null> {
    const name = data.getUint8(0);
    if (name === 0) return null;
    this.loaded.push(name);
    image.dataset.loaded = [...loadedBy(image), name].join(" ");
    return { width: 64, height: 32 };
  }

  nextFrame(soon: () => void, then: () => void): void {
    this.frames.push([soon, then]);
  }

  /** Let what is loading finish, then draw one animation frame. */
  async frame(): Promise<void> {
    await settled();
    for (const [soon, then] of this.frames.splice(0)) {
      soon();
      then();
    }
    await settled();
  }
}

export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

/** The names of the pictures that a fake browser loaded into an image, in order. */
export function loadedBy(image: HTMLImageElement): number[] {
  return (image.dataset.loaded ?? "").split(" ").filter(Boolean).map(Number);
}
