import { defineConfig } from "vitest/config";

export default defineConfig({
  // The same JSX as tsconfig.json and build.mjs.
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  test: {
    environment: "jsdom",
    include: ["tests/**/*.test.{ts,tsx}"],
    testTimeout: 10_000,
    maxWorkers: 2,
    restoreMocks: true,
  },
});
