import { useEffect, useRef } from "preact/hooks";
import type { Session } from "../session";
import { caption, placeholder } from "../words";

/** The picture as it forms: a canvas that the painter draws to. */
export function Live({ session, hidden }: { session: Session; hidden: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => (canvas.current ? session.painter.attach(canvas.current) : undefined), [session]);
  const shown = session.shown.value;
  const state = session.state.value;
  const words = caption(state, shown?.frame ?? null);
  return (
    <div class="cnb-live" hidden={hidden}>
      <canvas ref={canvas} class="cnb-canvas" role="img" aria-label={words} hidden={shown === null} />
      {shown === null ? <Empty session={session} /> : <span class="cnb-caption">{words}</span>}
    </div>
  );
}

function Empty({ session }: { session: Session }) {
  return <p class="cnb-empty">{placeholder(session.state.value)}</p>;
}
