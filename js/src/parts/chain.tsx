import { useEffect, useRef } from "preact/hooks";
import type { NodeState, Plan } from "../protocol";
import type { Session } from "../session";
import { nodeWords } from "../words";
import { Bar } from "./bar";

const SHAPES: Readonly<Record<NodeState, string>> = {
  waiting: "",
  running: "",
  cached: "M4.2 7.2l2 2 3.6-4.2",
  done: "M4.2 7.2l2 2 3.6-4.2",
  failed: "M4.8 4.8l4.4 4.4m0-4.4l-4.4 4.4",
};

function Mark({ state }: { state: NodeState }) {
  return (
    <svg class="cnb-mark" data-state={state} viewBox="0 0 14 14" aria-hidden="true">
      <circle cx="7" cy="7" r={state === "waiting" ? 3 : state === "running" ? 4 : 6} />
      <path d={SHAPES[state]} />
    </svg>
  );
}

/** The nodes in the order in which they run, each with its mark and its time. */
export function Chain({ session }: { session: Session }) {
  const list = useRef<HTMLOListElement>(null);
  const { nodes } = session.plan.value;
  const current = session.standing.value.node;
  const at = nodes.findIndex((node) => node.id === current);
  useEffect(() => keepInView(list.current, at), [at]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <ol class="cnb-chain" ref={list} aria-label="Nodes" tabIndex={0} data-lm-suppress-shortcuts="true">
      {nodes.map((node, index) => (
        <Row key={node.id} session={session} node={node} index={index} />
      ))}
    </ol>
  );
}

function Row(props: { session: Session; node: Plan["nodes"][number]; index: number }) {
  const { session, node, index } = props;
  const [state, seconds] = session.state.value.nodes[index] ?? ["waiting", null];
  const here = session.standing.value;
  const moving = state === "running" && here.node === node.id && here.of > 0;
  const words = moving ? `${here.step} / ${here.of}` : nodeWords(state, seconds);
  return (
    <li class="cnb-node" data-state={state} aria-current={state === "running" ? "step" : undefined}>
      <Mark state={state} />
      <span class="cnb-label" title={node.label}>
        {node.label}
      </span>
      <span class="cnb-unseen">{words === state ? "" : state}</span>
      <span class="cnb-time">{words}</span>
      {moving && (
        <Bar
          kind="step"
          name={node.label}
          value={here.step}
          of={here.of}
          words={`step ${here.step} of ${here.of}`}
        />
      )}
    </li>
  );
}

/** Scrolls the list alone, never the page, and not under somebody's pointer. */
function keepInView(list: HTMLElement | null, index: number) {
  const row = list?.children[index] as HTMLElement | undefined;
  if (list == null || row === undefined || list.matches(":hover")) return;
  const top = row.offsetTop; // the list is positioned, so this is its own scroll space
  const margin = row.offsetHeight;
  if (top - margin < list.scrollTop) list.scrollTop = top - margin;
  const bottom = top + 2 * margin - list.clientHeight;
  if (bottom > list.scrollTop) list.scrollTop = bottom;
}
