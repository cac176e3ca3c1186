import { useLayoutEffect, useState } from "preact/hooks";

// Every widget is a module of its own, so what they share is kept by the page.
const KEY = Symbol.for("comfy_nb.names.1");

/** A name that no other landmark of ours on this page has: "Job: a castle", the next one "Job: a castle (2)". */
export function useName(words: string): string {
  const [name, setName] = useState(words);
  useLayoutEffect(() => {
    const page = globalThis as { [KEY]?: Set<string> };
    page[KEY] ??= new Set();
    const taken = page[KEY];
    let own = words;
    for (let count = 2; taken.has(own); count++) own = `${words} (${count})`;
    taken.add(own);
    setName(own);
    return () => taken.delete(own);
  }, [words]);
  return name;
}
