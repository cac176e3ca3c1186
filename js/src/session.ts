// What one model knows, shared by all its views: made in `initialize`, kept in its closure.

import type { AnyModel } from "@anywidget/types";
import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { Bridge } from "./bridge";
import { Copy } from "./copy";
import { BROWSER, type Browser, Painter, type Picture } from "./painter";
import {
  FINAL,
  type Frame,
  isActive,
  type Output,
  type Plan,
  readMessage,
  readPlan,
  readState,
  type State,
} from "./protocol";
import { ticks } from "./ticks";
import { type Standing, standing } from "./words";

/** A frame on its way to the screen. `order` says whether it came after the latest state. */
export interface Arrived extends Picture {
  readonly frame: Frame;
  readonly order: number;
}

/** The frame on the screen. */
export interface Shown {
  readonly frame: Frame;
  readonly order: number;
  readonly aspect: number;
}

/** An output, with an address for its picture. */
export interface Held {
  readonly output: Output;
  readonly url: string;
  readonly bytes: number;
}

/** A state, when it came (ms of this page's clock) and in which order. */
interface Received {
  readonly state: State;
  readonly at: number;
  readonly order: number;
}

export class Session {
  readonly bridge: Bridge;
  readonly painter: Painter<Arrived>;
  readonly plan: Signal<Plan>;
  readonly received: Signal<Received>;
  readonly shown: Signal<Shown | null> = signal(null);
  readonly outputs: Signal<readonly Held[]> = signal([]);
  readonly poster: Signal<string> = signal("");
  /** When Interrupt was pressed here, until Python says what became of it. */
  readonly asked: Signal<number | null> = signal(null);
  /** Why the latest Interrupt could not be done; empty when there is nothing to say. */
  readonly refused: Signal<string> = signal("");
  /** This page's clock in ms; ticks only while something on the screen counts. */
  readonly now: Signal<number>;
  readonly state: ReadonlySignal<State> = computed(() => this.received.value.state);
  readonly ticking: ReadonlySignal<boolean> = computed(
    () => isActive(this.state.value.status) && this.bridge.life.value === "live",
  );
  readonly standing: ReadonlySignal<Standing> = computed(() => {
    const { state, order } = this.received.value;
    const shown = this.shown.value;
    return standing(state, shown?.frame ?? null, (shown?.order ?? -1) > order);
  });
  private order = 0;
  private readonly copy: Copy;

  constructor(
    private readonly model: AnyModel,
    signal: AbortSignal,
    browser: Browser = BROWSER,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.now = signalOf(this.clock());
    this.plan = signalOf(readPlan(model.get("plan")));
    this.received = signalOf({ state: readState(model.get("state")), at: this.clock(), order: 0 });
    this.painter = new Painter((arrived, width, height) => this.painted(arrived, width / height), browser);
    this.bridge = new Bridge(model, signal, (content, buffers) => this.hear(content, buffers));
    this.copy = new Copy(model, signal, () => this.bridge.send({ k: "copy" }));
    this.watchTraits();
    this.end();
    signal.addEventListener("abort", () => this.forget());
    ticks(this.ticking, this.clock, () => this.look(), signal);
  }

  /** Seconds since the latest state came; 0 while nothing may count. */
  since(): number {
    return this.ticking.value ? Math.max(0, this.now.value - this.received.value.at) / 1000 : 0;
  }

  interrupt(): void {
    this.asked.value = this.clock();
    this.refused.value = "";
    this.bridge.send({ k: "interrupt" });
  }

  private watchTraits(): void {
    this.showPoster();
    this.model.on("change:plan", () => {
      this.plan.value = readPlan(this.model.get("plan"));
    });
    this.model.on("change:state", () => this.changed(readState(this.model.get("state"))));
    this.model.on("change:poster", () => this.showPoster());
  }

  private changed(state: State): void {
    this.bridge.heard();
    const before = this.state.value;
    // Python answered: it is stopping, has stopped, or could not stop.
    if (state.stopping || !isActive(state.status) || before.stopping) this.asked.value = null;
    this.received.value = { state, at: this.clock(), order: ++this.order };
    this.end();
    this.look();
  }

  private end(): void {
    if (FINAL.has(this.state.value.status)) this.copy.ended(this.plan.value.model);
  }

  private hear(content: unknown, buffers: readonly DataView[]): void {
    const message = readMessage(content);
    if (message?.k === "frame" && buffers[0] !== undefined) {
      this.bridge.arrived(message);
      this.painter.put({ n: message.n, bytes: buffers[0], frame: message, order: ++this.order });
    } else if (message?.k === "output") {
      this.hold(message, buffers[0]);
    } else if (message?.k === "refused") {
      this.asked.value = null;
      this.refused.value = message.why;
    } else if (message?.k === "copy") {
      this.copy.fill(this.plan.value.model, message.data);
    }
  }

  private painted({ frame, order }: Arrived, aspect: number): void {
    this.shown.value = { frame, order, aspect };
    this.bridge.seen(frame);
  }

  private hold(output: Output, bytes: DataView | undefined): void {
    const known = this.outputs.value.find((held) => held.output.i === output.i);
    const size = bytes?.byteLength ?? 0;
    // Another page's hello brings every output once more.
    if (known !== undefined && known.output.name === output.name && known.bytes === size) return;
    if (known !== undefined) URL.revokeObjectURL(known.url);
    const held = { output, bytes: size, url: address(bytes, output.media_type) };
    const others = this.outputs.value.filter((other) => other !== known);
    this.outputs.value = [...others, held].sort((a, b) => a.output.i - b.output.i);
  }

  private showPoster(): void {
    const bytes = this.model.get("poster") as DataView | undefined;
    URL.revokeObjectURL(this.poster.value);
    this.poster.value = bytes?.byteLength ? address(bytes, "") : "";
  }

  private look(): void {
    this.now.value = this.clock();
  }

  private forget(): void {
    for (const held of this.outputs.value) URL.revokeObjectURL(held.url);
    URL.revokeObjectURL(this.poster.value);
  }
}

function signalOf<T>(value: T): Signal<T> {
  return signal(value);
}

function address(bytes: DataView | undefined, type: string): string {
  return bytes === undefined ? "" : URL.createObjectURL(new Blob([bytes as DataView<ArrayBuffer>], { type }));
}
