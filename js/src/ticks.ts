import { effect, type ReadonlySignal } from "@preact/signals";

const EVERY = 500; // ms; times are read at a glance, and to draw them takes time from the frames

/**
 * Call `tick` twice a second while `on`: by a clock that all have in common, so that what is changed by many is drawn
 * in one go.
 */
export function ticks(
  on: ReadonlySignal<boolean>,
  clock: () => number,
  tick: () => void,
  end: AbortSignal,
): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    timer = setTimeout(
      () => {
        wait();
        tick();
      },
      EVERY - (clock() % EVERY),
    );
  };
  const stop = effect(() => {
    clearTimeout(timer);
    if (on.value) wait();
  });
  end.addEventListener("abort", () => {
    stop();
    clearTimeout(timer);
  });
}
