/**
 * `bootstrapper config check`: checks files, each for itself and with each other, and prints what it finds.
 *
 * @module
 */
import type { MachineFacts } from "../../node/configuration_defaults.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import type { DocumentKind } from "../../platform/document_kinds.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { readFile } from "../../platform/files.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { CheckedFile, Finding } from "../document_check.ts";
import { checkDocument } from "../document_check.ts";
import { compareDocuments } from "../document_comparison.ts";
import { kindsOf } from "../kinds.ts";
import { printable, printResult } from "../output.ts";
import { kubeadmFindings } from "./_config_kubeadm.ts";
import { preflightFindings } from "./_config_preflight.ts";

/** The options of `config check`. */
export interface ConfigCheckOptions {
  /** Paths; `-` is standard input. */
  readonly files: readonly string[];
  /** What all files are meant to be. Default: it is recognised. */
  readonly kind?: DocumentKind;
  /** Whether kubeadm reads the cluster documents too, where it is installed. */
  readonly withKubeadm: boolean;
  /** Whether this machine is checked for the cluster document. */
  readonly withPreflight: boolean;
  readonly output: OutputForm;
}

/**
 * Checks files, and prints every problem as `FILE:LINE: KEY: MESSAGE`.
 *
 * @param machine This machine, if it is to be checked for the cluster document.
 * @throws {BootstrapError} `precondition/documents` if there are problems. With `machine`: `precondition/root` for others
 *   than root, `usage/missing-argument` if the files do not say for what.
 */
export async function configCheck(
  options: ConfigCheckOptions,
  context: CliContext,
  machine: MachineFacts | undefined,
): Promise<void> {
  const { files, kind, withKubeadm, output } = options;
  const read: CheckedFile[] = [];
  for (const file of [...new Set(files)]) {
    const bytes = await bytesOf(file, context);
    read.push(
      bytes instanceof Uint8Array ? checkDocument(nameOf(file), bytes, kind, kindsOf(context)) : unread(file, bytes),
    );
  }
  const compared = compareDocuments(read);
  const kubeadm = withKubeadm ? await kubeadmFindings(compared, context) : { files: compared };
  const checked = machine !== undefined ? await preflightFindings(kubeadm.files, machine, context) : kubeadm.files;
  const count = checked.reduce((sum, { problems }) => sum + problems.length, 0);
  const result = { files: checked.map(jsonOf), problems: count, kubeadm: kubeadm.note ?? "not run" };
  printResult(context, output, result, textOf(checked, kubeadm.note));
  if (count === 0) return;
  const wrong = checked.filter(({ problems }) => problems.length > 0).length;
  throw new BootstrapError(
    "precondition/documents",
    `${count} problem${count === 1 ? "" : "s"} in ${wrong} of ${checked.length} file${checked.length === 1 ? "" : "s"}`,
  );
}

const STANDARD_INPUT = "-";

function nameOf(file: string): string {
  return file === STANDARD_INPUT ? "standard input" : file;
}

/** The bytes of a file, or why it cannot be read. */
async function bytesOf(file: string, context: CliContext): Promise<Uint8Array | string> {
  try {
    if (file === STANDARD_INPUT) return await context.readInput(MAXIMUM_DOCUMENT_BYTES);
    if ((await Deno.stat(file).catch(() => undefined))?.isDirectory) return "it is a folder: name the files in it";
    return await readFile(file, MAXIMUM_DOCUMENT_BYTES);
  } catch (error) {
    return asBootstrapError(error).message;
  }
}

function unread(file: string, message: string): CheckedFile {
  return { file: nameOf(file), problems: [{ key: "", message }], remarks: [] };
}

function jsonOf({ file, title, problems, remarks }: CheckedFile): Readonly<Record<string, unknown>> {
  return { file, document: title ?? null, problems, remarks };
}

function textOf(files: readonly CheckedFile[], kubeadm: string | undefined): string {
  const lines = files.flatMap(({ file, title, problems, remarks }) => [
    ...problems.map((finding) => lineOf(file, finding, "")),
    ...remarks.map((finding) => lineOf(file, finding, "remark: ")),
    ...(problems.length === 0 ? [`${file}: ${title ?? "a document"}, without problems`] : []),
  ]);
  return [...lines, ...(kubeadm === undefined ? [] : [`kubeadm: ${kubeadm}`])].join("\n");
}

function lineOf(file: string, { line, key, message }: Finding, mark: string): string {
  const place = line === undefined ? file : `${file}:${line}`;
  return printable(`${place}: ${mark}${key === "" ? "" : `${key}: `}${message}`, Infinity);
}
