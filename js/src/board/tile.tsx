import { useEffect, useRef } from "preact/hooks";
import { Bar } from "../parts/bar";
import { isActive } from "../protocol";
import { percent } from "../words";
import { FOLD } from "./order";
import type { Row } from "./protocol";
import type { BoardSession, Live } from "./session";
import { figuresOf, lineOf, spoken, whereOf } from "./words";

interface Place {
  readonly index: number;
  readonly count: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly focusable: boolean;
}

export interface TileProps extends Place {
  readonly session: BoardSession;
  readonly id: number;
}

/** Those that wait and are not shown one by one. */
export interface Folding {
  readonly more: number;
  readonly open: boolean;
  readonly turn: () => void;
}

function placed(place: Place) {
  return {
    "aria-setsize": place.count,
    "aria-posinset": place.index + 1,
    tabIndex: place.focusable ? 0 : -1,
    style: {
      width: `${place.width}px`,
      height: `${place.height}px`,
      transform: `translate(${place.x}px, ${place.y}px)`,
    },
  };
}

/** The tile that stands for many that wait; a click or Enter opens it, and closes it again. */
export function Fold({ fold, ...place }: Place & { readonly fold: Folding }) {
  const words = fold.open ? `Fold ${fold.more} waiting jobs` : `Show ${fold.more} more waiting jobs`;
  return (
    <li class="cnb-tile cnb-tile-fold" data-key={FOLD} aria-label={words} {...placed(place)}>
      <button type="button" tabIndex={-1} aria-expanded={fold.open} aria-label={words}>
        <b>{fold.open ? "−" : `+${fold.more}`}</b>
        <span>{fold.open ? "fold" : "waiting"}</span>
      </button>
    </li>
  );
}

/** One job: its picture, its title, and where it stands. */
export function Tile(props: TileProps) {
  const { session, id } = props;
  const row = session.row(id)?.value;
  if (row === undefined) return null;
  const selected = session.selected.value.has(id);
  const server = serverOf(session, row);
  return (
    <li
      class="cnb-tile"
      data-key={id}
      data-status={row.status}
      data-selected={selected}
      data-foreign={row.owner !== ""}
      aria-label={spoken(row, selected, server)}
      aria-busy={row.status === "running"}
      {...placed(props)}
    >
      <Picture session={session} row={row} />
      <Text session={session} row={row} server={server} />
    </li>
  );
}

export function serverOf(session: BoardSession, row: Row): string {
  const servers = session.servers.value;
  return servers.length > 1 ? (servers[row.server] ?? "") : "";
}

function Picture({ session, row }: { session: BoardSession; row: Row }) {
  const live = session.liveOf(row.key).value;
  const thumb = session.thumbs.of(row.key).value;
  const count = thumb?.pictures ?? 0;
  const progress = Math.max(row.progress, live?.shown.value?.progress ?? 0);
  return (
    <div class="cnb-tile-picture" data-stack={count > 1}>
      {live !== null && !thumb && <Canvas live={live} title={row.title} />}
      {thumb?.url ? <img src={thumb.url} alt={`Final: ${row.title}`} draggable={false} /> : null}
      {thumb && !thumb.url && thumb.text && <p class="cnb-tile-text">{thumb.text}</p>}
      {!thumb?.url && !thumb?.text && live?.shown.value == null && <Words row={row} />}
      {count > 1 && <span class="cnb-tile-count">{count}</span>}
      {row.status === "running" && !row.owner && (
        <Bar
          kind="tile"
          name={`Progress of ${row.title}`}
          value={progress}
          of={1}
          words={percent(progress)}
        />
      )}
      <Buttons session={session} row={row} />
    </div>
  );
}

function Canvas({ live, title }: { live: Live; title: string }) {
  const image = useRef<HTMLImageElement>(null);
  useEffect(() => (image.current ? live.painter.attach(image.current) : undefined), [live]);
  return (
    <img
      ref={image}
      alt={`Current guess of ${title}`}
      decoding="sync"
      draggable={false}
      hidden={live.shown.value === null}
    />
  );
}

function Words({ row }: { row: Row }) {
  if (row.status === "failed") {
    return (
      <div class="cnb-tile-words">
        <b dir="auto">{row.node}</b>
        <span dir="auto">{row.empty}</span>
      </div>
    );
  }
  return (
    <div class="cnb-tile-words" data-forming={row.status === "running" && row.previews}>
      {row.empty}
    </div>
  );
}

function Buttons({ session, row }: { session: BoardSession; row: Row }) {
  if (row.owner !== "") return null;
  const off = session.bridge.life.value !== "live";
  const word = row.status === "running" ? "Interrupt" : "Cancel";
  return (
    <div class="cnb-tile-buttons">
      <button
        type="button"
        tabIndex={-1}
        class="cnb-tile-button cnb-tile-open"
        aria-label={`Open ${row.title}`}
        title="Open (Enter)"
        aria-disabled={off}
        onClick={(event) => {
          event.stopPropagation();
          if (!off) session.open(row.key);
        }}
      >
        <svg viewBox="0 0 14 14" aria-hidden="true">
          <path d="M8.5 2H12v3.5M12 2 8 6M5.5 12H2V8.5M2 12l4-4" />
        </svg>
      </button>
      {isActive(row.status) && (
        <button
          type="button"
          tabIndex={-1}
          class="cnb-tile-button cnb-tile-stop"
          aria-label={`${word} ${row.title}`}
          aria-disabled={off || row.stopping}
          onClick={(event) => {
            event.stopPropagation();
            if (!off && !row.stopping) session.interrupt([row.key]);
          }}
        >
          {row.stopping ? "…" : word}
        </button>
      )}
    </div>
  );
}

function Text({ session, row, server }: { session: BoardSession; row: Row; server: string }) {
  const step = session.liveOf(row.key).value?.shown.value?.step ?? row.step;
  const since = row.status === "running" ? session.since(row) : 0;
  const shown = row.status === "running" && row.of > 0 ? Math.max(step, row.step) : row.step;
  return (
    <div class="cnb-tile-words-below">
      <div class="cnb-tile-title" title={row.title} dir="auto">
        {row.title}
      </div>
      <div class="cnb-tile-line" dir="auto">
        {lineOf(row, shown)}
      </div>
      <div class="cnb-tile-figures">{figuresOf(row, since)}</div>
      <div class="cnb-tile-where" dir="auto">
        {whereOf(row, server)}
      </div>
      {row.status === "running" && row.of > 0 && (
        <Bar
          kind="tile-step"
          name={row.node}
          value={shown}
          of={row.of}
          words={`step ${shown} of ${row.of}`}
        />
      )}
    </div>
  );
}
