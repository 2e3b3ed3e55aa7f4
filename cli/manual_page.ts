/**
 * Manual pages, in the language of man(7).
 *
 * @module
 */
import project from "../deno.json" with { type: "json" };
import type {
  CommandDescription,
  FamilyDescription,
  OptionDescription,
  ValueDescription,
} from "./command_description.ts";
import { HELP_GROUPS } from "./command.ts";
import { ERROR_FAMILIES } from "../platform/errors.ts";

/**
 * The page of a command.
 *
 * @param date The day on which the page is made, as `2026-01-31`.
 */
export function manualPage(command: CommandDescription, date: string): string {
  const { name, description, notes, examples, arguments: args, options } = command;
  const page = `bootstrapper-${name.replaceAll(" ", "-")}`;
  return pageText(page, date, description, [
    ["SYNOPSIS", [...synopsis(command)]],
    ...args.length === 0 ? [] : [
      [
        "ARGUMENTS",
        args.flatMap((argument) => [
          ".TP",
          italic(argument.name),
          ...sentences(argument.description, argument),
        ]),
      ] as const,
    ],
    [
      "OPTIONS",
      options.flatMap((option) => [".TP", optionTag(option), ...sentences(option.description, option.value)]),
    ],
    ...notes === undefined ? [] : [["NOTES", [escaped(notes)]] as const],
    ["EXAMPLES", [".nf", ...examples.flatMap((example) => example.split("\n")).map(escaped), ".fi"]],
    ["SEE ALSO", [".BR bootstrapper (1)"]],
  ]);
}

/** The page of the program, with the list of all commands and the exit codes. */
export function programPage(
  commands: readonly CommandDescription[],
  families: readonly FamilyDescription[],
  date: string,
): string {
  const codes: readonly (readonly [number, string])[] = [
    [0, "success"],
    [ERROR_FAMILIES.system.exitCode, "failure"],
    [ERROR_FAMILIES.usage.exitCode, "usage error"],
    [ERROR_FAMILIES.refused.exitCode, "refused"],
    [ERROR_FAMILIES.unavailable.exitCode, "not now: the same command may succeed later"],
  ];
  const first = [".B bootstrapper", italic("command"), "[options]"];
  return pageText("bootstrapper", date, "turn fresh VMs into attested members of a Kubernetes cluster", [
    ["SYNOPSIS", first],
    ...HELP_GROUPS.map((group) =>
      [
        group.replace(/:$/, "").toUpperCase(),
        commands.filter((command) => command.group === group).flatMap(({ name, description }) => [
          ...[".TP", bold(name), escaped(description)],
        ]),
      ] as const
    ),
    [
      "FAMILIES",
      families.filter(({ name }) => name !== "").flatMap(({ name, description }) => [
        ...[".TP", bold(name), escaped(description)],
      ]),
    ],
    ["EXIT STATUS", codes.flatMap(([code, meaning]) => [".TP", bold(String(code)), escaped(meaning)])],
    ["ENVIRONMENT", [".TP", bold("NO_COLOR"), "If it is not empty, no colours are printed."]],
  ]);
}

type Section = readonly [title: string, lines: readonly string[]];

function pageText(name: string, date: string, description: string, sections: readonly Section[]): string {
  const lines = [
    `.TH ${name.toUpperCase()} 1 "${date}" "bootstrapper ${project.version}" "bootstrapper"`,
    ...[".SH NAME", `${escaped(name)} \\- ${escaped(description)}`],
    ...sections.flatMap(([title, content]) => [`.SH ${title}`, ...content]),
  ];
  return `${lines.join("\n")}\n`;
}

function synopsis({ name, arguments: args, options }: CommandDescription): readonly string[] {
  const required = options.filter(({ isRequired }) => isRequired);
  return [
    bold(`bootstrapper ${name}`),
    ...args.map((argument) => valueText(argument)),
    ...required.map(({ long, value }) => `${bold(long)} ${value === undefined ? "" : italic(value.name)}`.trim()),
    "[options]",
  ];
}

function valueText({ name, isRequired, isVariadic }: ValueDescription): string {
  const text = `${italic(name)}${isVariadic ? "..." : ""}`;
  return isRequired ? text : `[${text}]`;
}

function optionTag({ long, short, value }: OptionDescription): string {
  const flags = [...short === undefined ? [] : [short], long].map(bold).join(", ");
  return value === undefined ? flags : `${flags} ${valueText(value)}`;
}

function sentences(description: string, value?: ValueDescription): readonly string[] {
  const choices = value === undefined || value.choices.every((choice) => description.includes(choice))
    ? []
    : [`One of: ${value.choices.map(escaped).join(", ")}.`];
  return [escaped(description), ...choices];
}

function bold(text: string): string {
  return `\\fB${escaped(text)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${escaped(text)}\\fR`;
}

/** Makes a text mean itself: a backslash, a hyphen that stays one, and no request at the start of a line. */
function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll(/^[.']/gm, "\\&$&");
}
