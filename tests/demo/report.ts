import { join } from "node:path";
import { nodePaths } from "../../node/paths.ts";
import { parseTimeline } from "../../node/timeline.ts";
import { timelineSvg } from "../../node/timeline_svg.ts";
import { timelineText } from "../../node/timeline_text.ts";
import { utf8 } from "../../platform/bytes.ts";
import type { Machine } from "../e2e/machine.ts";
import type { Testbed } from "../e2e/testbed.ts";
import { measureSlowdown } from "../tools/machine_speed.ts";
import { kubectlArguments } from "./demo_testbed.ts";
import { foundingEvents, foundingTimeline } from "./founding_events.ts";

const readDeadlineMs = 60_000;
const requestTimeoutSeconds = 60;

/**
 * Returns the state of the cluster as text: its nodes as kubectl lists them, and a timeline of each node's phases. Each
 * timeline is also drawn as a picture in the testbed's folder.
 */
export async function report(testbed: Testbed, columns: number): Promise<string> {
  const timeout = Math.ceil(requestTimeoutSeconds * await measureSlowdown());
  const get = ["get", "nodes", `--request-timeout=${timeout}s`];
  const { exitCode, stdout, stderr } = await testbed.exec([...kubectlArguments(testbed), ...get]);
  if (exitCode !== 0) throw new Error(`Cannot get the nodes: ${stderr}`);
  const timelines = await Promise.all(testbed.machines.map((machine) => timelineOf(machine, testbed.folder, columns)));
  return `\n$ kubectl ${get.slice(0, 2).join(" ")}\n${stdout}${timelines.join("")}${await foundingOf(testbed)}`;
}

/** The timeline of the founding, where machines founded the cluster among equals. */
async function foundingOf({ machines }: Testbed): Promise<string> {
  const journals = await Promise.all(
    machines.map(async ({ name, journal }) => ({ name, entries: await journal.entries() })),
  );
  if (!journals.some(({ entries }) => entries.some(({ message }) => message.includes('"event":"founding-')))) return "";
  const startMs = Math.min(...journals.flatMap(({ entries }) => entries.slice(0, 1)).map(({ time }) => time.getTime()));
  return foundingTimeline(journals.flatMap(({ name, entries }) => foundingEvents(name, entries)), startMs);
}

async function timelineOf(machine: Machine, folder: string, width: number): Promise<string> {
  const path = nodePaths().timeline;
  const { exitCode, stdout, stderr } = await machine.exec(["cat", path], { deadlineMs: readDeadlineMs });
  if (exitCode !== 0) throw new Error(`Cannot read the timeline of ${machine.name}: ${stderr}`);
  const timeline = parseTimeline(utf8(stdout), `${path} of ${machine.name}`);
  const nowMs = Date.now();
  const picture = join(folder, `timeline-${machine.name}.svg`);
  await Deno.writeTextFile(picture, timelineSvg(timeline, { title: machine.name, nowMs }));
  return `\nTimeline of ${machine.name} (as a picture: ${picture})\n${timelineText(timeline, { nowMs, width })}`;
}
