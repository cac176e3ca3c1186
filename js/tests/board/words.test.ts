import { describe, expect, test } from "vitest";
import { figuresOf, lineOf, news, ordinal, spoken, tally, tileWords, whereOf } from "../../src/board/words";
import { row } from "./helpers";

test("ordinals", () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111].map(ordinal).join(" ")).toBe(
    "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 103rd 111th",
  );
});

describe("a card", () => {
  const running = row(1, { s: "running", n: "KSampler", a: 6, b: 20, e: 1.3, l: [2, 2.2], p: 0.3 });

  test("that runs says its node, its step and its times", () => {
    expect(lineOf(running)).toBe("KSampler 6/20");
    expect(lineOf(running, 9)).toBe("KSampler 9/20");
    expect(figuresOf(running, 1)).toBe("2.3 s · 1 s left");
  });

  test("says whose it is and where, if that is not plain", () => {
    expect(whereOf(running, "")).toBe("");
    expect(whereOf(row(1, { s: "queued", w: "Ada" }), "gpu:8188")).toBe("Ada · gpu:8188");
  });

  test("that is being stopped says so", () => {
    expect(lineOf({ ...running, stopping: true })).toBe("interrupting…");
    expect(lineOf(row(1, { s: "queued", x: true }))).toBe("cancelling…");
  });

  test("that lost its server says so, and leaves the time left out", () => {
    const lost = { ...running, message: "reconnecting" };
    expect(lineOf(lost)).toBe("reconnecting");
    expect(figuresOf(lost, 0)).toBe("1.3 s");
  });

  test("that waits says its place", () => {
    expect(tileWords(row(1, { s: "queued", q: 3 }))).toBe("3rd in line");
    expect(lineOf(row(1, { s: "queued", q: 3 }))).toBe("waiting");
  });

  test("that has ended says how", () => {
    expect(lineOf(row(1, { e: 2.1 }))).toBe("done · 2.1 s");
    expect(lineOf(row(1, { c: true, e: 0.1 }))).toBe("cached");
    expect(lineOf(row(1, { s: "failed" }))).toBe("failed at once");
    expect(lineOf(row(1, { s: "failed", e: 3 }))).toBe("failed · 3.0 s");
    expect(lineOf(row(1, { s: "cancelled", m: "interrupted at step 9 of 20" }))).toBe(
      "interrupted at step 9 of 20",
    );
    expect(tileWords(row(1, { s: "lost" }))).toBe("Lost");
  });

  test("with previews off says so", () => {
    expect(tileWords(row(1, { s: "running", v: true }))).toBe("previews are off");
  });

  test("is one sentence for a screen reader", () => {
    expect(spoken(running, true, "")).toBe("job 1, running, 30 %, KSampler, selected");
    expect(spoken(row(2, { s: "queued", q: 1, w: "Ada" }), false, "gpu")).toBe(
      "job 2, queued, 1st in line, of Ada, not yours, gpu",
    );
  });
});

test("the tally counts what there is", () => {
  expect(tally([row(1), row(2), row(3, { s: "running" }), row(4, { s: "failed" })])).toBe(
    "1 running · 2 done · 1 failed",
  );
});

test("news are states, of one by name, of several by number, never of others", () => {
  expect(news([row(1, { s: "failed", m: "out of memory" })])).toBe("job 1: failed, out of memory");
  expect(news([row(1), row(2)])).toBe("2 done");
  expect(news([row(1, { w: "Ada" }), row(2, { s: "queued" })])).toBe("");
});
