/** Founding among equals by software TPMs and a token, with real `bootstrapper run`. */
import { foundByEvidence } from "./_founding_by_evidence.ts";

Deno.test("by evidence and a token three machines found, and others know their cluster", (t) =>
  foundByEvidence(t, true));
