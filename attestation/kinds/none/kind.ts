import { sha256 } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { readOrCreateIdentityKey } from "../../../protocol/node_keys.ts";
import { type EvidenceKind, lazyVerifier } from "../../kind.ts";
import { createInsecureIssuer } from "./issuer.ts";

/** INSECURE, for development: evidence that proves nothing. */
export const NONE: EvidenceKind = Object.freeze<EvidenceKind>({
  name: "none",
  isInsecure: true,
  async open(_devices, { stateFolder }) {
    const { spki } = await readOrCreateIdentityKey(stateFolder);
    return { issuer: createInsecureIssuer(await sha256(spki)) };
  },
  createVerifier: () =>
    lazyVerifier(
      { variant: "none", identityIsKey: true },
      async () => (await import("./verifier.ts")).createInsecureVerifier(),
    ),
  facts: () =>
    Promise.reject(new BootstrapError("malformed/evidence", "Evidence of kind none says nothing about its machine")),
});
