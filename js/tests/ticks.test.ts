import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ticks } from "../src/ticks";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const clock = () => performance.now();

test("what began at different times is drawn at the same ones, twice a second", () => {
  const on = signal(true);
  const end = new AbortController();
  const at: number[][] = [[], []];
  vi.advanceTimersByTime(130);
  ticks(on, clock, () => at[0]?.push(clock()), end.signal);
  vi.advanceTimersByTime(200);
  ticks(on, clock, () => at[1]?.push(clock()), end.signal);
  vi.advanceTimersByTime(2000);
  expect(at[0]).toHaveLength(4);
  expect(at[0]).toEqual(at[1]);
  end.abort();
});

test("nothing ticks while nothing counts, nor after the end", () => {
  const on = signal(false);
  const end = new AbortController();
  let count = 0;
  ticks(on, clock, () => count++, end.signal);
  vi.advanceTimersByTime(2000);
  expect(count).toBe(0);
  on.value = true;
  vi.advanceTimersByTime(1000);
  expect(count).toBe(2);
  on.value = false;
  vi.advanceTimersByTime(1000);
  on.value = true;
  end.abort();
  vi.advanceTimersByTime(1000);
  expect(count).toBe(2);
  expect(vi.getTimerCount()).toBe(0);
});
