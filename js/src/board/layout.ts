// Where cards stand: a virtual grid, of which only the rows in sight are in the document. Pure.

export type Mode = "grid" | "list";

export interface Layout {
  readonly columns: number;
  readonly width: number;
  readonly height: number;
  /** From one row of cards to the next. */
  readonly pitch: number;
  readonly total: number;
}

export const GAP = 10; // px between cards
const TEXT = 86; // px below the picture: a title of two lines, and two more
const LINE = 44; // px of one job in a list

export function layoutOf(mode: Mode, size: number, width: number, count: number): Layout {
  if (mode === "list") {
    return { columns: 1, width, height: LINE, pitch: LINE, total: count * LINE };
  }
  // The size is a wish: the nearest number of columns, rather than a card of twice that size where two do not quite fit.
  const columns = Math.max(1, Math.round((width + GAP) / (size + GAP)));
  const own = Math.max(0, (width - GAP * (columns - 1)) / columns);
  const height = Math.round(own) + TEXT;
  const rows = Math.ceil(count / columns);
  return {
    columns,
    width: own,
    height,
    pitch: height + GAP,
    total: Math.max(0, rows * (height + GAP) - GAP),
  };
}

/** The cards from `top` to `top + height`, and `around` more pixels on both sides: first, and one past the last. */
export function inSight(
  layout: Layout,
  count: number,
  top: number,
  height: number,
  around = 0,
): readonly [number, number] {
  const first = Math.floor(Math.max(0, top - around) / layout.pitch) * layout.columns;
  const last = Math.ceil((top + height + around) / layout.pitch) * layout.columns;
  return [Math.min(first, count), Math.min(Math.max(last, 0), count)];
}

/** Where card `index` stands. */
export function placeOf(layout: Layout, index: number): { readonly x: number; readonly y: number } {
  const column = index % layout.columns;
  return {
    x: column * (layout.width + (layout.columns > 1 ? GAP : 0)),
    y: Math.floor(index / layout.columns) * layout.pitch,
  };
}

/** The card that a key leads to, or null if the key moves nothing. */
export function moved(
  key: string,
  index: number,
  layout: Layout,
  count: number,
  page: number,
): number | null {
  const rows = Math.max(1, Math.floor(page / layout.pitch));
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -layout.columns,
    ArrowDown: layout.columns,
    PageUp: -layout.columns * rows,
    PageDown: layout.columns * rows,
    Home: -count,
    End: count,
  };
  const step = steps[key];
  if (step === undefined || count === 0) return null;
  return Math.min(count - 1, Math.max(0, index + step));
}
