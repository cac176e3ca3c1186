// Makes the widgets' bundles: src/<name>.ts(x) and src/<name>.css -> comfy_nb/static/<name>.{js,css}.
//
//   node build.mjs           write them
//   node build.mjs --check   write nothing; fail unless the committed bundles are what the sources give
//
// The same sources always give the same bytes, on every machine.

import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const STATIC = fileURLToPath(new URL("../comfy_nb/static/", import.meta.url));

// Widget -> bytes that its module and its style sheet may have: every instance in a notebook carries both.
const BUDGETS = {
  job_view: { js: 60_000, css: 24_000 },
  board_view: { js: 60_000, css: 24_000 },
};

function sources(widget) {
  const script = [`src/${widget}.ts`, `src/${widget}.tsx`].find((path) => existsSync(HERE + path));
  if (script === undefined) throw new Error(`js/src/${widget}.ts(x) is missing.`);
  return [script, `src/${widget}.css`].filter((path) => existsSync(HERE + path));
}

async function bundle(widget) {
  const result = await build({
    absWorkingDir: HERE,
    entryPoints: sources(widget),
    outdir: STATIC,
    write: false,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  for (const { path, contents } of result.outputFiles) {
    const kind = path.slice(path.lastIndexOf(".") + 1);
    const budget = BUDGETS[widget][kind];
    if (contents.length > budget) {
      throw new Error(`${widget}.${kind} has ${contents.length} bytes, its budget is ${budget}.`);
    }
    console.log(`${widget}.${kind}: ${contents.length} of ${budget} bytes`);
  }
  return result.outputFiles;
}

async function isCommitted(file) {
  return existsSync(file.path) && (await readFile(file.path)).equals(file.contents);
}

async function main(check) {
  const files = (await Promise.all(Object.keys(BUDGETS).map(bundle))).flat();
  if (!check) {
    await mkdir(STATIC, { recursive: true });
    await Promise.all(files.map((file) => writeFile(file.path, file.contents)));
    return;
  }
  for (const file of files) {
    if (!(await isCommitted(file))) {
      throw new Error(`${file.path} is not what js/src gives: run "make js" and commit it.`);
    }
  }
}

main(process.argv.includes("--check")).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
