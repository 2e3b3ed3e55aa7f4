/**
 * `bootstrapper config new`: writes a document to begin with, after the reader of its kind has taken it.
 *
 * @module
 */
import { readOperatorKey } from "../../certificate/operator_key.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import { readNewClusterSettings } from "../../kubernetes/new_cluster.ts";
import { readNewNodeConfiguration } from "../../node/configuration.ts";
import { utf8 } from "../../platform/bytes.ts";
import { DocumentError, documentText, MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createFileExclusive, exists, readFile } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import { findingOf } from "../document_check.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { kindsOf } from "../kinds.ts";
import { printResult } from "../output.ts";
import type { NewDocument, NewDocumentRole } from "./new_documents.ts";
import { NEW_DOCUMENT_ROLES, newDocument } from "./new_documents.ts";

export type { NewDocumentRole } from "./new_documents.ts";

/** The options of `config new`. */
export interface ConfigNewOptions extends Omit<NewDocument, "role" | "operatorKeys" | "policy"> {
  /** Default: the terminal is asked. */
  readonly role?: NewDocumentRole;
  /** Files of public keys, or the keys themselves. */
  readonly operatorKeys: readonly string[];
  readonly policyFile?: string;
  /** Default: standard output. */
  readonly file?: string;
  readonly output: OutputForm;
}

const PUBLIC = { mode: 0o644 };

/**
 * Writes a document.
 *
 * @throws {BootstrapError} `usage/missing-mandatory-option-value` with all that is missing, `usage/invalid-argument` for what
 *   the reader of the document refuses, `usage/operator-key`, `precondition/file-exists`, `system/file`.
 */
export async function configNew(options: ConfigNewOptions, context: CliContext): Promise<void> {
  const { file, output } = options;
  if (file !== undefined && await exists(file)) throw existsError(file);
  const document = await documentOf(await completed(options, context));
  const text = newDocument(document, kindsOf(context));
  check(document.role, text, kindsOf(context));
  if (file !== undefined && !await createFileExclusive(file, utf8(text), PUBLIC)) throw existsError(file);
  const result = { role: document.role, ...present("file", file), document: text };
  printResult(context, output, result, file === undefined ? text : `Wrote ${file}.`);
  if (output === "text" && file !== undefined) {
    context.printError(
      `Its comments say what else can be set. Check changes with \`bootstrapper config check ${file}\`.\n`,
    );
  }
}

/** A question for each option that cannot be left out, in the order in which they are asked. */
interface Question {
  readonly option: string;
  readonly text: string;
  readonly isMissing: (options: ConfigNewOptions) => boolean;
  readonly answered: (options: ConfigNewOptions, answer: string) => ConfigNewOptions;
}

const isNode = ({ role }: ConfigNewOptions) => role !== undefined && role !== "cluster";
const QUESTIONS: readonly Question[] = [
  {
    option: "--role",
    text: `What is it for: ${NEW_DOCUMENT_ROLES.join(", ")}?`,
    isMissing: ({ role }) => role === undefined,
    answered(options, answer) {
      const role = NEW_DOCUMENT_ROLES.find((one) => one === answer);
      if (role !== undefined) return { ...options, role };
      throw invalid(`--role: ${JSON.stringify(answer)} is none of ${NEW_DOCUMENT_ROLES.join(", ")}`);
    },
  },
  {
    option: "--name",
    text: "The cluster's name?",
    isMissing: (options) => isNode(options) && options.clusterName === undefined,
    answered: (options, clusterName) => ({ ...options, clusterName }),
  },
  {
    option: "--operator-key",
    text: "The file of an operator's public key, or the key itself, as `bootstrapper keygen` prints it?",
    isMissing: (options) =>
      isNode(options) && options.role !== "founder" && options.clusterId === undefined &&
      options.operatorKeys.length === 0,
    answered: (options, key) => ({ ...options, operatorKeys: [key] }),
  },
  {
    option: "--endpoint",
    text: "The join services of the cluster (worker), or all founders, with spaces between them?",
    isMissing: ({ role, endpoints }) => (role === "worker" || role === "founder") && endpoints.length === 0,
    answered: (options, answer) => ({ ...options, endpoints: answer.split(/[\s,]+/).filter((one) => one !== "") }),
  },
  {
    option: "--token-key (or --policy)",
    text: "The token key that `bootstrapper token new --founding` prints?",
    isMissing: ({ role, tokenKey, policyFile }) =>
      role === "founder" && tokenKey === undefined && policyFile === undefined,
    answered: (options, tokenKey) => ({ ...options, tokenKey }),
  },
];

/** Asks for what is missing, where somebody can be asked. */
async function completed(
  options: ConfigNewOptions,
  { terminal }: Pick<CliContext, "terminal">,
): Promise<ConfigNewOptions> {
  let answered = options;
  const missing: string[] = [];
  for (const question of QUESTIONS) {
    if (!question.isMissing(answered)) continue;
    if (terminal.canAsk) answered = question.answered(answered, await terminal.ask(question.text));
    else missing.push(question.option);
  }
  if (missing.length === 0) return answered;
  throw new BootstrapError(
    "usage/missing-mandatory-option-value",
    `Cannot write a document without ${missing.join(", ")}, and there is no terminal to ask at`,
    { next: "Give them; `bootstrapper config new --help` has examples" },
  );
}

async function documentOf(options: ConfigNewOptions): Promise<NewDocument> {
  const { role, operatorKeys, policyFile, file: _file, output: _output, ...rest } = options;
  if (role === undefined) throw new BootstrapError("internal/option", 'The option "role" has no value');
  return {
    ...rest,
    role,
    operatorKeys: await Promise.all(operatorKeys.map(operatorKeyOf)),
    ...present("policy", policyFile === undefined ? undefined : await textOf(policyFile)),
  };
}

async function textOf(file: string): Promise<string> {
  return documentText(await readFile(file, MAXIMUM_DOCUMENT_BYTES), file);
}

/** An operator's public key: the text itself, or that of a file. */
async function operatorKeyOf(given: string): Promise<string> {
  const text = /^(?:ssh-|-----BEGIN )/.test(given) ? given : (await textOf(given)).trim();
  if (/PRIVATE KEY/.test(text)) {
    throw new BootstrapError("usage/operator-key", "Cannot use a private key as --operator-key", {
      next: "Give the public key: the line that `bootstrapper keygen` printed, or a file with it",
    });
  }
  readOperatorKey(text, "--operator-key");
  return text;
}

/** The options from which the keys of a document come. */
const OPTIONS: readonly (readonly [key: RegExp, option: string])[] = [
  [/^trust\.clusterName/, "--name"],
  [/^trust\.clusterId/, "--cluster-id"],
  [/^trust\.operatorKeys/, "--operator-key"],
  [/^trust\.founding\.tokenKey/, "--token-key"],
  [/^trust\.founding\.policy/, "--policy"],
  [/^trust\.founding\.size|^join\.endpoints|^founding\.peers|^controlPlaneEndpoint/, "--endpoint"],
  [/^evidence/, "--variant"],
  [/kubernetesVersion$/, "--kubernetes-version"],
  [/podSubnet$/, "--pod-subnet"],
  [/serviceSubnet$/, "--service-subnet"],
];

/** Has the reader of the document take it, so that a wrong option is refused before anything is written. */
function check(role: NewDocumentRole, text: string, kinds: readonly EvidenceKind[]): void {
  try {
    if (role === "cluster") readNewClusterSettings(text, "the new document");
    else readNewNodeConfiguration(text, "the new document", kinds);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    const reasons = error.problems.map(findingOf).map(({ key, message }) => {
      const option = OPTIONS.find(([pattern]) => pattern.test(key))?.[1];
      return option === undefined ? `${key}: ${message}` : `${option}: ${message}`;
    });
    throw invalid(reasons.join("; "));
  }
}

function invalid(reason: string): BootstrapError {
  return new BootstrapError("usage/invalid-argument", `Cannot write a document with these options: ${reason}`, {
    next: "Correct the options, and run the command again",
  });
}

function existsError(file: string): BootstrapError {
  return new BootstrapError("precondition/file-exists", `Cannot write a document to ${file} as it exists`, {
    next: "Choose another name, or move the file away: it is never overwritten",
    details: { path: file },
  });
}
