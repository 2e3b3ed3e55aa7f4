/** Founding among equals by software TPMs alone, with real `bootstrapper run`. */
import { foundByEvidence } from "./_founding_by_evidence.ts";

Deno.test("by evidence alone three machines found, and others know their cluster", (t) => foundByEvidence(t, false));
