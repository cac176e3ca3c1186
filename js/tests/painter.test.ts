import { beforeEach, expect, test } from "vitest";
import { Painter, type Picture } from "../src/painter";
import { bytes, FakeBrowser, fakeCanvas } from "./helpers";

let browser: FakeBrowser;
let painter: Painter<Picture>;
let painted: number[];

beforeEach(() => {
  browser = new FakeBrowser();
  painted = [];
  painter = new Painter((picture) => painted.push(picture.n), browser);
});

const put = (n: number, name = n) => painter.put({ n, bytes: bytes(name) });

test("of a burst the first and the newest are drawn, the rest is not even decoded", async () => {
  const { canvas, drawn } = fakeCanvas();
  painter.attach(canvas);
  for (let n = 1; n <= 50; n++) put(n);
  for (let i = 0; i < 5; i++) await browser.frame();
  expect(drawn).toEqual([1, 50]);
  expect(browser.decoded).toEqual([1, 50]);
  expect(painted).toEqual([1, 50]);
});

test("a page without animation frames holds one picture, not a queue", async () => {
  painter.attach(fakeCanvas().canvas);
  for (let n = 1; n <= 50; n++) {
    put(n);
    await Promise.resolve();
  }
  expect(browser.decoded).toEqual([1]);
});

test("every bitmap is closed", async () => {
  painter.attach(fakeCanvas().canvas);
  for (let n = 1; n <= 10; n++) {
    put(n);
    await browser.frame();
  }
  expect(browser.decoded).toHaveLength(10);
  expect(browser.open).toBe(0);
});

test("nothing is decoded for nobody; a view that comes later gets the newest", async () => {
  for (let n = 1; n <= 3; n++) put(n);
  await browser.frame();
  expect(browser.decoded).toEqual([]);
  const first = fakeCanvas();
  painter.attach(first.canvas);
  await browser.frame();
  const second = fakeCanvas();
  painter.attach(second.canvas);
  await browser.frame();
  expect(second.drawn).toEqual([3]);
});

test("all views are drawn to, those that left are not", async () => {
  const [stays, leaves] = [fakeCanvas(), fakeCanvas()];
  painter.attach(stays.canvas);
  const leave = painter.attach(leaves.canvas);
  put(1);
  await browser.frame();
  leave();
  put(2);
  await browser.frame();
  expect(stays.drawn).toEqual([1, 2]);
  expect(leaves.drawn).toEqual([1]);
});

test("the canvas takes the picture's size, once", async () => {
  const { canvas } = fakeCanvas();
  painter.attach(canvas);
  put(1);
  await browser.frame();
  expect([canvas.width, canvas.height]).toEqual([64, 32]);
});

test("what is no picture is passed over", async () => {
  const { canvas, drawn } = fakeCanvas();
  painter.attach(canvas);
  put(1);
  await browser.frame();
  put(2, 0);
  await browser.frame();
  put(3);
  await browser.frame();
  expect(drawn).toEqual([1, 3]);
});
