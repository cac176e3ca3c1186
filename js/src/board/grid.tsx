import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isActive } from "../protocol";
import { inSight, type Layout, layoutOf, type Mode, moved, placeOf } from "./layout";
import { clicked, FOLD } from "./order";
import type { BoardSession } from "./session";
import { Fold, type Folding, Tile } from "./tile";

const ROWS_AROUND = 1; // of cards beyond those in sight that are in the document
const SCREENS_AROUND = 2; // of which thumbnails are asked for
const SETTLE = 60; // ms without scrolling before more is asked for

interface View {
  readonly top: number;
  readonly height: number;
  readonly width: number;
}

/** The jobs that are shown, in a scroller of its own; only what is in sight is in the document. */
export function Grid(props: {
  session: BoardSession;
  keys: readonly number[];
  mode: Mode;
  size: number;
  fold: Folding;
}) {
  const { session, keys, mode, size, fold } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<View>({ top: 0, height: 640, width: 640 });
  const [focus, setFocus] = useState<number | null>(null);
  const anchor = useRef<number | null>(null);
  const layout = layoutOf(mode, size, view.width, keys.length);
  const [first, last] = inSight(layout, keys.length, view.top, view.height, ROWS_AROUND * layout.pitch);
  const at = focus === null ? -1 : keys.indexOf(focus);
  useView(scroller, setView);
  useSight(session, scroller, keys, first, last);
  useWants(session, keys, layout, view);

  const go = (index: number, select: "one" | "range" | "none") => {
    const key = keys[index];
    if (key === undefined) return;
    setFocus(key);
    wanted.current = true;
    reveal(scroller.current, layout, index);
    if (select === "none") return;
    const range = select === "range";
    session.select(clicked(keys, session.selected.value, key, anchor.current, { toggle: false, range }));
    if (!range) anchor.current = key;
  };
  const wanted = useFocus(scroller, focus, session.opened.value === null);

  const onClick = (event: MouseEvent) => {
    const key = keyOf(event.target);
    if (key === null) {
      if (session.selected.value.size > 0) session.select(new Set());
      return;
    }
    if (key === FOLD) {
      setFocus(key);
      fold.turn();
      return;
    }
    const modifiers = { toggle: event.ctrlKey || event.metaKey, range: event.shiftKey };
    setFocus(key);
    session.select(clicked(keys, session.selected.value, key, anchor.current, modifiers));
    if (!event.shiftKey) anchor.current = key;
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (!acts(event)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  const acts = (event: KeyboardEvent): boolean => {
    const to = moved(event.key, Math.max(0, at), layout, keys.length, view.height);
    if (to !== null) {
      go(at < 0 ? 0 : to, event.ctrlKey || event.metaKey ? "none" : event.shiftKey ? "range" : "one");
      return true;
    }
    return actsOn(event);
  };
  const actsOn = (event: KeyboardEvent): boolean => {
    const { value: selected } = session.selected;
    if (keyOf(event.target) === FOLD && (event.key === "Enter" || event.key === " ")) {
      fold.turn();
      return true;
    }
    switch (event.key) {
      case "Enter":
        if (focus !== null) session.open(focus);
        return focus !== null;
      case " ":
        if (focus === null) return false;
        session.select(clicked(keys, selected, focus, null, { toggle: true, range: false }));
        anchor.current = focus;
        return true;
      case "Delete":
      case "Backspace":
        remove(session, selected.size > 0 ? [...selected] : focus === null ? [] : [focus]);
        return true;
      case "Escape":
        if (selected.size === 0) return false;
        session.select(new Set());
        return true;
      case "a":
        if (!event.ctrlKey && !event.metaKey) return false;
        session.select(new Set(keys.filter((key) => session.row(key)?.peek().owner === "")));
        return true;
      default:
        return false;
    }
  };

  const indices = [...range(first, last), ...(at >= 0 && (at < first || at >= last) ? [at] : [])];
  return (
    <div class="cnb-scroller" ref={scroller} data-mode={mode} data-lm-suppress-shortcuts="true">
      <ul
        // biome-ignore lint/a11y/noRedundantRoles: a list without bullets is no list to Safari
        role="list"
        aria-label="Jobs"
        style={{ height: `${layout.total}px` }}
        onClick={onClick}
        onDblClick={(event) => {
          const key = keyOf(event.target);
          if (key !== null && key !== FOLD) session.open(key);
        }}
        onKeyDown={onKeyDown}
      >
        {indices.map((index) => {
          const key = keys[index];
          if (key === undefined) return null;
          const { x, y } = placeOf(layout, index);
          const place = {
            index,
            x,
            y,
            count: keys.length,
            width: layout.width,
            height: layout.height,
            focusable: at < 0 ? index === first : index === at,
          };
          if (key === FOLD) return <Fold key={key} fold={fold} {...place} />;
          return <Tile key={key} session={session} id={key} {...place} />;
        })}
      </ul>
    </div>
  );
}

/** Delete: what runs or waits is interrupted, what has ended is dismissed. */
function remove(session: BoardSession, keys: readonly number[]): void {
  const active = keys.filter((key) => isActive(session.row(key)?.peek().status ?? "new"));
  if (active.length > 0) session.interrupt(active);
  else session.dismiss(keys);
}

function keyOf(target: EventTarget | null): number | null {
  const tile = (target as Element | null)?.closest<HTMLElement>(".cnb-tile");
  return tile ? Number(tile.dataset.key) : null;
}

function* range(first: number, last: number): Iterable<number> {
  for (let index = first; index < last; index++) yield index;
}

function reveal(scroller: HTMLElement | null, layout: Layout, index: number): void {
  if (scroller === null) return;
  const { y } = placeOf(layout, index);
  if (y < scroller.scrollTop) scroller.scrollTop = y;
  const bottom = y + layout.height - scroller.clientHeight;
  if (bottom > scroller.scrollTop) scroller.scrollTop = bottom;
}

/** Follows scrolling and resizing, once per animation frame at most. */
function useView(
  scroller: { current: HTMLElement | null },
  set: (change: (view: View) => View) => void,
): void {
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    let due = 0;
    const read = () => {
      due = 0;
      const top = element.scrollTop;
      const { clientHeight: height, clientWidth: width } = element;
      if (width === 0) return; // hidden behind the detail view
      set((view) =>
        view.top === top && view.height === height && view.width === width ? view : { top, height, width },
      );
    };
    const soon = () => {
      due ||= requestAnimationFrame(read);
    };
    read();
    element.addEventListener("scroll", soon, { passive: true });
    const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(soon);
    observer?.observe(element);
    return () => {
      cancelAnimationFrame(due);
      element.removeEventListener("scroll", soon);
      observer?.disconnect();
    };
  }, [scroller, set]);
}

/**
 * The focus goes to a card when a key asked for it (`current` of what is returned), when the detail view that came from
 * it is closed, and when a card that has it was moved. Otherwise cards never take it: somebody may be typing elsewhere.
 */
function useFocus(
  scroller: { current: HTMLElement | null },
  focus: number | null,
  shown: boolean,
): { current: boolean } {
  const wanted = useRef(false);
  const wasShown = useRef(shown);
  const before = activeIn(scroller.current); // while rendering, so before anything moves
  useLayoutEffect(() => {
    const root = scroller.current;
    const lost = before !== null && root !== null && activeIn(root) === null;
    const back = shown && !wasShown.current;
    wasShown.current = shown;
    if (focus === null || root === null || !(wanted.current || lost || back)) return;
    wanted.current = false;
    root.querySelector<HTMLElement>(`.cnb-tile[data-key="${focus}"]`)?.focus({ preventScroll: true });
  });
  return wanted;
}

/** The element in `root` that has the focus, also inside a shadow root. */
function activeIn(root: HTMLElement | null): Element | null {
  const active = (root?.getRootNode() as Document | ShadowRoot | undefined)?.activeElement ?? null;
  return root?.contains(active) ? active : null;
}

/** Tells Python which previews this view shows: those of the cards in sight, none when the board is not in sight. */
function useSight(
  session: BoardSession,
  scroller: { current: HTMLElement | null },
  keys: readonly number[],
  first: number,
  last: number,
): void {
  const view = useRef({});
  const near = useRef(true);
  const shown = keys.slice(first, last).filter((key) => session.row(key)?.peek().status === "running");
  const words = shown.join(" ");
  const tell = useRef(() => {});
  tell.current = () => {
    const visible = near.current && scroller.current?.ownerDocument.visibilityState !== "hidden";
    session.bridge.looks(view.current, visible && shown.length > 0 ? shown.map(String) : false);
  };
  // Told anew when other cards are in sight.
  useEffect(() => tell.current(), [session, words]);
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const page = element.ownerDocument;
    const again = () => tell.current();
    const observer =
      typeof IntersectionObserver === "undefined"
        ? null
        : new IntersectionObserver((entries) => {
            near.current = entries.at(-1)?.isIntersecting ?? true;
            again();
          });
    observer?.observe(element);
    page.addEventListener("visibilitychange", again);
    const own = view.current;
    return () => {
      observer?.disconnect();
      page.removeEventListener("visibilitychange", again);
      session.bridge.looks(own, false);
    };
  }, [session, scroller]);
}

/** Asks for the thumbnails in sight and two screens around, those in sight first. */
function useWants(session: BoardSession, keys: readonly number[], layout: Layout, view: View): void {
  const [first, last] = inSight(layout, keys.length, view.top, view.height);
  const [from, to] = inSight(layout, keys.length, view.top, view.height, SCREENS_AROUND * view.height);
  const table = session.table.value;
  // `table`: a job that has ended is wanted too.
  useEffect(() => {
    const timer = setTimeout(() => {
      const here = keys.slice(first, last);
      const near = [...here, ...keys.slice(last, to), ...keys.slice(from, first)];
      session.thumbs.touch(near);
      session.want(near);
    }, SETTLE);
    return () => clearTimeout(timer);
  }, [session, table, keys, first, last, from, to]);
}
