import { isActive } from "../protocol";
import type { Session } from "../session";
import { duration, note, pace, percent, timeLeft, took } from "../words";

const BUSY_AFTER = 1500; // ms without an answer before the kernel is called busy

/** Chip, percentage, Interrupt; below them one line of words. */
export function Status({ session }: { session: Session }) {
  const state = session.state.value;
  const stopping = state.stopping || session.asked.value !== null;
  return (
    <div class="cnb-status">
      <div class="cnb-row">
        <span class="cnb-chip" data-status={state.status}>
          {state.word}
        </span>
        {state.status === "running" && (
          <span class="cnb-percent">{percent(session.standing.value.progress)}</span>
        )}
        {isActive(state.status) && <Interrupt session={session} stopping={stopping} />}
      </div>
      <Note session={session} />
      <span class="cnb-unseen" role="status">
        {state.said}
      </span>
    </div>
  );
}

function Interrupt({ session, stopping }: { session: Session; stopping: boolean }) {
  const off = stopping || session.bridge.life.value !== "live";
  return (
    <button
      type="button"
      class="cnb-button"
      aria-disabled={off}
      aria-label={`${stopping ? "Interrupting" : "Interrupt"} ${session.plan.value.title}`}
      onClick={() => !off && session.interrupt()}
    >
      {stopping ? "Interrupting…" : "Interrupt"}
    </button>
  );
}

function Note({ session }: { session: Session }) {
  const asked = session.asked.value;
  const busy = asked !== null && session.now.value - asked > BUSY_AFTER;
  const life = session.bridge.life.value;
  const words = session.refused.value || note(session.state.value, life, busy);
  return words === "" && !isActive(session.state.value.status) ? null : (
    <p class="cnb-note" data-life={isActive(session.state.value.status) ? life : "live"}>
      {words}
    </p>
  );
}

/** Speed, time so far, time left: the line under the nodes. */
export function Figures({ session }: { session: Session }) {
  const state = session.state.value;
  const since = session.since();
  const running = state.status === "running";
  const time = state.elapsed === null ? null : state.elapsed + (running ? since : 0);
  const words = running
    ? [
        pace(state.speed),
        time === null ? "" : `${duration(time)} so far`,
        state.link === "connected" ? timeLeft(state.left, since) : "",
      ]
    : [time === null || state.status === "queued" ? "" : `${took(time)} in all`];
  return (
    <p class="cnb-figures">
      {words.filter(Boolean).map((word) => (
        <span key={word.replace(/[\d.–]+/g, "")}>{word}</span>
      ))}
    </p>
  );
}
