import { expect, test } from "vitest";
import { shownTab, tabByKey } from "../src/tabs";

test("the final pictures come by themselves when the job has ended with some", () => {
  expect(shownTab(null, "running", true)).toBe("live");
  expect(shownTab(null, "succeeded", false)).toBe("live");
  expect(shownTab(null, "succeeded", true)).toBe("final");
  expect(shownTab(null, "cancelled", true)).toBe("final");
});

test("but never against the person's choice", () => {
  expect(shownTab("live", "succeeded", true)).toBe("live");
  expect(shownTab("final", "running", false)).toBe("final");
});

test("arrows, Home and End move in the tab list, other keys do not", () => {
  expect(["ArrowRight", "ArrowLeft", "End"].map((key) => tabByKey(key, "live"))).toEqual([
    "final",
    "final",
    "final",
  ]);
  expect(["ArrowRight", "ArrowLeft", "Home"].map((key) => tabByKey(key, "final"))).toEqual([
    "live",
    "live",
    "live",
  ]);
  expect(tabByKey("a", "live")).toBeNull();
});
