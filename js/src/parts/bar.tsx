/** A bar that says its value in words, for eyes and for screen readers. */
export function Bar(props: { kind: string; name: string; value: number; of: number; words: string }) {
  const { value, of } = props;
  const share = of > 0 ? Math.min(1, Math.max(0, value / of)) : 0;
  return (
    <div
      class={`cnb-bar cnb-bar-${props.kind}`}
      role="progressbar"
      aria-label={props.name}
      aria-valuemin={0}
      aria-valuemax={of}
      aria-valuenow={Math.min(value, of)}
      aria-valuetext={props.words}
      style={{ "--cnb-share": `${Math.round(10_000 * share) / 100}%` }}
    />
  );
}
