/**
 * The API server's AuthorizationConfiguration (`apiserver.config.k8s.io/v1`), which holds the cut list: nodes whose
 * requests are denied before any other authorizer sees them.
 *
 * The cut list is the match condition of a webhook authorizer with `failurePolicy: Deny`. Nothing listens behind the
 * webhook, and its kubeconfig trusts only a certificate whose key no longer exists, so that no program can answer
 * "allowed". A request that matches ends as denied; all others go on to Node and RBAC, and cost nothing.
 *
 * API servers read the file again when it changes. They keep what they have if it does not load, and do not start with
 * it. Therefore everything is checked before it is written.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { stringify } from "yaml";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { writePem } from "../certificate/pem.ts";
import { admissionGroup, admissionUidOf, epochGroup, epochOf, isEpoch, isUid } from "../certificate/subjects.ts";
import { base64, equalBytes, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readYaml } from "../platform/yaml.ts";

/** What API servers of the cluster refuse. */
export interface CutState {
  /** The accepted epochs, ascending. A node certificate of none of them is refused. */
  readonly epochs: readonly number[];
  /** The UIDs of the admissions that are cut off, ascending. */
  readonly cut: readonly string[];
}

/** The folder on control planes. API servers mount it, so that they see files that are renamed into it. */
export const AUTHORIZATION_FOLDER = "/etc/kubernetes/bootstrapper";
/** The file that `--authorization-config` names, in {@linkcode AUTHORIZATION_FOLDER}. */
export const AUTHORIZATION_FILE = "authorization.yaml";
const WEBHOOK_FILE = "cut-list.kubeconfig";

/**
 * An API server loads an expression of a thousand UIDs, and refuses one of five thousand as too large (1.36.3). Before
 * this number, the epoch is raised and the list emptied.
 */
export const MOST_CUT = 999;
/** The current epoch and the next one, and those before that are still accepted. */
export const MOST_EPOCHS = 16;
const MAXIMUM_BYTES = 128 << 10;

/**
 * Writes the configuration for a state, if the folder does not have it yet: atomically, and only if the text, read
 * back, has exactly that state.
 *
 * @param folder Where to write. It is created if it is missing.
 * @param state What to refuse.
 * @param mountedAt The folder's path as the API server sees it.
 * @returns Whether the file changed.
 * @throws {BootstrapError} `malformed/cut-list` with field and value, if an API server could not load the state;
 *   `system/file`. The old file is then unchanged.
 */
export async function writeAuthorizationConfiguration(
  folder: string,
  state: CutState,
  mountedAt: string = AUTHORIZATION_FOLDER,
): Promise<boolean> {
  checkState(state);
  const text = authorizationConfiguration(state, mountedAt);
  const read = readAuthorizationConfiguration(text);
  if (JSON.stringify(read) !== JSON.stringify({ epochs: state.epochs, cut: state.cut })) {
    throw malformed("expression", text.length, "does not read back as it was written");
  }
  await ensureFolder(folder);
  await ensureWebhookKubeconfig(join(folder, WEBHOOK_FILE));
  const path = join(folder, AUTHORIZATION_FILE);
  const before = await readFileIfExists(path, MAXIMUM_BYTES).catch(() => undefined);
  if (before !== undefined && equalBytes(before, utf8(text))) return false;
  await writeFileAtomic(path, utf8(text), { mode: 0o644 });
  return true;
}

/**
 * Reads the state in a folder's file; `undefined` if there is none.
 *
 * @throws {BootstrapError} `malformed/cut-list`, `malformed/size`, `system/file`.
 */
export async function readCutState(folder: string): Promise<CutState | undefined> {
  const bytes = await readFileIfExists(join(folder, AUTHORIZATION_FILE), MAXIMUM_BYTES);
  if (bytes === undefined) return undefined;
  return readAuthorizationConfiguration(fromUtf8(bytes, AUTHORIZATION_FILE));
}

function checkState({ epochs, cut }: CutState): void {
  checkAscending("epochs", epochs, isEpoch);
  checkAscending("cut", cut, isUid);
  if (epochs.length === 0 || epochs.length > MOST_EPOCHS) {
    throw unusable(
      "epochs",
      epochs.length,
      `The cut list accepts ${epochs.length} epochs; it must be 1 to ${MOST_EPOCHS}`,
    );
  }
  if (cut.length > MOST_CUT) {
    throw unusable("cut", cut.length, `The cut list has ${cut.length} entries; API servers load at most ${MOST_CUT}`);
  }
}

function checkAscending<T extends string | number>(
  field: string,
  values: readonly T[],
  isGood: (value: T) => boolean,
): void {
  for (const [index, value] of values.entries()) {
    if (!isGood(value)) throw malformed(field, value, "has an entry of the wrong form");
    const before = values[index - 1];
    if (before !== undefined && before >= value) throw malformed(field, value, "is not ascending");
  }
}

function malformed(field: string, value: unknown, problem: string): BootstrapError {
  return unusable(field, value, `Cannot use the cut list as "${field}" ${problem}: ${value}`);
}

function unusable(field: string, value: unknown, message: string): BootstrapError {
  return new BootstrapError("malformed/cut-list", message, { details: { field, value: String(value) } });
}

const ONLY_NODES = "'system:nodes' in request.groups";

/** CEL. All entries are numbers or UIDs, so nothing needs to be escaped. */
function refusedExpression({ epochs, cut }: CutState): string {
  const among = (groups: readonly string[]) =>
    `request.groups.exists(g, g in [${groups.map((group) => `'${group}'`).join(", ")}])`;
  const isOfNoEpoch = `!${among(epochs.map(epochGroup))}`;
  return cut.length === 0 ? isOfNoEpoch : `${isOfNoEpoch} || ${among(cut.map(admissionGroup))}`;
}

/** The text of the configuration for a state, which must be checked. */
export function authorizationConfiguration(state: CutState, mountedAt: string = AUTHORIZATION_FOLDER): string {
  const kubeConfigFile = join(mountedAt, WEBHOOK_FILE);
  const head = "# Written by bootstrapper's join service, which replaces every change of another program.\n";
  return head + stringify(configuration(state, kubeConfigFile), { lineWidth: 0 });
}

function configuration(state: CutState, kubeConfigFile: string): unknown {
  return {
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "AuthorizationConfiguration",
    authorizers: [
      {
        type: "Webhook",
        name: "cut-list",
        webhook: {
          authorizedTTL: "1s",
          unauthorizedTTL: "1s",
          timeout: "1s",
          subjectAccessReviewVersion: "v1",
          matchConditionSubjectAccessReviewVersion: "v1",
          failurePolicy: "Deny",
          connectionInfo: { type: "KubeConfigFile", kubeConfigFile },
          matchConditions: [{ expression: ONLY_NODES }, { expression: refusedExpression(state) }],
        },
      },
      { type: "Node", name: "node" },
      { type: "RBAC", name: "rbac" },
    ],
  };
}

const configurationSchema = v.strictObject({
  apiVersion: v.literal("apiserver.config.k8s.io/v1"),
  kind: v.literal("AuthorizationConfiguration"),
  authorizers: v.strictTuple([
    v.strictObject({
      type: v.literal("Webhook"),
      name: v.literal("cut-list"),
      webhook: v.strictObject({
        authorizedTTL: v.literal("1s"),
        unauthorizedTTL: v.literal("1s"),
        timeout: v.literal("1s"),
        subjectAccessReviewVersion: v.literal("v1"),
        matchConditionSubjectAccessReviewVersion: v.literal("v1"),
        failurePolicy: v.literal("Deny"),
        connectionInfo: v.strictObject({ type: v.literal("KubeConfigFile"), kubeConfigFile: v.string() }),
        matchConditions: v.strictTuple([
          v.strictObject({ expression: v.literal(ONLY_NODES) }),
          v.strictObject({ expression: v.string() }),
        ]),
      }),
    }),
    v.strictObject({ type: v.literal("Node"), name: v.literal("node") }),
    v.strictObject({ type: v.literal("RBAC"), name: v.literal("rbac") }),
  ]),
});

/** A string of CEL. */
const GROUP_ENTRY = /'([^']*)'/g;

/**
 * Reads the state of a configuration that {@linkcode writeAuthorizationConfiguration} wrote. It accepts no other form.
 *
 * @throws {BootstrapError} `malformed/cut-list`, with the field.
 */
export function readAuthorizationConfiguration(text: string): CutState {
  if (text.length > MAXIMUM_BYTES) throw malformed("size", text.length, `is larger than ${MAXIMUM_BYTES} bytes`);
  let value: unknown;
  try {
    value = readYaml(text);
  } catch (cause) {
    throw new BootstrapError("malformed/cut-list", "Cannot read the cut list as YAML", { cause });
  }
  const result = v.safeParse(configurationSchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw malformed(v.getDotPath(issue) ?? "authorizers", issue.received, "has another value than it must have");
  }
  const [, { expression }] = result.output.authorizers[0].webhook.matchConditions;
  const groups = [...expression.matchAll(GROUP_ENTRY)].map(([, group = ""]) => group);
  const state = {
    epochs: groups.flatMap((group) => epochOf(group) ?? []),
    cut: groups.flatMap((group) => admissionUidOf(group) ?? []),
  };
  checkState(state);
  // Only the writer's own form: what the entries leave of the expression must be nothing else than what it adds.
  if (refusedExpression(state) !== expression) {
    throw malformed("expression", expression.slice(0, 80), "is of another form");
  }
  return state;
}

const kubeconfigSchema = v.looseObject({
  clusters: v.strictTuple([v.looseObject({
    cluster: v.strictObject({ server: v.string(), "certificate-authority-data": v.pipe(v.string(), v.minLength(1)) }),
  })]),
});

/** Nothing may listen on this port, and what does cannot show the certificate. */
const NOBODY = "https://127.0.0.1:1";
const KUBECONFIG_MAXIMUM_BYTES = 16 << 10;

/** Writes the webhook's kubeconfig if there is none: API servers read it only when they load the configuration. */
async function ensureWebhookKubeconfig(path: string): Promise<void> {
  const before = await readFileIfExists(path, KUBECONFIG_MAXIMUM_BYTES).catch(() => undefined);
  if (before !== undefined && isWebhookKubeconfig(before)) return;
  const { certificate } = await createCertificateAuthority(new Date());
  const name = "nobody";
  const text = stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{
      name,
      cluster: {
        server: NOBODY,
        "certificate-authority-data": base64(utf8(writePem("CERTIFICATE", certificate.der))),
      },
    }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  }, { lineWidth: 0 });
  await writeFileAtomic(path, utf8(text), { mode: 0o644 });
}

function isWebhookKubeconfig(bytes: Uint8Array): boolean {
  try {
    const { output, success } = v.safeParse(kubeconfigSchema, readYaml(fromUtf8(bytes, "kubeconfig")));
    return success && output.clusters[0].cluster.server === NOBODY;
  } catch {
    return false;
  }
}
