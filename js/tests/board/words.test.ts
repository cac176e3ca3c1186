import { describe, expect, test } from "vitest";
import { figuresOf, lineOf, news, spoken, tally, whereOf } from "../../src/board/words";
import { row } from "./helpers";

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

  test("that has something to say says that instead", () => {
    const lost = row(1, { s: "running", n: "KSampler", a: 6, b: 20, e: 1.3, m: "reconnecting" });
    expect(lineOf(lost)).toBe("reconnecting");
    expect(figuresOf(lost, 0)).toBe("1.3 s");
    expect(lineOf(row(1, { s: "failed", m: "failed at once" }))).toBe("failed at once");
  });

  test("is one sentence for a screen reader", () => {
    expect(spoken(running, true, "")).toBe("job 1, running, 30 %, KSampler, selected");
    expect(spoken(row(2, { s: "queued", q: 1, d: "1st in line", w: "Ada" }), false, "gpu")).toBe(
      "job 2, queued, 1st in line, of Ada, not yours, gpu",
    );
    expect(spoken(row(3, { s: "new", d: "not sent yet" }), false, "")).toBe("job 3, not sent yet");
    expect(spoken(row(4, { m: "done · 2.1 s" }), false, "")).toBe("job 4, succeeded, done · 2.1 s");
  });
});

test("the tally counts what there is", () => {
  expect(tally([row(1), row(2), row(3, { s: "running" }), row(4, { s: "failed" })])).toBe(
    "1 running · 2 done · 1 failed",
  );
});

test("news are states, of one by name, of several by number, never of others", () => {
  expect(news([row(1, { s: "failed", d: "out of memory" })])).toBe("job 1: failed, out of memory");
  expect(news([row(1), row(2)])).toBe("2 done");
  expect(news([row(1, { w: "Ada" }), row(2, { s: "queued" })])).toBe("");
});
