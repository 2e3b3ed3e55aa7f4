/**
 * The public CAs that Deno includes. Only clients that fetch documents believe them: the program's own store is empty.
 *
 * @module
 */
import { rootCertificates } from "node:tls";

let kept: readonly string[] | undefined;

/**
 * Keeps the list for later. Deno shows it only to a program with the permission `sys`, which commands give up before
 * they read an untrusted byte.
 */
export function keepPublicCas(): void {
  kept = [...rootCertificates];
}

/** The certificates, PEM. Without {@linkcode keepPublicCas} they take the permission `sys`. */
export function publicCas(): readonly string[] {
  return kept ?? rootCertificates;
}
