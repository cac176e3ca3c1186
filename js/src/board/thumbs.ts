// The newest thumbnails of one page, as addresses for <img>; older ones are let go.

import { type Signal, signal } from "@preact/signals";

export interface Thumb {
  readonly url: string;
  readonly text: string;
  readonly pictures: number;
}

const KEPT = 300;

export class Thumbs {
  private readonly held = new Map<number, Thumb>(); // the least recently used first
  private readonly signals = new Map<number, Signal<Thumb | null>>();

  /** The thumbnail of a card; null until it is here, and when it was let go. */
  of(key: number): Signal<Thumb | null> {
    let known = this.signals.get(key);
    if (known === undefined) {
      known = signal<Thumb | null>(this.held.get(key) ?? null);
      this.signals.set(key, known);
    }
    return known;
  }

  has(key: number): boolean {
    return this.held.has(key);
  }

  put(key: number, image: DataView | undefined, text: string, pictures: number): void {
    const empty = image === undefined || image.byteLength === 0;
    const url = empty
      ? ""
      : URL.createObjectURL(new Blob([image as DataView<ArrayBuffer>], { type: "image/webp" }));
    this.drop(key);
    const thumb = { url, text, pictures };
    this.held.set(key, thumb);
    this.of(key).value = thumb;
  }

  /** These are in sight: they go last. Then lets go of what is too much. */
  touch(keys: Iterable<number>): void {
    for (const key of keys) {
      const thumb = this.held.get(key);
      if (thumb === undefined) continue;
      this.held.delete(key);
      this.held.set(key, thumb);
    }
    for (const key of this.held.keys()) {
      if (this.held.size <= KEPT) break;
      this.drop(key);
    }
  }

  drop(key: number): void {
    const thumb = this.held.get(key);
    if (thumb?.url) URL.revokeObjectURL(thumb.url);
    this.held.delete(key);
    const known = this.signals.get(key);
    if (known !== undefined) known.value = null;
  }

  /** A job is gone. */
  forget(key: number): void {
    this.drop(key);
    this.signals.delete(key);
  }

  clear(): void {
    for (const key of [...this.held.keys()]) this.drop(key);
    this.signals.clear();
  }
}
