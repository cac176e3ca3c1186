// One slot for the newest frame, drawn to every canvas of the model: latest wins, nothing queues.

export interface Picture {
  readonly n: number;
  readonly bytes: DataView;
}

/** What the painter needs of a browser; tests give their own. */
export interface Browser {
  decode(bytes: DataView): Promise<ImageBitmap>;
  nextFrame(draw: () => void): void;
}

export const BROWSER: Browser = {
  decode: (bytes) => createImageBitmap(new Blob([bytes as DataView<ArrayBuffer>])),
  nextFrame: (draw) => requestAnimationFrame(draw),
};

/**
 * Decodes at most one picture per animation frame, always the newest, and closes each bitmap.
 * A hidden page has no animation frames: it then keeps one picture, not a queue.
 */
export class Painter<P extends Picture> {
  private readonly canvases = new Set<HTMLCanvasElement>();
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

  /** Start drawing to `canvas`, beginning with the picture shown last. */
  attach(canvas: HTMLCanvasElement): () => void {
    this.canvases.add(canvas);
    this.waiting ??= this.shown;
    this.advance();
    return () => this.canvases.delete(canvas);
  }

  private advance(): void {
    if (this.busy || this.waiting === undefined || this.canvases.size === 0) return;
    const picture = this.waiting;
    this.waiting = undefined;
    this.busy = true;
    this.browser.decode(picture.bytes).then(
      (bitmap) => this.browser.nextFrame(() => this.draw(picture, bitmap)),
      () => this.done(), // not a picture that this browser knows: keep the one before it
    );
  }

  private draw(picture: P, bitmap: ImageBitmap): void {
    const { width, height } = bitmap;
    for (const canvas of this.canvases) {
      // Setting a size clears the canvas, also when it is the same one.
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    }
    bitmap.close();
    this.shown = picture;
    this.painted(picture, width, height);
    this.done();
  }

  private done(): void {
    this.busy = false;
    this.advance();
  }
}
