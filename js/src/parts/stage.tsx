import { useEffect, useRef } from "preact/hooks";
import type { Session } from "../session";
import { caption } from "../words";

/** The picture as it forms: an image that the painter fills. */
export function Live({ session, hidden }: { session: Session; hidden: boolean }) {
  const image = useRef<HTMLImageElement>(null);
  useEffect(() => (image.current ? session.painter.attach(image.current) : undefined), [session]);
  const shown = session.shown.value;
  const state = session.state.value;
  const words = caption(state, shown?.frame ?? null);
  return (
    <div class="cnb-live" hidden={hidden}>
      <img ref={image} class="cnb-frame" alt={words} decoding="sync" hidden={shown === null} />
      {shown === null ? <p class="cnb-empty">{state.empty}</p> : <span class="cnb-caption">{words}</span>}
    </div>
  );
}
