/**
 * The completion for zsh.
 *
 * @module
 */
import type { CommandDescription, OptionDescription, ValueDescription } from "../command_description.ts";
import { describeFamilies } from "../command_description.ts";
import { functionName, singleQuoted } from "./_quote.ts";

/** Makes the script: a file `_bootstrapper` of the `fpath`, which can be sourced too. */
export function zshCompletion(commands: readonly CommandDescription[]): string {
  return `#compdef bootstrapper
# Completion of bootstrapper for zsh, made by \`bootstrapper completion zsh\`.

${describeFamilies(commands).map(familyFunction).join("\n")}
${commands.map(commandFunction).join("\n")}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _bootstrapper "$@"
else
  compdef _bootstrapper bootstrapper
fi
`;
}

function familyFunction({ name, members }: ReturnType<typeof describeFamilies>[number]): string {
  const inner = (word: string) => functionName(`${name} ${word}`.trim());
  const version = name === "" ? ` '(- : *)'{-V,--version}'[print the versions]'` : "";
  return `${functionName(name)}() {
  local curcontext=$curcontext state line
  local -a members=(
${
    members.map(({ word, description }) => `    ${singleQuoted(`${word}:${description.replaceAll(":", "\\:")}`)}`).join(
      "\n",
    )
  }
  )
  _arguments -C '(- : *)'{-h,--help}'[show the help]' '--no-color[print no colours]'${version} \\
    '1: :->member' '*:: :->rest'
  case $state in
  member) _describe -t commands command members ;;
  rest)
    case $line[1] in
${members.map(({ word }) => `    ${word}) ${inner(word)} ;;`).join("\n")}
    esac ;;
  esac
}
`;
}

function commandFunction({ name, options, arguments: args }: CommandDescription): string {
  const specs = [
    ...options.map(optionSpec),
    ...args.map((argument, index) =>
      singleQuoted(`${argument.isVariadic ? "*" : index + 1}:${argument.isRequired ? "" : ":"}${valueSpec(argument)}`)
    ),
  ];
  return `${functionName(name)}() {
  _arguments ${specs.join(" \\\n    ")}
}
`;
}

/** An option, as `_arguments` reads it. Options of several values may be given again. */
function optionSpec({ long, short, description, value }: OptionDescription): string {
  const again = value?.isVariadic === true ? "*" : "";
  const text = description.replaceAll(/[[\]]/g, "\\$&");
  const own = value === undefined ? "" : `${value.isRequired ? "" : ":"}:${valueSpec(value)}`;
  const equals = value === undefined ? "" : "=";
  const spec = (flag: string, end: string) => singleQuoted(`${again}${flag}${end}[${text}]${own}`);
  if (short === undefined) return spec(long, equals);
  const excluded = `(${short} ${long})`;
  return [
    singleQuoted(`${excluded}${short}${value === undefined ? "" : "+"}[${text}]${own}`),
    singleQuoted(`${excluded}${long}${equals}[${text}]${own}`),
  ].join(" ");
}

function valueSpec({ name, path, choices }: ValueDescription): string {
  const message = name.replaceAll(":", "\\:");
  if (choices.length > 0) return `${message}:(${choices.join(" ")})`;
  return `${message}:${path === undefined ? "" : path === "file" ? "_files" : "_files -/"}`;
}
