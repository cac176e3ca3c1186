// The page's half of the bridge: speaks for all views of one model. Shared by all widgets.
//
//   new Bridge(model, signal, hear)   in `initialize`; says hello, gives every message to `hear`
//   bridge.arrived(frame)             a frame has come
//   bridge.seen(frame)                it is on the screen: acknowledged soon, with all others of this page
//   bridge.looks(view, at)            what a view shows: everything, nothing, or the streams with these keys
//   bridge.send(content)              anything else, at once

import type { AnyModel } from "@anywidget/types";
import { type Signal, signal } from "@preact/signals";

/** waiting: Python has said nothing yet; live: it has; gone: its kernel is. */
export type Life = "waiting" | "live" | "gone";

/** What the bridge needs to know of a frame: the stream's name, which nobody else has, and the frame's number. */
export interface Numbered {
  readonly s: string;
  readonly n: number;
}

/** The streams that a view shows: all, none, or those with these keys. */
export type Sight = boolean | readonly string[];

const EVERY = 100; // ms between two words of one kind; they go by the shell channel, which has better things to do
// ms between two acknowledgements while frames flow: the kernel is busy and idle again for each, and JupyterLab draws
// that in places enough to hold up a frame. It also takes the line for 80 ms, as JupyterLab's server leaves Nagle's
// algorithm on (RFC 896): "idle" waits for TCP's delayed acknowledgement of "busy", and a frame for that of "idle". So
// one that is due goes as a frame arrives, which is as long as can be before the next one; or late, if none arrives.
const SELDOM = 350;
const LATEST = 450;

/** What is to be acknowledged to one kernel, by all widgets of this page together. */
interface Acks {
  /** Stream -> number, when painted (ms of this page's clock). */
  painted: Map<string, readonly [number, number]>;
  /** The models that can say it. */
  models: Set<AnyModel>;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** When the last one went; the first of a run goes sooner. */
  last: number;
}

// Every widget is a module of its own, so what they share is kept by the page. Plain data: versions may differ.
const KEY = Symbol.for("comfy_nb.acks.2");

function acksOf(stream: string): Acks {
  const page = globalThis as { [KEY]?: Map<string, Acks> };
  page[KEY] ??= new Map();
  const kernel = stream.slice(0, stream.indexOf(":"));
  const known = page[KEY].get(kernel);
  if (known !== undefined) return known;
  const acks: Acks = { painted: new Map(), models: new Set(), timer: undefined, last: -Infinity };
  page[KEY].set(kernel, acks);
  return acks;
}

function acknowledge(acks: Acks): void {
  clearTimeout(acks.timer);
  acks.timer = undefined;
  const now = performance.now();
  acks.last = now;
  const at = Object.fromEntries(
    [...acks.painted].map(([name, [n, when]]) => [name, [n, Math.round(now - when)]]),
  );
  acks.painted.clear();
  const [model] = acks.models;
  if (model !== undefined) post(model, { k: "seen", at });
}

/** Whether the host took it: it throws while a kernel restarts, some moments before it says that the kernel is gone. */
function post(model: AnyModel, content: object): boolean {
  try {
    model.send(content);
    return true;
  } catch (reason) {
    console.debug("comfy_nb: the kernel cannot be reached", reason);
    return false;
  }
}

export class Bridge {
  readonly life: Signal<Life> = signal("waiting");
  /** Tells this page from others that show the same model. */
  private readonly page = Math.random().toString(36).slice(2);
  private readonly sights = new Map<object, Sight>();
  private told = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly model: AnyModel,
    private readonly signal: AbortSignal,
    hear: (content: unknown, buffers: readonly DataView[]) => void,
  ) {
    model.on("msg:custom", (content: unknown, buffers?: readonly DataView[]) => {
      this.heard();
      hear(content, buffers ?? []);
    });
    // Fires when the kernel behind the view went away or was restarted.
    model.on("comm_live_update", () => {
      this.life.value = "gone";
    });
    signal.addEventListener("abort", () => clearTimeout(this.timer));
    // The last chance of a page that is closed to say so.
    addEventListener("pagehide", () => this.say(false), { signal });
    this.send({ k: "hello", page: this.page });
  }

  /** Python said something, by a message or a trait. */
  heard(): void {
    this.life.value = "live";
  }

  /** Tell Python something, unless the widget is closed. */
  send(content: { readonly k: string; readonly [key: string]: unknown }): void {
    if (!this.signal.aborted && !post(this.model, content)) this.life.value = "gone";
  }

  /** A frame has come, which is the time to tell of those before it. */
  arrived({ s }: Numbered): void {
    const acks = acksOf(s);
    if (acks.painted.size > 0 && performance.now() - acks.last >= SELDOM) acknowledge(acks);
  }

  /** A frame is on the screen. Told within 450 ms, in one message for all widgets of this page. */
  seen({ s, n }: Numbered): void {
    if (this.signal.aborted) return;
    const acks = acksOf(s);
    if (!acks.models.has(this.model)) {
      acks.models.add(this.model);
      this.signal.addEventListener("abort", () => acks.models.delete(this.model));
    }
    const now = performance.now();
    acks.painted.set(s, [n, now]);
    acks.timer ??= setTimeout(() => acknowledge(acks), now - acks.last > 2 * SELDOM ? EVERY : LATEST);
  }

  /** A view shows other streams than before. Python hears of what all views show together, every 100 ms at most. */
  looks(view: object, at: Sight): void {
    this.sights.set(view, at);
    if (at === false) this.sights.delete(view);
    this.tell();
  }

  private tell(): void {
    if (this.timer !== undefined || !this.say(this.sight())) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.tell();
    }, EVERY);
  }

  private sight(): Sight {
    const all = [...this.sights.values()];
    if (all.includes(true)) return true;
    const keys = [...new Set(all.flat())] as string[];
    return keys.length > 0 && keys.sort();
  }

  /** Whether this was news. */
  private say(at: Sight): boolean {
    const words = JSON.stringify(at);
    if (words === this.told) return false;
    this.told = words;
    this.send({ k: "looks", page: this.page, at });
    return true;
  }
}
