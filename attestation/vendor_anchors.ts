/**
 * What everything rests on that vendors sign.
 *
 * @module
 */
import type { Certificate } from "../certificate/x509.ts";
import type { AmdAnchor } from "./kinds/snp/amd_roots.ts";

/** What is trusted; the vendors' own roots, which are built in, unless a test says otherwise. */
export interface VendorAnchors {
  /** AMD's roots. */
  readonly amd?: readonly AmdAnchor[];
  /** Intel's root. */
  readonly intel?: Certificate;
}
