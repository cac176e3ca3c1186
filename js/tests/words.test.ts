import { describe, expect, test } from "vitest";
import { type Frame, readMessage, type State } from "../src/protocol";
import {
  age,
  caption,
  duration,
  fileSize,
  nodeWords,
  note,
  pace,
  percent,
  standing,
  timeLeft,
} from "../src/words";
import { RUNNING } from "./helpers";

const frame: Frame = { k: "frame", s: "a:1", n: 3, node: "3", step: 7, of: 20, progress: 0.4, t: 0.7 };

describe("numbers", () => {
  test.each([
    [0, "0.0 s"],
    [1.31, "1.3 s"],
    [9.96, "10 s"],
    [59.4, "59 s"],
    [59.6, "1 min 00 s"],
    [125, "2 min 05 s"],
    [3599.7, "1 h 00 min"],
    [3884, "1 h 05 min"],
  ])("%d seconds are %s", (seconds, words) => expect(duration(seconds)).toBe(words));

  test.each([
    [9.6, "9.6 steps/s"],
    [120.4, "120 steps/s"],
    [0.31, "3.2 s per step"],
    [0, ""],
    [null, ""],
  ])("a pace of %s is %s", (speed, words) => expect(pace(speed)).toBe(words));

  test.each<[[number, number] | null, number, string]>([
    [null, 0, ""],
    [[0.5, 0.9], 0, "less than 1 s left"],
    [[1, 1.4], 0, "about 1 s left"],
    [[1.2, 3.3], 0, "1–3 s left"],
    [[1.2, 3.3], 1, "up to 2 s left"],
    [[1.2, 3.3], 60, "less than 1 s left"],
    [[2100, 3300], 0, "35–55 min left"],
    [[590, 610], 0, "about 10 min left"],
  ])("%s left, %d s later: %s", (left, since, words) => expect(timeLeft(left, since)).toBe(words));

  test("progress is not rounded up to done", () => {
    expect(percent(0.58)).toBe("58 %");
    expect(percent(0.999)).toBe("99 %");
    expect(percent(1)).toBe("100 %");
    expect(percent(7)).toBe("100 %");
  });

  test("ages and sizes", () => {
    expect([age(0.3), age(2), age(14.2)]).toEqual(["just now", "2 s ago", "14 s ago"]);
    expect([fileSize(5), fileSize(4_812_331), fileSize(157_552)]).toEqual(["5 B", "4.8 MB", "158 kB"]);
  });
});

describe("nodes", () => {
  test("the right end of a row", () => {
    expect(nodeWords("done", 0.01)).toBe("< 0.1 s");
    expect(nodeWords("done", null)).toBe("");
    expect(nodeWords("cached", 3)).toBe("cached");
    expect(nodeWords("waiting", null)).toBe("");
    expect(nodeWords("stopped", null)).toBe("stopped");
  });
});

describe("what is going on", () => {
  const ended: State = { ...RUNNING, status: "cancelled", line: "Interrupted", guess: "last guess" };

  test("is for Python to say", () => {
    expect(note(RUNNING, "live", false)).toBe("Sampling image…");
    expect(note(ended, "live", false)).toBe("Interrupted");
  });

  test("a busy kernel and one that is gone are said by the page", () => {
    expect(note(RUNNING, "live", true)).toContain("kernel is busy");
    expect(note(RUNNING, "gone", false)).toBe("Kernel restarted: this view is a picture of the past.");
    expect(note(ended, "gone", false)).toBe("Interrupted");
  });

  test("previews are called what they are", () => {
    expect(caption(RUNNING, frame)).toBe("current guess · step 7");
    expect(caption(ended, frame)).toBe("last guess · step 7");
    expect(caption(RUNNING, { ...frame, of: 0, step: 0 })).toBe("current guess");
  });
});

describe("bar and picture move together", () => {
  test("a frame that came after the state moves the bar", () => {
    expect(standing(RUNNING, frame, true)).toEqual({ node: "3", step: 7, of: 20, progress: 0.4 });
  });

  test("an older one does not, nor one after the end, nor one that knows no step", () => {
    for (const [state, shown, newer] of [
      [RUNNING, frame, false],
      [{ ...RUNNING, status: "cancelled" }, frame, true],
      [RUNNING, { ...frame, of: 0 }, true],
      [RUNNING, null, false],
    ] as const) {
      expect(standing(state as State, shown, newer)).toMatchObject({ step: 6, progress: 0.3 });
    }
  });

  test("overall progress never falls", () => {
    expect(standing(RUNNING, { ...frame, progress: 0.1 }, true).progress).toBe(0.3);
  });
});

test("messages that are none, or of a later version, are left alone", () => {
  for (const raw of [null, undefined, 7, "frame", {}, { k: "later" }]) expect(readMessage(raw)).toBeNull();
  expect(readMessage({ k: "frame", s: "a:1", n: 4 })).toMatchObject({ n: 4, step: 0, node: "" });
});
