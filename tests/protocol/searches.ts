/**
 * The searches of what no model of ProVerif can say, each with what it must find.
 *
 * @module
 */
import { searchDecision } from "./decision_search.ts";
import type { Found } from "./explore.ts";
import { searchRoster } from "./roster_search.ts";

/** What a search found: how many states, something wrong or nothing, and counts of some kinds of states. */
export interface SearchOutcome extends Found {
  readonly counts: Readonly<Record<string, number>>;
}

/** One search. */
export interface Search {
  /** For people; unique among searches and variants. */
  readonly name: string;
  readonly run: () => SearchOutcome;
  readonly expected: Omit<SearchOutcome, "counterexample"> & {
    /** What is wrong with a state; nothing is, where there is none. */
    readonly wrong?: string;
  };
  /** Whether it takes less than a second, and is a unit test. */
  readonly isQuick: boolean;
  /** The rule that is left out, or what the scene is. */
  readonly why: string;
}

function decision(options: Parameters<typeof searchDecision>[0]): () => SearchOutcome {
  return () => {
    const { stuck, ...found } = searchDecision(options);
    return { ...found, counts: stuck };
  };
}

function roster(options: Parameters<typeof searchRoster>[0]): () => SearchOutcome {
  return () => {
    const { differing, fixedByAll, ...found } = searchRoster(options);
    return { ...found, counts: { differing, fixedByAll } };
  };
}

/** All of them. */
export const SEARCHES: readonly Search[] = Object.freeze([
  {
    name: "s_decision",
    run: decision({ maximumEpoch: 3 }),
    expected: {
      states: 738_842,
      counts: {
        "no more epochs in this search": 140_034,
        "the only member was lost after complete": 1992,
        "all that are left are locked": 972,
      },
    },
    isQuick: false,
    why: "three founders, takeovers and crashes at any time, one lost disk, three epochs",
  },
  {
    name: "s_decision_2",
    run: decision({ maximumEpoch: 2 }),
    expected: {
      states: 76_916,
      counts: { "no more epochs in this search": 13_002, "the only member was lost after complete": 96 },
    },
    isQuick: false,
    why: "the same with two epochs",
  },
  {
    name: "s_decision_1",
    run: decision({ maximumEpoch: 1 }),
    expected: { states: 5078, counts: { "no more epochs in this search": 714 } },
    isQuick: true,
    why: "the same with one epoch",
  },
  {
    name: "s_decision_read",
    run: decision({ maximumEpoch: 3, servesAfterRead: true }),
    expected: { states: 189_722, wrong: "two clusters serve", counts: {} },
    isQuick: false,
    why: "the join service starts after a read, and before the complete transaction",
  },
  {
    name: "s_roster",
    run: roster({ honest: 2 }),
    expected: { states: 182_184, counts: { differing: 0, fixedByAll: 1248 } },
    isQuick: false,
    why: "two founders, and one whose TPM was cloned",
  },
  {
    name: "s_roster_1",
    run: roster({ honest: 1 }),
    expected: { states: 424, counts: { differing: 0, fixedByAll: 40 } },
    isQuick: true,
    why: "one founder, and one whose TPM was cloned",
  },
  {
    name: "s_roster_reports",
    run: roster({ honest: 2, fixesOnReports: true }),
    expected: {
      states: 141_852,
      wrong: "two rosters are each fixed by a majority",
      counts: { differing: 9944, fixedByAll: 2774 },
    },
    isQuick: false,
    why: "a roster is fixed on equal reports, without pledges",
  },
  {
    name: "s_roster_1_reports",
    run: roster({ honest: 1, fixesOnReports: true }),
    expected: { states: 304, counts: { differing: 72, fixedByAll: 40 } },
    isQuick: true,
    why: "the same with one founder and the clones: no majority, and yet two rosters",
  },
]);

/** What an outcome shows otherwise than expected, one sentence each. */
export function searchSurprises({ name, expected }: Search, outcome: SearchOutcome): string[] {
  const found: string[] = [];
  const wrong = outcome.counterexample?.wrong;
  if (wrong !== expected.wrong) {
    const steps = outcome.counterexample === undefined ? "" : ` after ${outcome.counterexample.steps.join(", ")}`;
    found.push(
      `${name}: must find ${expected.wrong ?? "nothing wrong"}, and found ${wrong ?? "nothing wrong"}${steps}`,
    );
  }
  if (outcome.states !== expected.states) {
    found.push(`${name}: must visit ${expected.states} states, and visited ${outcome.states}`);
  }
  const kinds = new Set([...Object.keys(expected.counts), ...Object.keys(outcome.counts)]);
  for (const kind of kinds) {
    const [wanted, seen] = [expected.counts[kind] ?? 0, outcome.counts[kind] ?? 0];
    if (wanted !== seen) found.push(`${name}: ${kind}: must be ${wanted} states, and there are ${seen}`);
  }
  return found;
}
