import { describe, expect, test } from "vitest";
import { arranged, clicked, FOLD, folded } from "../../src/board/order";
import { row } from "./helpers";

const ROWS = [
  row(1, { s: "succeeded", e: 9, t: "seed 10", m: "done · 9.0 s" }),
  row(2, { s: "queued", q: 2, t: "seed 2", d: "2nd in line" }),
  row(3, { s: "running", t: "seed 1", n: "KSampler" }),
  row(4, { s: "failed", m: "failed at once", d: "out of memory", t: "seed 3" }),
  row(5, { s: "queued", q: 1, t: "seed 4" }),
  row(6, { s: "cancelled", m: "by its owner", t: "a castle", w: "Ada" }),
];
const keys = (
  filter: "all" | "active" | "done" | "failed",
  words = "",
  sort: "status" | "title" | "longest" = "status",
) => arranged(ROWS, filter, words, sort).map((each) => each.key);

describe("order", () => {
  test("what runs, the queue in its order, then what ended, newest first", () => {
    expect(keys("all")).toEqual([3, 5, 2, 6, 4, 1]);
  });

  test("by title, numbers as numbers", () => {
    expect(keys("all", "", "title")).toEqual([6, 3, 2, 4, 5, 1]);
  });

  test("longest first", () => {
    expect(keys("all", "", "longest")[0]).toBe(1);
  });
});

describe("filter", () => {
  test("by status", () => {
    expect(keys("active")).toEqual([3, 5, 2]);
    expect(keys("done")).toEqual([1]);
    expect(keys("failed")).toEqual([6, 4]);
  });

  test("by words in title, owner, node and message, all of them", () => {
    expect(keys("all", "MEMORY seed")).toEqual([4]);
    expect(keys("all", "ksampler")).toEqual([3]);
    expect(keys("all", "ada")).toEqual([6]);
    expect(keys("all", "by owner")).toEqual([6]);
    expect(keys("all", "memory castle")).toEqual([]);
    expect(keys("all", "seed 9")).toEqual([]); // not how long it took
    expect(keys("all", "2nd")).toEqual([]);
  });
});

describe("clicks", () => {
  const shown = [3, 5, 2, 6];
  const click = (
    key: number,
    anchor: number | null,
    toggle: boolean,
    range: boolean,
    before: number[] = [5],
  ) => [...clicked(shown, new Set(before), key, anchor, { toggle, range })];

  test("one alone", () => expect(click(2, 5, false, false)).toEqual([2]));
  test("one more, one less", () => {
    expect(click(2, 5, true, false)).toEqual([5, 2]);
    expect(click(5, 5, true, false)).toEqual([]);
  });
  test("from the anchor on, both ways", () => {
    expect(click(6, 5, false, true)).toEqual([5, 2, 6]);
    expect(click(3, 2, false, true)).toEqual([3, 5, 2]);
  });
  test("a range without an anchor is one", () => expect(click(6, null, false, true)).toEqual([6]));
});

describe("many that wait", () => {
  const jobs = (waiting: number) => [
    row(90, { s: "running" }),
    ...Array.from({ length: waiting }, (_, at) => row(at + 1, { s: "queued", q: at + 1 })),
    row(91),
    row(92),
  ];

  test("are one tile after the next three, before what has ended", () => {
    expect(folded(jobs(17), false)).toEqual({ keys: [90, 1, 2, 3, FOLD, 91, 92], more: 14 });
  });

  test("are all there when it is open, and it closes again", () => {
    const { keys, more } = folded(jobs(9), true);
    expect(keys).toEqual([90, 1, 2, 3, 4, 5, 6, 7, 8, 9, FOLD, 91, 92]);
    expect(more).toBe(6);
  });

  test("are not folded when they are few", () => {
    expect(folded(jobs(8), false)).toEqual({ keys: [90, 1, 2, 3, 4, 5, 6, 7, 8, 91, 92], more: 0 });
  });
});
