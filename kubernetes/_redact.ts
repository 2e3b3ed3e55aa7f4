const REDACTED = "[redacted]";

/** Bootstrap tokens: `[a-z0-9]{6}.[a-z0-9]{16}` (Kubernetes, "Authenticating with Bootstrap Tokens"). */
const BOOTSTRAP_TOKEN = /(?<![a-z0-9])[a-z0-9]{6}\.[a-z0-9]{16}(?![a-z0-9])/g;
/** kubeadm's certificate keys: 32 bytes in hexadecimal. Digests have the prefix `sha256:` and are public. */
const CERTIFICATE_KEY = /(?<!sha256:)(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])/g;
const KEY_DATA = /(client-key-data:\s*)\S+/g;
const PEM_BEGIN = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;
const PEM_END = /-----END [A-Z ]*PRIVATE KEY-----/;

/**
 * Makes a function that redacts secrets in a program's output, line by line in order: bootstrap tokens, certificate
 * keys, and private keys in PEM (also over many lines) and in kubeconfigs.
 */
export function createRedactor(): (line: string) => string {
  let insideKey = false;
  return (line) => {
    const begin = insideKey ? 0 : line.search(PEM_BEGIN);
    if (begin < 0) {
      return line.replace(BOOTSTRAP_TOKEN, REDACTED).replace(CERTIFICATE_KEY, REDACTED).replace(
        KEY_DATA,
        `$1${REDACTED}`,
      );
    }
    insideKey = !PEM_END.test(line);
    return line.slice(0, begin).replace(BOOTSTRAP_TOKEN, REDACTED).replace(CERTIFICATE_KEY, REDACTED) + REDACTED;
  };
}

/** Redacts a whole text like {@linkcode createRedactor}. */
export function redact(text: string): string {
  return text.split("\n").map(createRedactor()).join("\n");
}
