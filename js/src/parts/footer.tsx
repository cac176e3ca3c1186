import { useRef } from "preact/hooks";
import type { Life } from "../bridge";
import { isActive, type State } from "../protocol";
import type { Session } from "../session";
import { TABS, type Tab, tabByKey } from "../tabs";
import { age, duration } from "../words";

const NAMES: Readonly<Record<Tab, string>> = { live: "Live", final: "Final" };

export function Tabs(props: { shown: Tab; count: number; choose: (tab: Tab) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const next = tabByKey(event.key, props.shown);
    if (next === null) return;
    event.preventDefault();
    event.stopPropagation();
    props.choose(next);
    (list.current?.children[TABS.indexOf(next)] as HTMLElement | undefined)?.focus();
  };
  return (
    <div class="cnb-tabs" role="tablist" aria-label="Views" ref={list} data-lm-suppress-shortcuts="true">
      {TABS.map((tab) => (
        <button
          type="button"
          key={tab}
          role="tab"
          class="cnb-tab"
          aria-selected={tab === props.shown}
          tabIndex={tab === props.shown ? 0 : -1}
          onClick={() => props.choose(tab)}
          onKeyDown={onKeyDown}
        >
          {NAMES[tab]}
          {tab === "final" && props.count > 0 && <span class="cnb-count">{props.count}</span>}
        </button>
      ))}
    </div>
  );
}

/** How the link to the server is, and how old its last word. */
export function Connection({ session }: { session: Session }) {
  const state = session.state.value;
  const life = session.bridge.life.value;
  const [link, words] = linkWords(state, life, session.since());
  const server = session.plan.value.server;
  return (
    <span class="cnb-link" data-link={link} title={server && `ComfyUI at ${server}`}>
      {words || server}
    </span>
  );
}

function linkWords(state: State, life: Life, since: number): readonly [string, string] {
  if (life === "gone") return ["closed", "kernel restarted"];
  if (!isActive(state.status)) return ["", ""];
  if (life === "waiting") return ["", "waiting for the kernel"];
  if (state.silent === null) return [state.link, state.link];
  const silent = state.silent + since;
  const words = state.link === "connected" ? `updated ${age(silent)}` : `silent ${duration(silent, 0)}`;
  return [state.link, `${state.link} · ${words}`];
}
