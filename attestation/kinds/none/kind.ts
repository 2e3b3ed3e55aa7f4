import { createFileExclusive, ensureFolder, readFile } from "../../../platform/files.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { type EvidenceKind, lazyVerifier } from "../../kind.ts";
import { createInsecureIdentity, createInsecureIssuer, INSECURE_IDENTITY_BYTES } from "./issuer.ts";

const IDENTITY_FILE = "insecure-identity";

/** INSECURE, for development: evidence that proves nothing. */
export const NONE: EvidenceKind = Object.freeze<EvidenceKind>({
  name: "none",
  isInsecure: true,
  async open(_devices, { stateFolder }) {
    await ensureFolder(stateFolder);
    const path = `${stateFolder}/${IDENTITY_FILE}`;
    await createFileExclusive(path, createInsecureIdentity(), { mode: 0o600 });
    return { issuer: createInsecureIssuer(await readFile(path, INSECURE_IDENTITY_BYTES)) };
  },
  createVerifier: () => lazyVerifier("none", async () => (await import("./verifier.ts")).createInsecureVerifier()),
  facts: () =>
    Promise.reject(new BootstrapError("malformed/evidence", "Evidence of kind none says nothing about its machine")),
});
