import type { State } from "../protocol";

/** What went wrong: which node, which input, what was said about it. */
export function Problems({ error }: { error: NonNullable<State["error"]> }) {
  const [only, ...more] = error.problems;
  const told = only !== undefined && more.length === 0 && error.title.includes(only.message);
  return (
    <div class="cnb-error" role="alert">
      <p class="cnb-error-title">{error.title}</p>
      {only !== undefined && !told && (
        <ul>
          {error.problems.map((problem, index) => (
            <li key={index}>
              {problem.label && <b>{problem.label}</b>}
              {problem.input && <code>{problem.input}</code>}
              <span>{problem.message}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function Traceback({ text }: { text: string }) {
  return (
    <details class="cnb-details">
      <summary>Traceback</summary>
      <pre>{text}</pre>
    </details>
  );
}
