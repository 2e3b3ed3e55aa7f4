/**
 * Errors of founding among equals: of the exchange in which founders get to know each other.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const SAME_VERSION = "Check that all founders run the same version. If they do, the peer is not honest.";

/** Founders that do not accept each other, or cannot. */
export const FOUNDING = {
  "unauthorized/founder": {
    meaning: "The peer does not show the founding token of this machine's trust part.",
    remedy:
      "Compare trust.founding.tokenKey and the credential bootstrapper.token of both machines: they must be the same on every founder.",
  },
  "refused/founder-lock": {
    meaning: "A machine that is locked already wants to be a founder.",
    remedy: "Check the machine: it is a member of a cluster. Reset it, or leave it out of the founders.",
  },
  "refused/founding-trust": {
    meaning: "Another founder has another trust part; the field that differs is in the error.",
    remedy: "Give all founders the same trust section in their configurations.",
  },
  "malformed/founder-card": {
    meaning: "A founder's card does not have the required form.",
    remedy: SAME_VERSION,
  },
  "malformed/founder-message": {
    meaning: "A message of the exchange between founders does not have the required form.",
    remedy: SAME_VERSION,
  },
  "protocol/founder-card": {
    meaning: "A founder's card is not newer than the last one, or tells of another founder than its first.",
    remedy: SAME_VERSION,
  },
  "precondition/founder-key": {
    meaning: "This machine has pledged to a roster with a key that it no longer has, or for another address.",
    remedy: "Restore the key and the address. If the key is lost, run `bootstrapper reset` on every founder.",
  },
  "precondition/founders-pledged": {
    meaning: "The founders have pledged to a roster without this machine.",
    remedy: "No action is needed: the machine joins the cluster when it stands.",
    retriable: true,
  },
  "conflict/founder-key": {
    meaning: "Another process uses this founder's key: its disk was cloned, or its program runs twice.",
    remedy: "Switch off one of both machines, and run `bootstrapper reset` there before it starts again.",
    retriable: true,
  },
  "conflict/self-dial": {
    meaning: "A founder has dialled itself: one of the addresses of its peers is its own.",
    remedy: "No action is needed: the address is left alone for a while.",
    retriable: true,
  },
  "unavailable/founder-busy": {
    meaning: "A founder verifies as many peers as it can, or has just made evidence for this one.",
    remedy: "No action is needed: the peer asks again.",
  },
  "aborted/founder-met": {
    meaning: "Another connection to the same founder has replaced this one.",
    remedy: "No action is needed: founders need one connection.",
  },
} as const satisfies ErrorEntries<string>;
