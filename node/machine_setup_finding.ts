/**
 * What a machine lacks, and what mends it.
 *
 * @module
 */

/** The arguments of a program, itself first. */
export type Argv = readonly [string, ...string[]];

/** A change of a machine. */
export type SetupAction =
  /** Installs packages of Debian's, from the sources that the machine has. */
  | { readonly kind: "packages"; readonly names: readonly string[] }
  /** Writes a file. */
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  /** Sets a value of the kernel until the next boot. */
  | { readonly kind: "sysctl"; readonly name: string; readonly value: string }
  /** Runs a program; `undo` runs when the change is taken back. */
  | { readonly kind: "run"; readonly argv: Argv; readonly undo?: Argv }
  /** Does nothing now, and runs a program after the changes that follow were taken back. */
  | { readonly kind: "afterUndo"; readonly argv: Argv };

/** Something that the machine lacks. */
export interface SetupFinding {
  /** What is missing; stable within a version, such as `program-kubeadm`. */
  readonly check: string;
  /** What is missing, as a sentence without a final full stop. */
  readonly what: string;
  /** Why it is needed, as a sentence without a final full stop. */
  readonly why: string;
  /** What mends it, in order; empty if only a person can. */
  readonly actions: readonly SetupAction[];
  /** What a person has to do where there are no actions, as lines for a shell. */
  readonly advice?: readonly string[];
}

/** Returns what mends a finding as lines to run in a shell as root, in order. Files of several lines are one remark. */
export function shellLines({ actions, advice = [] }: Pick<SetupFinding, "actions" | "advice">): readonly string[] {
  const long = actions.filter((action) => action.kind === "file" && !isOneLine(action.text));
  const [first] = long;
  return [
    ...actions.flatMap((action) => {
      if (action.kind === "afterUndo" || (long.includes(action) && action !== first)) return [];
      return action === first && long.length > 1
        ? [`# ${long.length} files: \`bootstrapper machine setup --apply\` writes them`]
        : [shellLine(action)];
    }),
    ...advice,
  ];
}

function isOneLine(text: string): boolean {
  return /^[^\n]*\n$/.test(text);
}

/** Returns an action as a line for a shell. A file of several lines is a remark. */
export function shellLine(action: SetupAction): string {
  switch (action.kind) {
    case "packages":
      return `apt-get install -y ${action.names.join(" ")}`;
    case "file":
      return isOneLine(action.text)
        ? `echo ${quoted(action.text.slice(0, -1))} > ${action.path}`
        : `# ${action.path}: \`bootstrapper machine setup --apply\` writes it`;
    case "sysctl":
      return `sysctl -w ${action.name}=${action.value}`;
    case "afterUndo":
    case "run":
      return action.argv.map(quoted).join(" ");
  }
}

function quoted(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
