import type { Mode } from "./layout";
import { FILTERS, type Filter, SORTS, type Sort } from "./order";

/** How one view shows the board; nothing of it is told to Python. */
export interface Choices {
  readonly filter: Filter;
  readonly words: string;
  readonly sort: Sort;
  readonly mode: Mode;
  readonly size: number;
}

export const SIZES = { min: 104, max: 320, step: 8 } as const;

const FILTER_NAMES: Readonly<Record<Filter, string>> = {
  all: "All",
  active: "Active",
  done: "Done",
  failed: "Failed",
};

const SORT_NAMES: Readonly<Record<Sort, string>> = {
  status: "Running first",
  newest: "Newest first",
  oldest: "Oldest first",
  title: "By title",
  longest: "Longest first",
};

export function Toolbar(props: { choices: Choices; choose: (change: Partial<Choices>) => void }) {
  const { choices, choose } = props;
  return (
    <div class="cnb-tools" data-lm-suppress-shortcuts="true">
      <fieldset class="cnb-segments">
        <legend class="cnb-unseen">Show</legend>
        {FILTERS.map((filter) => (
          <button
            type="button"
            key={filter}
            aria-pressed={choices.filter === filter}
            onClick={() => choose({ filter })}
          >
            {FILTER_NAMES[filter]}
          </button>
        ))}
      </fieldset>
      <input
        type="search"
        class="cnb-search"
        placeholder="Find"
        aria-label="Find jobs by words"
        value={choices.words}
        onInput={(event) => choose({ words: event.currentTarget.value })}
        onKeyDown={(event) => event.stopPropagation()}
      />
      <select
        class="cnb-sort"
        aria-label="Order"
        value={choices.sort}
        onChange={(event) => choose({ sort: event.currentTarget.value as Sort })}
      >
        {SORTS.map((sort) => (
          <option key={sort} value={sort}>
            {SORT_NAMES[sort]}
          </option>
        ))}
      </select>
      <input
        type="range"
        class="cnb-size"
        aria-label="Size of the pictures"
        min={SIZES.min}
        max={SIZES.max}
        step={SIZES.step}
        value={choices.size}
        disabled={choices.mode === "list"}
        onInput={(event) => choose({ size: Number(event.currentTarget.value) })}
      />
      <fieldset class="cnb-segments">
        <legend class="cnb-unseen">Layout</legend>
        <LayoutButton
          mode="grid"
          choices={choices}
          choose={choose}
          d="M2 2h4v4H2zM8 2h4v4H8zM2 8h4v4H2zM8 8h4v4H8z"
        />
        <LayoutButton mode="list" choices={choices} choose={choose} d="M2 3h10M2 7h10M2 11h10" />
      </fieldset>
    </div>
  );
}

function LayoutButton(props: {
  mode: Mode;
  choices: Choices;
  choose: (change: Partial<Choices>) => void;
  d: string;
}) {
  const { mode, choices, choose } = props;
  const name = mode === "grid" ? "Grid" : "List";
  return (
    <button
      type="button"
      aria-label={name}
      title={name}
      aria-pressed={choices.mode === mode}
      onClick={() => choose({ mode })}
    >
      <svg class="cnb-icon" viewBox="0 0 14 14" aria-hidden="true">
        <path d={props.d} />
      </svg>
    </button>
  );
}
