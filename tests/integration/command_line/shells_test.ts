/** The real shells complete each command, each option and each value that the commands declare. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describeCommands, describeFamilies } from "../../../cli/command_description.ts";
import { COMMANDS } from "../../../cli/commands.ts";
import { completionScript } from "../../../cli/programs/completion.ts";

const commands = describeCommands(COMMANDS);
const families = describeFamilies(commands);

/** A command line up to the cursor, and the words that a shell must offer there. */
interface Case {
  readonly words: readonly string[];
  readonly offered: readonly string[];
}

const wordsOf = (name: string) => ["bootstrapper", ...name.split(" ").filter((word) => word !== "")];
const cases: readonly Case[] = [
  ...families.map(({ name, members }) => ({
    words: [...wordsOf(name), ""],
    offered: members.map(({ word }) => word),
  })),
  ...commands.map(({ name, options }) => ({
    words: [...wordsOf(name), "--"],
    offered: options.map(({ long }) => long),
  })),
  ...commands.flatMap(({ name, options, arguments: [first] }) => [
    ...options.flatMap(({ long, value }) =>
      value === undefined || value.choices.length === 0
        ? []
        : [{ words: [...wordsOf(name), long, ""], offered: value.choices }]
    ),
    ...first === undefined || first.choices.length === 0
      ? []
      : [{ words: [...wordsOf(name), ""], offered: first.choices }],
  ]),
  { words: ["bootstrapper", "init", "host", "--key", "KEY"], offered: ["KEYFILE"] },
  { words: ["bootstrapper", "init", "host", "--records", "REC"], offered: ["RECORDS"] },
  { words: ["bootstrapper", "init", "host", "--key", "KEYFILE", "--poli"], offered: ["--policy"] },
  { words: ["bootstrapper", "verify", "KEY"], offered: ["KEYFILE"] },
];

/** Runs a shell in a folder that has a file, a folder and the scripts. Returns what it printed. */
async function run(script: (folder: string) => Promise<readonly string[]>): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(folder, "KEYFILE"), "");
    await Deno.mkdir(join(folder, "RECORDS"));
    for (const shell of ["bash", "zsh", "fish"] as const) {
      await Deno.writeTextFile(join(folder, `script.${shell}`), completionScript(shell, commands));
    }
    const [program = "", ...args] = await script(folder);
    const env = { HOME: folder, XDG_DATA_HOME: folder, TERM: "xterm", LC_ALL: "C.UTF-8" };
    const { code, stdout, stderr } = await new Deno.Command(program, { args, env, cwd: folder }).output();
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 0, said);
    assert.equal(said, "");
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Checks the offers, which stand in the output after a line `== N` for each case. */
function assertOffered(output: string, separator: RegExp): void {
  const parts = output.split(/^== \d+\r?$/m).slice(1);
  assert.equal(parts.length, cases.length, output);
  for (const [index, { words, offered }] of cases.entries()) {
    const seen = new Set((parts[index] ?? "").split(separator));
    assert.deepEqual(offered.filter((word) => !seen.has(word)), [], `${words.join(" ")}: ${[...seen].join(" ")}`);
  }
}

const quoted = (word: string) => `'${word}'`;

Deno.test("bash completes each command, option and value, as bash-completion loads the script", async () => {
  const lines = cases.map(({ words }, index) => `try ${index} ${words.map(quoted).join(" ")}`);
  const output = await run(async (folder) => {
    const loaded = join(folder, "bash-completion/completions");
    await Deno.mkdir(loaded, { recursive: true });
    await Deno.rename(join(folder, "script.bash"), join(loaded, "bootstrapper"));
    const text = `
      source /usr/share/bash-completion/bash_completion
      _completion_loader bootstrapper
      [[ $(complete -p bootstrapper) == "complete -F _bootstrapper bootstrapper" ]] || exit 1
      try() {
        echo "== $1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _bootstrapper
        printf '%s\\n' "\${COMPREPLY[@]}"
      }
      ${lines.join("\n")}
      try 999 bootstrapper status --output = y
    `;
    return ["bash", "--norc", "-c", text];
  });
  const [all = "", equals] = output.split("== 999\n");
  assertOffered(all, /\s+/);
  assert.equal(equals, "yaml\n");
});

Deno.test("fish completes each command, option and value", async () => {
  const lines = cases.map(({ words }, index) => `echo "== ${index}"; complete -C ${quoted(words.join(" "))}`);
  const output = await run(() =>
    Promise.resolve(["fish", "--no-config", "-c", `source script.fish\n${lines.join("\n")}`])
  );
  assertOffered(output.replaceAll(/\t.*$/gm, "").replaceAll(/\/$/gm, ""), /\s+/);
});

Deno.test("zsh completes each command, option and value, at a terminal", async () => {
  // What is typed is taken back before the next line: Ctrl-U. The widget prints its mark when zsh has shown the list.
  const lines = cases.map(({ words }, index) => `try ${index} ${quoted(words.join(" "))}`);
  const output = await run(async (folder) => {
    const script = `
      zmodload zsh/zpty
      zpty terminal 'zsh -f -i'
      zpty -w terminal 'PS1="" RPS1=""; unsetopt zle_bracketed_paste prompt_sp; autoload -Uz compinit; compinit -u -d ./dump'
      zpty -w terminal 'source ./script.zsh; LISTMAX=100000; stty columns 200 rows 2000'
      zpty -w terminal 'probe() { zle list-choices; zle -R; print -r -- "<""<listed>>" }; zle -N probe; bindkey "^T" probe; echo re""ady'
      zpty -r -m terminal line '*ready*'
      try() {
        zpty -w -n terminal "$2"$'\\x14'
        zpty -r -m terminal line '*<<listed>>*' || exit 1
        print -r -- "== $1"; print -r -- "$line"
        zpty -w -n terminal $'\\x15'
      }
      ${lines.join("\n")}
      zpty -d terminal
    `;
    await Deno.writeTextFile(join(folder, "test.zsh"), script);
    return ["zsh", "-f", "test.zsh"];
  });
  // deno-lint-ignore no-control-regex -- what steers the terminal is left out
  const plain = output.replaceAll(/\u001b\[[\d;?]*[A-Za-z]/g, " ");
  assertOffered(plain, /[\s/]+/);
});
