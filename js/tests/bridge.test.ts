import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Bridge } from "../src/bridge";
import { FakeModel } from "./helpers";

let model: FakeModel;
let bridge: Bridge;
let heard: unknown[];
const leaving = () => new AbortController();
let page = leaving();

beforeEach(() => {
  vi.useFakeTimers();
  model = new FakeModel();
  heard = [];
  page = leaving();
  bridge = new Bridge(model.face, page.signal, (content) => heard.push(content));
});

afterEach(() => {
  vi.useRealTimers();
});

test("it says hello and waits for Python's first word", () => {
  expect(model.sent).toEqual([{ k: "hello" }]);
  expect(bridge.life.value).toBe("waiting");
  model.says({ k: "hi" });
  expect(bridge.life.value).toBe("live");
  expect(heard).toEqual([{ k: "hi" }]);
});

test("a kernel that went away is noticed", () => {
  model.says({ k: "hi" });
  model.emit("comm_live_update");
  expect(bridge.life.value).toBe("gone");
});

test("painted frames are told at most every 100 ms, the newest at last", () => {
  for (let n = 1; n <= 60; n++) {
    bridge.seen(n);
    vi.advanceTimersByTime(1000 / 60);
  }
  vi.advanceTimersByTime(200);
  const seen = model.said("seen").map((content) => content.n);
  expect(seen.length).toBeLessThanOrEqual(10);
  expect(seen.at(-1)).toBe(60);
});

test("it speaks for all views: seen while any is", () => {
  const [a, b] = [{}, {}];
  bridge.looks(a, true);
  bridge.looks(b, true);
  bridge.looks(a, false);
  bridge.looks(b, false);
  bridge.looks(a, false);
  expect(model.said("vis").map((content) => content.visible)).toEqual([true, false]);
  expect(new Set(model.said("vis").map((content) => content.page)).size).toBe(1);
});

test("a page that was left says nothing any more", () => {
  bridge.seen(1);
  page.abort();
  vi.advanceTimersByTime(500);
  bridge.looks({}, true);
  expect(model.sent).toEqual([{ k: "hello" }]);
});
