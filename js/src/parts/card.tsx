import { useEffect, useRef, useState } from "preact/hooks";
import { FINAL } from "../protocol";
import type { Session } from "../session";
import { shownTab, type Tab } from "../tabs";
import { percent } from "../words";
import { Bar } from "./bar";
import { Chain } from "./chain";
import { Final } from "./final";
import { Connection, Tabs } from "./footer";
import { Large } from "./large";
import { useName } from "./name";
import { Problems, Traceback } from "./problem";
import { useSight } from "./sight";
import { Live } from "./stage";
import { Figures, Status } from "./status";

/** The whole widget: one job. */
export function Card({ session }: { session: Session }) {
  const root = useRef<HTMLElement>(null);
  useSight(session, root);
  const name = useName(`Job: ${session.plan.value.title}`);
  const { title } = session.plan.value;
  const { status } = session.state.value;
  // What has ended stays true without its kernel; what was under way is a picture of the past.
  const gone = session.bridge.life.value === "gone" && !FINAL.has(status);
  const progress = session.standing.value.progress;
  return (
    <section class="cnb-card" ref={root} aria-label={name} data-status={status} data-gone={gone}>
      <Bar kind="whole" name="Whole job" value={progress} of={1} words={percent(progress)} />
      <header class="cnb-title" title={title}>
        {title}
      </header>
      <Body session={session} />
    </section>
  );
}

function Body({ session }: { session: Session }) {
  const [chosen, setChosen] = useState<Tab | null>(null);
  const [large, setLarge] = useState<number | null>(null);
  const stage = useRef<HTMLDivElement>(null);
  const held = session.outputs.value;
  const { status, error } = session.state.value;
  const tab = shownTab(chosen, status, held.length > 0 || session.poster.value !== "");
  const pictures = held.filter((each) => each.url !== "");
  const before = useRef<number | null>(null);
  useEffect(() => {
    // The focus goes back to the picture that was shown large last.
    const pictureOf = stage.current?.querySelectorAll<HTMLElement>(".cnb-picture");
    if (large === null && before.current !== null) pictureOf?.[before.current]?.focus();
    before.current = large;
  }, [large]);
  const choose = (next: Tab) => {
    setChosen(next);
    setLarge(null);
  };
  return (
    <>
      {large !== null && (
        <Large pictures={pictures} index={large} turn={setLarge} close={() => setLarge(null)} />
      )}
      <div class="cnb-body" hidden={large !== null}>
        <Stage session={session} tab={tab} open={setLarge} box={stage} />
        <Status session={session} />
        <Details session={session} />
      </div>
      {error?.detail && <Traceback text={error.detail} />}
      <footer class="cnb-footer">
        <Tabs shown={tab} count={held.length || session.state.value.outputs} choose={choose} />
        <Connection session={session} />
      </footer>
    </>
  );
}

function Stage(props: {
  session: Session;
  tab: Tab;
  open: (index: number) => void;
  box: { current: HTMLDivElement | null };
}) {
  const { session, tab } = props;
  const aspect = useRef<number | null>(null);
  aspect.current ??= session.shown.value?.aspect ?? null; // the first frame's, kept: nothing moves later
  return (
    <div
      class="cnb-stage"
      ref={props.box}
      role="tabpanel"
      aria-label={tab === "live" ? "Live" : "Final"}
      tabIndex={-1}
      style={{ "--cnb-aspect": aspect.current }}
    >
      <Live session={session} hidden={tab !== "live"} />
      {tab === "final" && <Final session={session} open={props.open} />}
    </div>
  );
}

function Details({ session }: { session: Session }) {
  const state = session.state.value;
  return (
    <div class="cnb-details-column">
      {state.error && <Problems error={state.error} />}
      {state.warnings.map((warning) => (
        <p key={warning} class="cnb-warning">
          {warning}
        </p>
      ))}
      {(state.ran || state.error === null) && <Chain session={session} />}
      <Figures session={session} />
    </div>
  );
}
