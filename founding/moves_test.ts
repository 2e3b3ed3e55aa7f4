import { deepEqual, equal } from "node:assert/strict";
import * as fc from "fast-check";
import type { DecisionView, SeenDecision } from "./decision.ts";
import { mayLeave, type Move, nextMove, type OwnFacts, type Situation, wantsToLead } from "./moves.ts";

const [ME, OTHER, THIRD] = ["11".repeat(32), "22".repeat(32), "33".repeat(32)];
const MINE = `sha256:${"aa".repeat(32)}`;
const THEIRS = `sha256:${"bb".repeat(32)}`;
const COMPLETE = { epoch: 1, clusterId: MINE, endpoints: [] };

const DECISION: SeenDecision = { epoch: 1, identity: ME, key: ME, clusterId: MINE, revision: 7n };
const BY_OTHER: SeenDecision = { ...DECISION, key: OTHER, clusterId: THEIRS, revision: 8n };
const STAGED = { epoch: 1, revision: 7n, clusterId: MINE };

const OWN: OwnFacts = {
  ...{ key: ME, lock: undefined, staged: undefined, prepared: undefined, isReady: true, founding: "not-begun" },
  ...{ failure: undefined, completed: undefined, isServing: false, isMember: false },
};
const VIEW: DecisionView = { raftTerm: 2n, alive: new Set(), members: new Set() };
const LEADER = { key: ME, instance: "00".repeat(16), createRevision: 3n };
const INIT_LOCK = { owner: "init", clusterId: MINE } as const;
const JOIN_LOCK = { owner: "join", clusterId: THEIRS } as const;

function situation(
  own: Partial<OwnFacts>,
  view: Partial<DecisionView> = {},
  seen: Partial<Situation["seen"]> = {},
  leads = false,
): Situation {
  return {
    own: { ...OWN, ...own },
    view: { ...VIEW, ...view },
    seen: { absentMs: 0, leadMs: 0, termMs: 0, memberMs: 0, allMembersMs: 0, ...seen },
    times: { stableMs: 1_500, restlessMs: 30_000, takeoverMs: 300_000, leaveMs: 3_600_000, lingerMs: 10_000 },
    leads,
    founders: [ME, OTHER, THIRD],
  };
}

const RESIGNED = { ...DECISION, resigned: "why" };

/** The founder's state, and the move that follows. */
const CASES: readonly (readonly [string, Situation, Move["kind"]])[] = [
  ["nothing decided, nobody leads", situation({}), "campaign"],
  ["another leads", situation({}, { leader: { ...LEADER, key: OTHER } }), "wait"],
  [
    "it leads, of a term that is too young",
    situation({}, { leader: LEADER }, { leadMs: 2_000, termMs: 100 }, true),
    "wait",
  ],
  [
    "it leads for 1.5 s of one term",
    situation({}, { leader: LEADER }, { leadMs: 1_500, termMs: 1_500 }, true),
    "decide",
  ],
  ["it leads for 30 s of any", situation({}, { leader: LEADER }, { leadMs: 30_000, termMs: 0 }, true), "decide"],
  ["it is not ready", situation({ isReady: false }), "wait"],
  ["decided on, with the keys", situation({ prepared: MINE }, { decision: DECISION }), "stage"],
  ["decided on, without the keys", situation({}, { decision: DECISION }), "resign"],
  ["decided on, with the keys of another decision", situation({ prepared: THEIRS }, { decision: DECISION }), "resign"],
  ["staging failed", situation({ prepared: MINE, failure: "why" }, { decision: DECISION }), "resign"],
  ["staged", situation({ prepared: MINE, staged: STAGED }, { decision: DECISION }), "lock"],
  [
    "staged in an earlier epoch",
    situation({ prepared: MINE, staged: { ...STAGED, revision: 6n } }, { decision: DECISION }),
    "stage",
  ],
  ["locked", situation({ lock: INIT_LOCK, staged: STAGED }, { decision: DECISION }), "init"],
  ["founded", situation({ lock: INIT_LOCK, staged: STAGED, founding: "done" }, { decision: DECISION }), "complete"],
  ["founding failed", situation({ lock: INIT_LOCK, staged: STAGED, failure: "why" }, { decision: DECISION }), "resign"],
  ["locked, and resigned", situation({ lock: INIT_LOCK, staged: STAGED }, { decision: RESIGNED }), "superseded"],
  [
    "locked, and another decided on",
    situation({ lock: INIT_LOCK, staged: STAGED }, { decision: BY_OTHER }),
    "superseded",
  ],
  ["locked, and nothing decided", situation({ lock: INIT_LOCK, staged: STAGED }), "superseded"],
  ["locked, and nothing staged", situation({ lock: INIT_LOCK }, { decision: DECISION }), "superseded"],
  ["locked, the own is complete", situation({ lock: INIT_LOCK, staged: STAGED }, { complete: COMPLETE }), "journal"],
  [
    "locked, another is complete",
    situation({ lock: INIT_LOCK, staged: STAGED }, {
      decision: DECISION,
      complete: { ...COMPLETE, clusterId: THEIRS },
    }),
    "superseded",
  ],
  ["complete in the journal", situation({ lock: INIT_LOCK, completed: COMPLETE }), "serve"],
  ["serving", situation({ completed: COMPLETE, isServing: true, isMember: true }, { complete: COMPLETE }), "member"],
  ["fresh, a cluster is complete", situation({}, { decision: BY_OTHER, complete: COMPLETE }), "join"],
  ["fresh, another decided on", situation({}, { decision: BY_OTHER }), "wait"],
  ["fresh, who was decided on resigned", situation({}, { decision: { ...BY_OTHER, resigned: "why" } }), "campaign"],
  ["fresh, who was decided on is absent", situation({}, { decision: BY_OTHER }, { absentMs: 299_999 }), "wait"],
  [
    "fresh, who was decided on is absent for 5 min",
    situation({}, { decision: BY_OTHER }, { absentMs: 300_000 }),
    "campaign",
  ],
  ["its JoinClient won the lock", situation({ lock: JOIN_LOCK }, { decision: DECISION }), "resign"],
  ["it joins", situation({ lock: JOIN_LOCK }, { decision: BY_OTHER, complete: COMPLETE }), "wait"],
  ["it joined", situation({ lock: JOIN_LOCK, isMember: true }, { complete: COMPLETE }), "member"],
  [
    "all are members for 10 s",
    situation({ lock: JOIN_LOCK, isMember: true }, { members: new Set([ME, OTHER, THIRD]) }, { allMembersMs: 10_000 }),
    "leave",
  ],
  ["it is a member for an hour", situation({ lock: JOIN_LOCK, isMember: true }, {}, { memberMs: 3_600_000 }), "leave"],
];

for (const [what, given, kind] of CASES) {
  Deno.test(`nextMove() is "${kind}" when ${what}`, () => equal(nextMove(given).kind, kind));
}

const facts = fc.record<OwnFacts>({
  key: fc.constant(ME),
  lock: fc.constantFrom(undefined, INIT_LOCK, JOIN_LOCK),
  staged: fc.constantFrom(undefined, STAGED, { ...STAGED, revision: 6n }),
  prepared: fc.constantFrom(undefined, MINE, THEIRS),
  isReady: fc.boolean(),
  founding: fc.constantFrom("not-begun", "running", "done"),
  failure: fc.constantFrom(undefined, "why"),
  completed: fc.constantFrom(undefined, COMPLETE),
  isServing: fc.boolean(),
  isMember: fc.boolean(),
});
const view = fc.record({
  raftTerm: fc.constant(2n),
  decision: fc.constantFrom(undefined, DECISION, RESIGNED, BY_OTHER, { ...BY_OTHER, resigned: "why" }),
  complete: fc.constantFrom(undefined, COMPLETE, { ...COMPLETE, clusterId: THEIRS }),
  leader: fc.constantFrom(undefined, LEADER),
  alive: fc.constant(new Set<string>()),
  members: fc.constantFrom(new Set<string>(), new Set([ME, OTHER, THIRD])),
});
const times = fc.record({
  absentMs: fc.constantFrom(0, 300_000),
  leadMs: fc.constantFrom(0, 30_000),
  termMs: fc.constantFrom(0, 30_000),
  memberMs: fc.constantFrom(0, 3_600_000),
  allMembersMs: fc.constantFrom(0, 10_000),
});

Deno.test("nextMove() never breaks a rule that safety rests on, whatever the state", () => {
  fc.assert(
    fc.property(facts, view, times, fc.boolean(), (own, raw, seen, leads) => {
      const { decision, complete, leader, ...rest } = raw;
      const known: DecisionView = {
        ...rest,
        ...(decision === undefined ? {} : { decision }),
        ...(complete === undefined ? {} : { complete }),
        ...(leader === undefined ? {} : { leader }),
      };
      const given = situation(own, known, seen, leads);
      const { kind } = nextMove(given);
      const isMine = decision?.revision === own.staged?.revision && decision?.resigned === undefined;
      if (kind === "serve") equal(own.completed, COMPLETE);
      if (kind === "lock") deepEqual([own.lock, isMine, own.prepared, complete], [undefined, true, MINE, undefined]);
      if (kind === "init" || kind === "complete") deepEqual([own.lock, isMine, complete], [INIT_LOCK, true, undefined]);
      if (kind === "decide") deepEqual([own.lock, own.isReady, leads, complete], [undefined, true, true, undefined]);
      if (kind === "journal") equal(complete?.clusterId, own.staged?.clusterId);
      if (kind === "superseded") deepEqual([own.lock, own.completed], [INIT_LOCK, undefined]);
      if (kind === "leave") equal(mayLeave(given.own, given.seen, given.times), true);
      if (kind === "decide" || kind === "campaign") equal(wantsToLead(given), true);
    }),
    { numRuns: 5_000 },
  );
});
