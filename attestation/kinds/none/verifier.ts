import { refusal } from "../../../protocol/refusal.ts";
import { hex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { ExplainingVerifier } from "../../evidence.ts";
import { INSECURE_IDENTITY_BYTES } from "./issuer.ts";

/**
 * INSECURE, for development: accepts every peer as the machine that it claims to be, and as fresh.
 *
 * Its `verify` throws `refused/variant` for evidence of another variant, and `malformed/evidence` for a payload that is
 * not 32 bytes. It checks nothing else.
 */
export function createInsecureVerifier(): ExplainingVerifier {
  return {
    variant: "none",
    identityIsKey: true,
    verify({ variant, payload }) {
      if (variant !== "none") {
        return Promise.reject(refusal("variant", "The evidence is of another variant", "none", variant));
      }
      if (payload.length !== INSECURE_IDENTITY_BYTES) {
        const message = `Evidence of variant none has ${INSECURE_IDENTITY_BYTES} bytes, not ${payload.length}`;
        return Promise.reject(new BootstrapError("malformed/evidence", message));
      }
      return Promise.resolve({ claims: { variant: "none", identity: hex(payload), fresh: true } });
    },
  };
}
