/** One progress message of kubeadm. */
export interface KubeadmProgress {
  /** The phase in kubeadm's words: `certs`, `wait-control-plane`, … */
  readonly phase: string;
  /** The message. */
  readonly detail: string;
}

/** A failed preflight check. */
export interface FailedCheck {
  /** kubeadm's name of the check, such as `Port-6443`. */
  readonly check: string;
  /** The reason of the failure. */
  readonly reason: string;
}

/** Parses a line of kubeadm's output of the form `[phase] detail`. Returns `undefined` for other lines. */
export function parseProgress(line: string): KubeadmProgress | undefined {
  const [, phase, detail] = /^\[([a-z][a-z0-9-]*)\] (.+)$/.exec(line.trimEnd()) ?? [];
  return phase === undefined || detail === undefined ? undefined : { phase, detail };
}

/**
 * Parses a warning: of a preflight check (`\t[WARNING Swap]: swap is on`), or of klog
 * (`W1121 05:00:00.000000       1 x.go:9] no containerd`). Returns `undefined` for other lines.
 */
export function parseWarning(line: string): string | undefined {
  const [, check, reason] = /^\s*\[WARNING ([^\]]+)\]: (.+)$/.exec(line.trimEnd()) ?? [];
  if (check !== undefined && reason !== undefined) return `${check}: ${reason}`;
  return /^W\d{4} \d{2}:\d{2}:\d{2}\.\d+ +\d+ [^\]]+\] (.+)$/.exec(line.trimEnd())?.[1];
}

/** Parses the failed checks in the output of kubeadm's preflight. A reason may span several lines. */
export function parseFailedChecks(output: string): FailedCheck[] {
  const failed: FailedCheck[] = [];
  for (const line of output.split("\n")) {
    const [, check, reason] = /^\t\[ERROR ([^\]]+)\]: (.*)$/.exec(line) ?? [];
    const last = failed.at(-1);
    if (check !== undefined && reason !== undefined) failed.push({ check, reason });
    else if (/^\[|^\t\[WARNING /.test(line)) {
      if (last !== undefined) break;
    } else if (last !== undefined && line.trim() !== "") {
      failed[failed.length - 1] = { check: last.check, reason: `${last.reason} ${line.trim()}` };
    }
  }
  return failed;
}

/** Parses the standard error of a failed run of kubeadm: the phase, if it names one, and the reason. */
export function parseFailure(stderr: string): { readonly phase: string; readonly reason: string } {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !/^To see the stack trace/.test(line));
  const named = lines.findLast((line) => /^error: /i.test(line) || /^error execution phase /.test(line));
  const text = named ?? lines.at(-1) ?? "it gave no reason";
  const [, phase = "", reason = text] = /^(?:error: )?error execution phase ([^:]+): (.*)$/.exec(text) ?? [];
  return { phase, reason: reason.replace(/^error: /i, "") };
}
