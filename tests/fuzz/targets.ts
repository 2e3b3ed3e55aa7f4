/**
 * All fuzz targets: the code that reads bytes from untrusted sources.
 *
 * @module
 */
import { answerTargets } from "./targets/answers.ts";
import { certificateTargets } from "./targets/certificates.ts";
import { confidentialTargets } from "./targets/confidential.ts";
import { documentTargets } from "./targets/documents.ts";
import { exchangeTargets } from "./targets/exchanges.ts";
import { fileTargets } from "./targets/files.ts";
import { foundedTargets } from "./targets/founded.ts";
import { foundingTargets } from "./targets/founding.ts";
import { foundingFileTargets } from "./targets/founding_files.ts";
import { imageTargets } from "./targets/images.ts";
import { messageTargets } from "./targets/messages.ts";
import { relayTargets } from "./targets/relay.ts";
import { tpmTargets } from "./targets/tpm.ts";
import type { FuzzTarget } from "./target.ts";

/** The targets. Those that an unauthenticated peer reaches over the network come first. */
export const TARGETS: readonly FuzzTarget[] = [
  ...messageTargets,
  ...exchangeTargets,
  ...foundedTargets,
  ...foundingTargets,
  ...foundingFileTargets,
  ...relayTargets,
  ...certificateTargets,
  ...tpmTargets,
  ...confidentialTargets,
  ...imageTargets,
  ...documentTargets,
  ...answerTargets,
  ...fileTargets,
];
