import type { Host } from "@anywidget/types";
import { useEffect, useRef, useState } from "preact/hooks";
import { useName } from "../parts/name";
import type { Opened } from "./protocol";
import type { BoardSession } from "./session";

/** One job across the whole board: its own view, its parameters, and the call that repeats it. */
export function Detail(props: {
  session: BoardSession;
  host: Host;
  opened: Opened;
  keys: readonly number[];
}) {
  const { session, host, opened, keys } = props;
  const box = useRef<HTMLElement>(null);
  const at = keys.indexOf(opened.key);
  const title = session.row(opened.key)?.value.title ?? opened.title;
  const name = useName(`Job ${title}`);
  useEffect(() => box.current?.focus(), []);
  const close = () => session.close();
  const by = (step: number) => {
    const next = keys[at + step];
    if (next === undefined) return;
    session.close();
    session.open(next);
  };
  return (
    <section
      class="cnb-detail"
      ref={box}
      tabIndex={-1}
      aria-label={name}
      data-lm-suppress-shortcuts="true"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        close();
      }}
    >
      <div class="cnb-row cnb-detail-head">
        <button type="button" class="cnb-button cnb-back" onClick={close}>
          ← All jobs
        </button>
        <h4 dir="auto" title={title}>
          {title}
        </h4>
        <span class="cnb-turn">
          <button
            type="button"
            class="cnb-quiet"
            aria-label="Previous job"
            disabled={at <= 0}
            onClick={() => by(-1)}
          >
            ←
          </button>
          <span>{at < 0 ? "" : `${at + 1} / ${keys.length}`}</span>
          <button
            type="button"
            class="cnb-quiet"
            aria-label="Next job"
            disabled={at < 0 || at + 1 >= keys.length}
            onClick={() => by(1)}
          >
            →
          </button>
        </span>
      </div>
      <Embedded key={opened.ref} host={host} reference={opened.ref} />
      <Parameters opened={opened} />
    </section>
  );
}

/** The job's own widget, in here. */
function Embedded({ host, reference }: { host: Host; reference: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const gone = new AbortController();
    host
      .getWidget(reference)
      .then((widget) =>
        gone.signal.aborted ? undefined : widget.render({ el: element, signal: gone.signal }),
      )
      .catch((error: unknown) => {
        if (!gone.signal.aborted) setProblem(`The view of this job did not open: ${String(error)}`);
      });
    return () => gone.abort();
  }, [host, reference]);
  return (
    <div class="cnb-embedded" ref={box}>
      {problem && <p class="cnb-warning">{problem}</p>}
    </div>
  );
}

function Parameters({ opened }: { opened: Opened }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    navigator.clipboard?.writeText(opened.code).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  if (opened.parameters.length === 0) return null;
  return (
    <div class="cnb-parameters">
      <div class="cnb-row">
        <h4>Parameters</h4>
        <button type="button" class="cnb-button" title={opened.code} onClick={copy}>
          {copied ? "Copied" : "Copy as Python"}
        </button>
      </div>
      <dl>
        {opened.parameters.map(([name, value]) => (
          <div key={name}>
            <dt dir="auto">{name}</dt>
            <dd dir="auto">{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
