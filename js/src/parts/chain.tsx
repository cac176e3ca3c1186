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
  stopped: "M4.5 7h5",
  failed: "M4.8 4.8l4.4 4.4m0-4.4l-4.4 4.4",
};

function Mark({ look }: { look: NodeState }) {
  return (
    <svg class="cnb-mark" data-look={look} viewBox="0 0 14 14" aria-hidden="true">
      <circle cx="7" cy="7" r={look === "waiting" ? 3 : look === "running" ? 4 : 6} />
      <path d={SHAPES[look]} />
    </svg>
  );
}

/** The nodes in the order in which they run, each with its mark and its time. */
export function Chain({ session }: { session: Session }) {
  const list = useRef<HTMLOListElement>(null);
  const { nodes } = session.plan.value;
  const current = session.standing.value.node;
  const at = nodes.findIndex((node) => node.id === current);
  useEffect(() => follow(list.current, at), [at]);
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
  const [look, seconds] = session.state.value.nodes[index] ?? ["waiting", null];
  const here = session.standing.value;
  const moving = look === "running" && here.node === node.id && here.of > 0;
  const words = moving ? `${here.step} / ${here.of}` : nodeWords(look, seconds);
  return (
    <li class="cnb-node" data-look={look} aria-current={look === "running" ? "step" : undefined}>
      <Mark look={look} />
      <span class="cnb-label" title={node.label}>
        {node.label}
      </span>
      <span class="cnb-unseen">{words === look ? "" : look}</span>
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

/** Keeps row `index` in view, also when the list changes its size, and marks where the list goes on. */
function follow(list: HTMLElement | null, index: number): (() => void) | undefined {
  if (list === null) return undefined;
  const more = () => {
    list.dataset.more = String(list.scrollHeight - list.clientHeight - list.scrollTop > 4);
  };
  const look = () => {
    keepInView(list, index);
    more();
  };
  look();
  list.addEventListener("scroll", more);
  const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(look);
  observer?.observe(list);
  return () => {
    list.removeEventListener("scroll", more);
    observer?.disconnect();
  };
}

/** Scrolls the list alone, never the page, and not under somebody's pointer. */
function keepInView(list: HTMLElement, index: number) {
  const row = list.children[index] as HTMLElement | undefined;
  if (row === undefined || list.matches(":hover")) return;
  const top = row.offsetTop; // the list is positioned, so this is its own scroll space
  const margin = row.offsetHeight;
  if (top - margin < list.scrollTop) list.scrollTop = top - margin;
  const bottom = top + 2 * margin - list.clientHeight;
  if (bottom > list.scrollTop) list.scrollTop = bottom;
}
