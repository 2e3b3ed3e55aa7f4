/**
 * Everything that reads bytes which somebody else wrote.
 *
 * @module
 */
import { answerTargets } from "./targets/answers.ts";
import { certificateTargets } from "./targets/certificates.ts";
import { confidentialTargets } from "./targets/confidential.ts";
import { documentTargets } from "./targets/documents.ts";
import { exchangeTargets } from "./targets/exchanges.ts";
import { fileTargets } from "./targets/files.ts";
import { imageTargets } from "./targets/images.ts";
import { messageTargets } from "./targets/messages.ts";
import { tpmTargets } from "./targets/tpm.ts";
import type { FuzzTarget } from "./target.ts";

/** The targets, those that a stranger reaches over the network first. */
export const TARGETS: readonly FuzzTarget[] = [
  ...messageTargets,
  ...exchangeTargets,
  ...certificateTargets,
  ...tpmTargets,
  ...confidentialTargets,
  ...imageTargets,
  ...documentTargets,
  ...answerTargets,
  ...fileTargets,
];
