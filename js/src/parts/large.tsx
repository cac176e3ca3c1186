import { useEffect, useRef } from "preact/hooks";
import type { Held } from "../session";
import { useName } from "./name";

/** One picture across the whole widget; arrows turn the pages, Escape closes. */
export function Large(props: {
  pictures: readonly Held[];
  index: number;
  turn: (index: number) => void;
  close: () => void;
}) {
  const { pictures, turn, close } = props;
  const index = Math.min(props.index, pictures.length - 1);
  const box = useRef<HTMLElement>(null);
  const name = useName("Large view");
  useEffect(() => box.current?.focus(), []);
  const held = pictures[index];
  if (held === undefined) return null;
  const by = (step: number) => turn((index + step + pictures.length) % pictures.length);
  const keys: Record<string, () => void> = {
    ArrowLeft: () => by(-1),
    ArrowRight: () => by(1),
    Home: () => turn(0),
    End: () => turn(pictures.length - 1),
    Escape: close,
  };
  const { output, url } = held;
  const size = output.width ? `${output.width} × ${output.height}` : "";
  return (
    <section
      class="cnb-large"
      ref={box}
      aria-label={name}
      tabIndex={-1}
      data-lm-suppress-shortcuts="true"
      onKeyDown={(event) => {
        const act = keys[event.key];
        if (act === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        act();
      }}
    >
      <div class="cnb-row">
        <span class="cnb-label" title={output.name}>
          {output.name || output.label}
        </span>
        <span class="cnb-muted">
          {[size, output.reduced ? "shown smaller" : "", output.label].filter(Boolean).join(" · ")}
        </span>
        {pictures.length > 1 && (
          <span class="cnb-turn">
            <button type="button" class="cnb-quiet" aria-label="Previous picture" onClick={() => by(-1)}>
              ←
            </button>
            <span aria-live="polite">{`${index + 1} / ${pictures.length}`}</span>
            <button type="button" class="cnb-quiet" aria-label="Next picture" onClick={() => by(1)}>
              →
            </button>
          </span>
        )}
        <button type="button" class="cnb-quiet" aria-label="Close the large view" onClick={close}>
          ✕
        </button>
      </div>
      <img src={url} alt={`${output.label}: ${output.name}`} />
    </section>
  );
}
