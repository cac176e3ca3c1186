import type { Host } from "@anywidget/types";
import { useMemo, useState } from "preact/hooks";
import { useName } from "../parts/name";
import { isActive } from "../protocol";
import { Detail } from "./detail";
import { Grid } from "./grid";
import { arranged, folded } from "./order";
import type { Row } from "./protocol";
import type { BoardSession } from "./session";
import { type Choices, Toolbar } from "./toolbar";
import { jobs, tally } from "./words";

const FIRST: Choices = { filter: "all", words: "", sort: "status", mode: "grid", size: 152 };

/** The whole widget: many jobs. */
export function Board({ session, host }: { session: BoardSession; host: Host }) {
  const [choices, setChoices] = useState(FIRST);
  const name = useName("Job board");
  const [open, setOpen] = useState(false);
  const table = session.table.value;
  const { filter, words, sort } = choices;
  // `table` says when the rows changed.
  const rows = useMemo(() => session.all(), [session, table]);
  const found = useMemo(() => arranged(rows, filter, words, sort), [rows, filter, words, sort]);
  const keys = useMemo(() => found.map((row) => row.key), [found]);
  // Who looks for something is shown all of it.
  const plain = filter === "all" && words === "";
  const fold = useMemo(() => (plain ? folded(found, open) : { keys, more: 0 }), [found, keys, plain, open]);
  const opened = session.opened.value;
  const life = session.bridge.life.value;
  return (
    <section class="cnb-board-card" aria-label={name} data-gone={life === "gone"}>
      <Head session={session} rows={rows} />
      {opened !== null && <Detail session={session} host={host} opened={opened} keys={keys} />}
      <div hidden={opened !== null}>
        <Toolbar choices={choices} choose={(change) => setChoices((now) => ({ ...now, ...change }))} />
        {rows.length > 0 && keys.length > 0 && (
          <Grid
            session={session}
            keys={fold.keys}
            mode={choices.mode}
            size={choices.size}
            fold={{ more: fold.more, open, turn: () => setOpen(!open) }}
          />
        )}
        {keys.length === 0 && <Nothing session={session} any={rows.length > 0} />}
      </div>
      <Refused session={session} />
      <Undo session={session} />
      <span class="cnb-unseen" role="status">
        {session.announced.value}
      </span>
    </section>
  );
}

function Head({ session, rows }: { session: BoardSession; rows: readonly Row[] }) {
  const selected = session.selected.value;
  const ours = rows.filter((row) => row.owner === "" && isActive(row.status));
  const chosen = ours.filter((row) => selected.has(row.key));
  const off =
    session.bridge.life.value !== "live" || ours.length === 0 || (selected.size > 0 && chosen.length === 0);
  const some = chosen.length > 0 && chosen.length < ours.length;
  const name = some ? `Interrupt ${chosen.length}` : "Interrupt mine";
  const targets = (chosen.length > 0 ? chosen : ours).map((row) => row.key);
  return (
    <header class="cnb-board-head">
      <h3>Jobs</h3>
      <span class="cnb-tally">
        {session.bridge.life.value === "gone" ? "kernel restarted: a picture of the past" : tally(rows)}
        {selected.size > 0 && ` · ${selected.size} selected`}
      </span>
      <button
        type="button"
        class="cnb-button"
        aria-disabled={off}
        onClick={() => !off && session.interrupt(targets)}
      >
        {name}
      </button>
    </header>
  );
}

function Nothing({ session, any }: { session: BoardSession; any: boolean }) {
  const sheet = session.sheet.value;
  const waiting = session.bridge.life.value === "waiting";
  if (sheet && !session.ready.value) {
    return <img class="cnb-sheet" src={sheet} alt="Contact sheet of the finished jobs" />;
  }
  const words = any
    ? "No job is like that."
    : waiting && !session.ready.value
      ? "Waiting for the kernel."
      : "No jobs yet. comfy.submit(…) puts one here.";
  return (
    <div class="cnb-board-empty">
      <p class="cnb-empty">{words}</p>
    </div>
  );
}

function Refused({ session }: { session: BoardSession }) {
  const words = session.refused.value;
  if (words === "") return null;
  return (
    <div class="cnb-undo" role="alert">
      <span>{words}</span>
      <button
        type="button"
        class="cnb-button"
        onClick={() => {
          session.refused.value = "";
        }}
      >
        Close
      </button>
    </div>
  );
}

function Undo({ session }: { session: BoardSession }) {
  const count = session.undoable.value;
  if (count === 0) return null;
  return (
    <div class="cnb-undo" role="status">
      <span>{`${jobs(count)} dismissed`}</span>
      <button type="button" class="cnb-button" onClick={() => session.undo()}>
        Undo
      </button>
    </div>
  );
}
