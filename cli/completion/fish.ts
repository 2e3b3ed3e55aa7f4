/**
 * The completion for fish.
 *
 * @module
 */
import type { CommandDescription, OptionDescription, ValueDescription } from "../command_description.ts";
import { describeFamilies } from "../command_description.ts";

/** Makes the script, which fish loads from a folder of completions. */
export function fishCompletion(commands: readonly CommandDescription[]): string {
  const families = describeFamilies(commands);
  const names = [...commands, ...families].map(({ name }) => name).filter((name) => name !== "");
  const lines = [
    ...families.flatMap(({ name, members }) => [
      ...members.map(({ word, description }) => complete(name, `-a ${quoted(word)} -d ${quoted(description)}`)),
      complete(name, `-s h -l help -d ${quoted("show the help")}`),
      complete(name, `-l no-color -d ${quoted("print no colours")}`),
      ...name === "" ? [complete(name, `-s V -l version -d ${quoted("print the versions")}`)] : [],
    ]),
    ...commands.flatMap((command) => [
      ...command.options.map((option) => complete(command.name, optionText(option))),
      ...command.arguments.slice(0, 1).flatMap((argument) => {
        const text = valueText(argument);
        return text === "" ? [] : [complete(command.name, text)];
      }),
    ]),
  ];
  return `# Completion of bootstrapper for fish, made by \`bootstrapper completion fish\`.

# Whether the command so far is the given one.
function __bootstrapper_is
    set -l command
    for word in (commandline -opc)[2..]
        if contains -- "$(string join -- ' ' $command $word)" ${names.map(quoted).join(" ")}
            set -a command $word
        end
    end
    test "$(string join -- ' ' $command)" = "$argv[1]"
end

complete -c bootstrapper -f
${lines.join("\n")}
`;
}

function complete(name: string, what: string): string {
  return `complete -c bootstrapper -n ${quoted(`__bootstrapper_is ${quoted(name)}`)} ${what}`;
}

function optionText({ long, short, description, value }: OptionDescription): string {
  const flags = [`-l ${long.slice(2)}`, ...short === undefined ? [] : [`-s ${short.slice(1)}`]].join(" ");
  const given = value === undefined || !value.isRequired ? "" : value.path === "file" ? " -r" : " -x";
  const values = value === undefined ? "" : ` ${valueText(value)}`.trimEnd();
  return `${flags}${given}${values} -d ${quoted(description)}`;
}

function valueText({ path, choices }: ValueDescription): string {
  if (choices.length > 0) return `-a ${quoted(choices.join(" "))}`;
  if (path === "file") return "-F";
  return path === "folder" ? `-a ${quoted("(__fish_complete_directories)")}` : "";
}

/** Quotes a text for fish. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
