const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a text is an RFC 1123 label, the format of cluster and node names. */
export function isLabel(text: string): boolean {
  return LABEL.test(text);
}
