/**
 * The completion for bash. It needs nothing but bash.
 *
 * @module
 */
import type { CommandDescription, ValueDescription } from "../command_description.ts";
import { describeFamilies } from "../command_description.ts";
import { singleQuoted } from "./_quote.ts";

/** Makes the script, which is sourced, or loaded by bash-completion. */
export function bashCompletion(commands: readonly CommandDescription[]): string {
  const families = describeFamilies(commands);
  const names = [...commands, ...families].map(({ name }) => name).filter((name) => name !== "");
  return `# Completion of bootstrapper for bash, made by \`bootstrapper completion bash\`.

_bootstrapper() {
  local current previous command="" word index
  local words=() options="" values="" kind=""
  # Bash splits at "=", so that --output=yaml has three parts.
  for word in "\${COMP_WORDS[@]:0:COMP_CWORD+1}"; do [[ $word == = ]] || words+=("$word"); done
  [[ \${COMP_WORDS[COMP_CWORD]} == = ]] && words+=("")
  current=\${words[-1]} previous=\${words[-2]:-}
  for ((index = 1; index < \${#words[@]} - 1; index++)); do
    word="$command\${command:+ }\${words[index]}"
    case $word in
    ${names.map(singleQuoted).join(" | ")}) command=$word ;;
    esac
  done

  case "$command $previous" in
${commands.flatMap(valuesOfOptions).join("\n")}
  esac

  if [[ -z $kind ]]; then
    case $command in
${families.map(membersOfFamily).join("\n")}
${commands.map(ownOf).join("\n")}
    esac
    [[ $current == -* ]] && values=$options kind=words
  fi

  COMPREPLY=()
  case $kind in
  file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
  folder) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
  words) mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current") ;;
  esac
}

complete -F _bootstrapper bootstrapper
`;
}

/** What a value is completed with: assignments of `kind`, and of `values` where it is one of some words. */
function kindOf({ path, choices }: ValueDescription): string {
  if (choices.length > 0) return `kind=words values=${singleQuoted(choices.join(" "))}`;
  return `kind=${path ?? "other"}`;
}

function valuesOfOptions({ name, options }: CommandDescription): readonly string[] {
  return options.flatMap(({ long, short, value }) => {
    if (value === undefined) return [];
    const flags = [long, ...short === undefined ? [] : [short]].map((flag) => singleQuoted(`${name} ${flag}`));
    // Where the value may be left out, another option may stand there.
    const condition = value.isRequired ? "" : "[[ $current == -* ]] || ";
    return [`  ${flags.join(" | ")}) ${condition}${kindOf(value)} ;;`];
  });
}

function membersOfFamily({ name, members }: ReturnType<typeof describeFamilies>[number]): string {
  const words = members.map(({ word }) => word).join(" ");
  const more = name === "" ? " --version" : "";
  return `    ${singleQuoted(name)}) kind=words values=${singleQuoted(words)} options='--help --no-color${more}' ;;`;
}

function ownOf({ name, options, arguments: [first] }: CommandDescription): string {
  const flags = options.flatMap(({ long, short }) => short === undefined ? [long] : [long, short]).join(" ");
  return `    ${singleQuoted(name)}) options=${singleQuoted(flags)}${
    first === undefined ? "" : ` ${kindOf(first)}`
  } ;;`;
}
