import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BROWSER, Painter, type Picture } from "../src/painter";
import { bytes, FakeBrowser, loadedBy } from "./helpers";

let browser: FakeBrowser;
let painter: Painter<Picture>;
let painted: [number, number, number][];

beforeEach(() => {
  browser = new FakeBrowser();
  painted = [];
  painter = new Painter((picture, width, height) => painted.push([picture.n, width, height]), browser);
});

afterEach(() => vi.unstubAllGlobals());

const put = (n: number, name = n) => painter.put({ n, bytes: bytes(name) });
const numbers = () => painted.map(([n]) => n);

test("of a burst the first and the newest are shown, the rest is not even loaded", async () => {
  painter.attach(new Image());
  for (let n = 1; n <= 50; n++) put(n);
  for (let i = 0; i < 5; i++) await browser.frame();
  expect(browser.loaded).toEqual([1, 50]);
  expect(numbers()).toEqual([1, 50]);
});

test("of two that come together each has its animation frame", async () => {
  painter.attach(new Image());
  put(1);
  put(2);
  await browser.frame();
  expect(numbers()).toEqual([1]);
  await browser.frame();
  expect(numbers()).toEqual([1, 2]);
});

test("a page without animation frames holds one picture, not a queue", async () => {
  painter.attach(new Image());
  for (let n = 1; n <= 50; n++) {
    put(n);
    await Promise.resolve();
  }
  expect(browser.loaded).toEqual([1]);
});

test("nothing is loaded for nobody; a view that comes later gets the newest", async () => {
  for (let n = 1; n <= 3; n++) put(n);
  await browser.frame();
  expect(browser.loaded).toEqual([]);
  painter.attach(new Image());
  await browser.frame();
  const second = new Image();
  painter.attach(second);
  await browser.frame();
  expect(loadedBy(second)).toEqual([3]);
});

test("all views show it, those that left do not", async () => {
  const [stays, leaves] = [new Image(), new Image()];
  painter.attach(stays);
  const leave = painter.attach(leaves);
  put(1);
  await browser.frame();
  leave();
  put(2);
  await browser.frame();
  expect(loadedBy(stays)).toEqual([1, 2]);
  expect(loadedBy(leaves)).toEqual([1]);
});

test("who waits for the picture is told its size", async () => {
  painter.attach(new Image());
  put(1);
  await browser.frame();
  expect(painted).toEqual([[1, 64, 32]]);
});

test("what is no picture is passed over", async () => {
  const image = new Image();
  painter.attach(image);
  for (const [n, name] of [
    [1, 1],
    [2, 0],
    [3, 3],
  ] as const) {
    put(n, name);
    await browser.frame();
  }
  expect(loadedBy(image)).toEqual([1, 3]);
  expect(numbers()).toEqual([1, 3]);
});

test.each([[1], [40_000]])("the address holds the %d bytes as they are", (size) => {
  const image = new Image();
  const data = Uint8Array.from({ length: size + 2 }, (_, at) => at % 251);
  void BROWSER.load(image, new DataView(data.buffer, 1, size));
  const [head, text] = image.src.split(",");
  expect(head).toBe("data:image/jpeg;base64");
  expect(Uint8Array.from(atob(text ?? ""), (letter) => letter.charCodeAt(0))).toEqual(
    data.subarray(1, size + 1),
  );
});

test("an image that cannot show what came keeps what it has", async () => {
  const image = new Image();
  const first = BROWSER.load(image, bytes(1));
  image.dispatchEvent(new Event("load"));
  await first;
  const before = image.src;
  const second = BROWSER.load(image, bytes(2));
  expect(image.src).not.toBe(before);
  image.dispatchEvent(new Event("error"));
  expect(await second).toBeNull();
  expect(image.src).toBe(before);
});
