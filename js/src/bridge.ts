// The page's half of the bridge: speaks for all views of one model. Shared by all widgets.

import type { AnyModel } from "@anywidget/types";
import { type Signal, signal } from "@preact/signals";
import type { FromPage } from "./protocol";

/** waiting: Python has said nothing yet; live: it has; gone: its kernel is. */
export type Life = "waiting" | "live" | "gone";

const SEEN_EVERY = 100; // ms; acknowledgements go by the shell channel, which has better things to do

export class Bridge {
  readonly life: Signal<Life> = signal("waiting");
  /** Tells this page from others that show the same model. */
  private readonly page = Math.random().toString(36).slice(2);
  private newest = -1;
  private reported = -1;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly looking = new Set<object>();
  private visible: boolean | undefined;

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
    this.send({ k: "hello" });
  }

  /** Python said something, by a message or a trait. */
  heard(): void {
    this.life.value = "live";
  }

  send(content: FromPage): void {
    if (!this.signal.aborted) this.model.send(content);
  }

  /** Frame `n` is on the screen. Told in at most one message per 100 ms. */
  seen(n: number): void {
    this.newest = n;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (this.newest === this.reported) return;
      this.reported = this.newest;
      this.send({ k: "seen", n: this.newest });
    }, SEEN_EVERY);
  }

  /** A view came into sight or left it. Python hears when the first comes and the last leaves. */
  looks(view: object, visible: boolean): void {
    if (visible) this.looking.add(view);
    else this.looking.delete(view);
    const any = this.looking.size > 0;
    if (any === this.visible) return;
    this.visible = any;
    this.send({ k: "vis", page: this.page, visible: any });
  }
}
