import { describe, expect, test } from "vitest";
import { inSight, layoutOf, moved, placeOf } from "../../src/board/layout";

describe("the grid", () => {
  test("fills the width with as many columns as fit, of one width", () => {
    const layout = layoutOf("grid", 150, 640, 10);
    expect(layout.columns).toBe(4);
    expect(layout.columns * layout.width + 3 * 10).toBeCloseTo(640);
    expect(placeOf(layout, 5)).toEqual({ x: layout.width + 10, y: layout.pitch });
  });

  test("has two columns where nearly two fit, not one of twice the size", () => {
    expect(layoutOf("grid", 152, 264, 3)).toMatchObject({ columns: 2, width: 127 });
  });

  test("has one column where not even one fits", () => {
    expect(layoutOf("grid", 320, 200, 3)).toMatchObject({ columns: 1, width: 200 });
  });

  test("is as high as its rows, and nothing without jobs", () => {
    const layout = layoutOf("grid", 150, 640, 9);
    expect(layout.total).toBe(3 * layout.pitch - 10);
    expect(layoutOf("grid", 150, 640, 0).total).toBe(0);
  });

  test("shows whole rows in sight and around, never beyond the ends", () => {
    const layout = layoutOf("grid", 150, 640, 1000);
    expect(inSight(layout, 1000, 0, layout.pitch)).toEqual([0, 4]);
    expect(inSight(layout, 1000, layout.pitch * 2 + 5, layout.pitch)).toEqual([8, 16]);
    expect(inSight(layout, 1000, layout.pitch * 2, layout.pitch, layout.pitch)).toEqual([4, 16]);
    expect(inSight(layout, 6, 0, 5000)).toEqual([0, 6]);
    expect(inSight(layout, 0, 0, 5000)).toEqual([0, 0]);
  });
});

describe("the list", () => {
  test("has one job per line, as wide as the board", () => {
    const layout = layoutOf("list", 150, 640, 7);
    expect(layout).toMatchObject({ columns: 1, width: 640, total: 7 * layout.pitch });
    expect(placeOf(layout, 3)).toEqual({ x: 0, y: 3 * layout.pitch });
  });
});

describe("keys", () => {
  const layout = layoutOf("grid", 150, 640, 10);

  test.each([
    ["ArrowRight", 0, 1],
    ["ArrowLeft", 0, 0],
    ["ArrowDown", 1, 5],
    ["ArrowUp", 5, 1],
    ["ArrowDown", 9, 9],
    ["Home", 7, 0],
    ["End", 2, 9],
    ["PageDown", 0, 8],
  ])("%s from %i leads to %i", (key, from, to) => {
    expect(moved(key, from, layout, 10, 2 * layout.pitch)).toBe(to);
  });

  test("others lead nowhere, and nothing does without jobs", () => {
    expect(moved("x", 0, layout, 10, 100)).toBeNull();
    expect(moved("End", 0, layout, 0, 100)).toBeNull();
  });
});
