/** One thing that kubeadm says of its work. */
export interface KubeadmProgress {
  /** The phase, as kubeadm names it: `certs`, `wait-control-plane`, … */
  readonly phase: string;
  /** What it does. */
  readonly detail: string;
}

/** A preflight check that did not pass. */
export interface FailedCheck {
  /** kubeadm's name of the check, as `Port-6443`. */
  readonly check: string;
  /** Why. */
  readonly reason: string;
}

/** The progress in a line of kubeadm's output of the form `[phase] detail`, if it is one. */
export function parseProgress(line: string): KubeadmProgress | undefined {
  const [, phase, detail] = /^\[([a-z][a-z0-9-]*)\] (.+)$/.exec(line.trimEnd()) ?? [];
  return phase === undefined || detail === undefined ? undefined : { phase, detail };
}

/** The failed checks in the output of kubeadm's preflight; a reason may go over several lines. */
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

/** What a failed run of kubeadm says of itself on standard error: the phase, where it names one, and the reason. */
export function parseFailure(stderr: string): { readonly phase: string; readonly reason: string } {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !/^To see the stack trace/.test(line));
  const named = lines.findLast((line) => /^error: /i.test(line) || /^error execution phase /.test(line));
  const text = named ?? lines.at(-1) ?? "it did not say why";
  const [, phase = "", reason = text] = /^(?:error: )?error execution phase ([^:]+): (.*)$/.exec(text) ?? [];
  return { phase, reason: reason.replace(/^error: /i, "") };
}
