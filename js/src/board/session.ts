// What one board knows, shared by all its views: made in `initialize`, kept in its closure.

import type { AnyModel } from "@anywidget/types";
import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { Bridge } from "../bridge";
import { BROWSER, type Browser, Painter, type Picture } from "../painter";
import { FINAL, isActive } from "../protocol";
import { ticks } from "../ticks";
import { type FrameAbout, type Opened, type Row, readSaid, type Said } from "./protocol";
import { Thumbs } from "./thumbs";
import { jobs, news } from "./words";

interface Arrived extends Picture {
  readonly frame: FrameAbout;
}

/** The previews of a job that runs. */
export interface Live {
  readonly painter: Painter<Arrived>;
  readonly shown: Signal<FrameAbout | null>;
}

export class BoardSession {
  readonly bridge: Bridge;
  readonly thumbs = new Thumbs();
  /** Changes when a job comes, goes, or changes what it is sorted by. */
  readonly table: Signal<number> = signal(0);
  readonly servers: Signal<readonly string[]> = signal([]);
  readonly selected: Signal<ReadonlySet<number>> = signal(new Set<number>());
  readonly undoable: Signal<number> = signal(0);
  readonly opened: Signal<Opened | null> = signal(null);
  readonly announced: Signal<string> = signal("");
  /** Why the latest Interrupt could not be done; empty when there is nothing to say. */
  readonly refused: Signal<string> = signal("");
  readonly sheet: Signal<string> = signal("");
  /** Whether all rows have come. */
  readonly ready: Signal<boolean> = signal(false);
  readonly now: Signal<number>;
  /** This page's name, for what only it has asked for. */
  readonly page = Math.random().toString(36).slice(2);
  readonly active: ReadonlySignal<boolean> = computed(() => {
    this.table.value;
    return this.bridge.life.value === "live" && this.all().some((row) => row.status === "running");
  });
  private readonly rows = new Map<number, Signal<Row>>();
  private readonly live = new Map<number, Signal<Live | null>>();
  private echoes = 0; // of our own selections, on their way back

  constructor(
    private readonly model: AnyModel,
    signalOfEnd: AbortSignal,
    private readonly browser: Browser = BROWSER,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.now = numberSignal(this.clock());
    this.bridge = new Bridge(model, signalOfEnd, (content, buffers) => this.hear(content, buffers));
    this.showSheet();
    model.on("change:sheet", () => this.showSheet());
    signalOfEnd.addEventListener("abort", () => this.forget());
    ticks(this.active, this.clock, () => this.look(), signalOfEnd);
  }

  /** The rows now. Reads no signal of a row: whoever needs changes reads `table`. */
  all(): Row[] {
    return [...this.rows.values()].map((row) => row.peek());
  }

  row(key: number): Signal<Row> | undefined {
    return this.rows.get(key);
  }

  /** The previews of a job; null while it has none. */
  liveOf(key: number): Signal<Live | null> {
    let known = this.live.get(key);
    if (known === undefined) {
      known = signal<Live | null>(null);
      this.live.set(key, known);
    }
    return known;
  }

  /** Seconds since a row came; 0 while nothing may count. */
  since(row: Row): number {
    return this.active.value ? Math.max(0, this.now.value - row.at) / 1000 : 0;
  }

  // -- wishes ----------------------------------------------------------------------------------------------------

  select(keys: ReadonlySet<number>): void {
    const ours = [...keys].filter((key) => this.isOurs(key));
    this.selected.value = new Set(ours);
    this.echoes += 1;
    this.bridge.send({ k: "select", ids: ours });
  }

  interrupt(keys: readonly number[]): void {
    const ours = keys.filter(
      (key) => this.isOurs(key) && isActive(this.rows.get(key)?.peek().status ?? "new"),
    );
    this.refused.value = "";
    if (ours.length > 0) this.bridge.send({ k: "interrupt", ids: ours });
  }

  dismiss(keys: readonly number[]): void {
    const ended = keys.filter(
      (key) => this.isOurs(key) && FINAL.has(this.rows.get(key)?.peek().status ?? "new"),
    );
    if (ended.length > 0) this.bridge.send({ k: "dismiss", ids: ended });
  }

  undo(): void {
    this.bridge.send({ k: "undo" });
  }

  open(key: number): void {
    if (this.isOurs(key)) this.bridge.send({ k: "open", page: this.page, id: key });
  }

  close(): void {
    const opened = this.opened.value;
    if (opened === null) return;
    this.opened.value = null;
    this.bridge.send({ k: "close", page: this.page, id: opened.key });
  }

  /** Ask for the thumbnails that are not here, of these cards in this order. */
  want(keys: readonly number[]): void {
    const missing = keys.filter((key) => {
      const row = this.rows.get(key)?.peek();
      return (
        row !== undefined && FINAL.has(row.status) && row.outputs > 0 && !row.owner && !this.thumbs.has(key)
      );
    });
    if (missing.length > 0) this.bridge.send({ k: "want", page: this.page, ids: missing });
  }

  private isOurs(key: number): boolean {
    return this.rows.get(key)?.peek().owner === "";
  }

  // -- what Python says ------------------------------------------------------------------------------------------

  private hear(content: unknown, buffers: readonly DataView[]): void {
    const said = readSaid(content, this.clock());
    if (said !== null) this.take(said, buffers);
  }

  private take(said: Said, buffers: readonly DataView[]): void {
    switch (said.k) {
      case "all":
        this.servers.value = said.servers;
        this.selected.value = new Set(said.selected);
        this.undoable.value = said.undo;
        this.begin(said.rows);
        break;
      case "rows":
        this.change(said.rows, said.gone);
        break;
      case "frame":
        this.frame(said.frame, buffers[0]);
        break;
      case "thumbs":
        said.thumbs.forEach(({ key, text, pictures }, index) => {
          if (!this.rows.has(key)) return;
          this.thumbs.put(key, buffers[index], text, pictures);
          this.release(key);
        });
        break;
      case "selected":
        if (this.echoes > 0) this.echoes -= 1;
        else this.selected.value = new Set(said.ids);
        break;
      case "undo":
        this.undoable.value = said.count;
        break;
      case "servers":
        this.servers.value = said.servers;
        break;
      case "refused":
        this.refused.value = `${jobs(said.ids.length)} not interrupted: ${said.why}`;
        break;
      case "opened":
        if (said.opened.page === this.page) this.opened.value = said.opened;
        break;
    }
  }

  private begin(rows: readonly Row[]): void {
    const kept = new Set(rows.map((row) => row.key));
    for (const key of [...this.rows.keys()]) if (!kept.has(key)) this.drop(key);
    for (const row of rows) this.put(row);
    this.ready.value = true;
    this.table.value += 1;
  }

  private change(rows: readonly Row[], gone: readonly number[]): void {
    const moved = rows.filter((row) => this.put(row));
    for (const key of gone) this.drop(key);
    if (moved.length > 0 || gone.length > 0) this.table.value += 1;
    const words = news(moved.filter((row) => row.status !== "new"));
    if (words) this.announced.value = words;
  }

  /** Whether this changes more than the card itself. */
  private put(row: Row): boolean {
    const known = this.rows.get(row.key);
    if (!isActive(row.status) || !row.previews) this.ended(row);
    if (known === undefined) {
      this.rows.set(row.key, signal(row));
      return true;
    }
    const before = known.peek();
    known.value = row;
    return before.status !== row.status || before.position !== row.position || before.title !== row.title;
  }

  /** No preview follows. The last one stays until the thumbnail takes its place, if one will. */
  private ended(row: Row): void {
    if (row.status !== "succeeded" || row.outputs === 0 || this.thumbs.has(row.key) || !row.previews) {
      this.release(row.key);
    }
  }

  /** Let go of the live picture of a job. */
  private release(key: number): void {
    const live = this.live.get(key);
    if (live !== undefined) live.value = null;
    this.live.delete(key);
  }

  private drop(key: number): void {
    this.rows.delete(key);
    this.release(key);
    this.thumbs.forget(key);
    if (this.opened.peek()?.key === key) this.opened.value = null;
  }

  private frame(frame: FrameAbout, bytes: DataView | undefined): void {
    this.bridge.arrived(frame);
    const row = this.rows.get(frame.key)?.peek();
    // A frame may come before the row that says that the job runs, never after the one that says it has ended.
    if (bytes === undefined || row === undefined || FINAL.has(row.status) || !row.previews) return;
    const live = this.liveOf(frame.key);
    live.value ??= this.begun();
    live.value.painter.put({ n: frame.n, bytes, frame });
  }

  private begun(): Live {
    const shown: Signal<FrameAbout | null> = signal(null);
    const painted = ({ frame }: Arrived) => {
      shown.value = frame;
      this.bridge.seen(frame);
    };
    return { shown, painter: new Painter(painted, this.browser) };
  }

  private showSheet(): void {
    const bytes = this.model.get("sheet") as DataView | undefined;
    URL.revokeObjectURL(this.sheet.peek());
    const made = bytes?.byteLength ? URL.createObjectURL(new Blob([bytes as DataView<ArrayBuffer>])) : "";
    this.sheet.value = made;
  }

  private look(): void {
    this.now.value = this.clock();
  }

  private forget(): void {
    this.thumbs.clear();
    this.rows.clear();
    this.live.clear();
    URL.revokeObjectURL(this.sheet.peek());
  }
}

function numberSignal(value: number): Signal<number> {
  return signal(value);
}
