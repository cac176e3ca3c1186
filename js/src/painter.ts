// One slot for the newest frame, shown by every image of the model: latest wins, nothing queues.
//
// Images and not canvases: each canvas is a layer of its own, which a browser without a GPU copies and puts in place
// anew in every animation frame, drawn to or not. Of sixteen canvases that alone took half of the page's time. The
// bytes are in the address: to make a Blob asks the browser's main process, and waits for it.

export interface Picture {
  readonly n: number;
  readonly bytes: DataView;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What the painter needs of a browser; tests give their own. */
export interface Browser {
  /** Have `image` show these bytes, and give their size; or null if they are no picture, which changes nothing. */
  load(image: HTMLImageElement, bytes: DataView): Promise<Size | null>;
  /** Call `soon` in the next animation frame, and `then` when that was painted. */
  nextFrame(soon: () => void, then: () => void): void;
}

export const BROWSER: Browser = {
  load: (image, bytes) =>
    new Promise((resolve) => {
      const before = image.src;
      image.onload = () => resolve({ width: image.naturalWidth, height: image.naturalHeight });
      image.onerror = () => {
        image.onload = image.onerror = null;
        image.src = before;
        resolve(null);
      };
      image.src = `data:image/jpeg;base64,${base64(bytes)}`; // browsers look at the bytes to know the format
    }),
  nextFrame: (soon, then) =>
    requestAnimationFrame(() => {
      soon();
      setTimeout(then);
    }),
};

const CHUNK = 0x8000; // as many arguments as every browser takes

function base64(bytes: DataView): string {
  const raw = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
  const quick = raw as { toBase64?: () => string }; // since 2025
  if (quick.toBase64) return quick.toBase64();
  let text = "";
  for (let at = 0; at < raw.length; at += CHUNK) text += String.fromCharCode(...raw.subarray(at, at + CHUNK));
  return btoa(text);
}

/**
 * Loads at most one picture per animation frame, always the newest: of two that come together each is seen.
 * A hidden page has no animation frames: it then keeps one picture, not a queue.
 */
export class Painter<P extends Picture> {
  private readonly images = new Set<HTMLImageElement>();
  private waiting: P | undefined;
  private shown: P | undefined;
  private busy = false;

  constructor(
    private readonly painted: (picture: P, width: number, height: number) => void,
    private readonly browser: Browser = BROWSER,
  ) {}

  put(picture: P): void {
    this.waiting = picture;
    this.advance();
  }

  /** Show pictures in `image` from now on, beginning with the one shown last. */
  attach(image: HTMLImageElement): () => void {
    this.images.add(image);
    this.waiting ??= this.shown;
    this.advance();
    return () => this.images.delete(image);
  }

  private advance(): void {
    if (this.busy || this.waiting === undefined || this.images.size === 0) return;
    const picture = this.waiting;
    this.waiting = undefined;
    this.busy = true;
    const loads = [...this.images].map((image) => this.browser.load(image, picture.bytes));
    Promise.all(loads).then((sizes) => {
      const size = sizes.find((each) => each !== null);
      if (size == null) return this.done(); // not a picture that this browser knows
      this.browser.nextFrame(
        () => {
          this.shown = picture;
          this.painted(picture, size.width, size.height);
        },
        () => this.done(),
      );
    });
  }

  private done(): void {
    this.busy = false;
    this.advance();
  }
}
