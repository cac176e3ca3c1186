import { useState } from "preact/hooks";
import type { Held, Session } from "../session";
import { fileSize } from "../words";

/** The outputs: pictures first, then texts, then other files. */
export function Final(props: { session: Session; open: (index: number) => void }) {
  const held = props.session.outputs.value;
  const pictures = held.filter((each) => each.url !== "");
  const poster = props.session.poster.value;
  if (held.length === 0 && poster) {
    return (
      <div class="cnb-final" data-pictures={1}>
        <img src={poster} alt="Final picture, reduced" />
        <span class="cnb-caption">final picture, reduced</span>
      </div>
    );
  }
  if (held.length === 0) return <p class="cnb-empty">no outputs yet</p>;
  return (
    <div class="cnb-final" data-pictures={pictures.length} data-alone={pictures.length === held.length}>
      {pictures.length > 0 && <Gallery pictures={pictures} open={props.open} />}
      {held.map((each) => (each.url ? null : <Other key={each.output.i} held={each} />))}
    </div>
  );
}

function Gallery(props: { pictures: readonly Held[]; open: (index: number) => void }) {
  return (
    <div class="cnb-gallery" data-lm-suppress-shortcuts="true">
      {props.pictures.map(({ output, url }, index) => (
        <button
          type="button"
          key={output.i}
          class="cnb-picture"
          onClick={() => props.open(index)}
          aria-label={`Enlarge ${output.name || output.label}`}
          title={output.name}
        >
          <img src={url} alt={`${output.label}: ${output.name}`} decoding="async" />
        </button>
      ))}
    </div>
  );
}

function Other({ held: { output } }: { held: Held }) {
  if (output.kind === "text") return <Text label={output.label} text={output.text} />;
  return (
    <div class="cnb-file">
      <span class="cnb-label" title={output.name}>
        {output.name}
      </span>
      <span class="cnb-time">
        {output.problem || (output.size > 0 ? fileSize(output.size) : output.kind)}
      </span>
    </div>
  );
}

function Text({ label, text }: { label: string; text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    navigator.clipboard?.writeText(text).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  return (
    <figure class="cnb-text">
      <figcaption>
        <span class="cnb-label">{label}</span>
        <button type="button" class="cnb-quiet" onClick={copy} aria-label={`Copy the text of ${label}`}>
          {copied ? "Copied" : "Copy"}
        </button>
      </figcaption>
      <pre>{text}</pre>
    </figure>
  );
}
