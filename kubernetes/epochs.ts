/**
 * The epochs of the cluster's node certificates. Each certificate carries the epoch in which it was signed, and API
 * servers refuse certificates of an epoch that has ended.
 *
 * To raise the epoch ends all certificates from before, and so empties the cut list. New certificates carry the new
 * epoch at once. The old one ends when no node needs it any more:
 *
 * - when every admitted node has a certificate of a later epoch;
 * - at the latest when its certificates have ended by themselves;
 * - at once, if an operator demands it, or if the cut list would become too long for API servers.
 *
 * A node that renews in time never notices. API servers also accept the epoch after the current one, so that one which
 * learns late of a raise does not refuse new certificates; nothing carries it before it is current.
 *
 * @module
 */
import * as v from "valibot";
import { isEpoch, LARGEST_EPOCH } from "../certificate/subjects.ts";
import { BootstrapError } from "../platform/errors.ts";
import { type ConfigMapApi, ConfigMaps, type StoredConfigMap } from "./_config_maps.ts";
import { readFields } from "./_api_objects.ts";
import { epochText } from "./_epoch_text.ts";
import { unless, unlessChanged } from "./_unless.ts";
import { MOST_EPOCHS } from "./authorization_configuration.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

/** An epoch that is not current any more, but still accepted. */
export interface EndingEpoch {
  readonly epoch: number;
  /** When its last certificate ends, milliseconds since 1970. */
  readonly untilMs: number;
}

/** The epochs of a cluster. */
export interface Epochs {
  /** The epoch that new certificates carry. */
  readonly current: number;
  /** The epochs before it that have not ended, ascending. */
  readonly ending: readonly EndingEpoch[];
}

/** The epoch of a cluster that never raised it. */
export const FIRST_EPOCH = 1;
const FIRST_EPOCHS: Epochs = Object.freeze({ current: FIRST_EPOCH, ending: [] });

const CONFIG_MAP = "epochs";
/**
 * Raises in a row, each within the lifetime of a certificate. API servers accept the current epoch and the next one too.
 * The oldest epochs end when there are more.
 */
const MOST_ENDING = MOST_EPOCHS - 2;

/** Each is accepted with the one that follows it. */
const number = v.pipe(v.number(), v.check(isEpoch), v.maxValue(LARGEST_EPOCH - 1));
const dataSchema = v.object({
  current: v.pipe(epochText, number),
  ending: v.pipe(
    v.string(),
    v.parseJson(),
    v.array(v.object({
      epoch: number,
      until: v.pipe(v.string(), v.isoTimestamp(), v.transform((text) => Date.parse(text))),
    })),
    v.maxLength(MOST_ENDING),
  ),
});

/**
 * Returns the epoch that new node certificates carry.
 *
 * @throws {BootstrapError} `malformed/epochs`, and the errors of `KubernetesApi`.
 */
export async function currentEpoch(api: ConfigMapApi): Promise<number> {
  return (await readEpochs(api)).current;
}

/**
 * Returns the epochs of a cluster.
 *
 * @throws {BootstrapError} `malformed/epochs`, and the errors of `KubernetesApi`.
 */
export async function readEpochs(api: ConfigMapApi): Promise<Epochs> {
  const found = await configMapsOf(api).find(CONFIG_MAP);
  return found === undefined ? FIRST_EPOCHS : read(found);
}

/** The epochs whose certificates API servers accept at a time, ascending. */
export function acceptedEpochs({ current, ending }: Epochs, nowMs: number): number[] {
  return [...ending.filter(({ untilMs }) => nowMs < untilMs).map(({ epoch }) => epoch), current, current + 1];
}

/**
 * Raises the epoch, and lets the current one end at a time.
 *
 * @param from The epoch that the caller found current. If another one raised it meanwhile, it is not raised again.
 * @param untilMs When the last certificate of that epoch ends. `0` ends it and all earlier ones at once, also where
 *   another one raised it.
 * @returns The epochs afterwards.
 */
export function raiseEpoch(api: ConfigMapApi, from: number, untilMs: number): Promise<Epochs> {
  return change(api, ({ current, ending }) => {
    if (current !== from) return untilMs === 0 ? endedBefore({ current, ending }, from + 1) : undefined;
    const kept = untilMs === 0 ? [] : [...ending, { epoch: current, untilMs }];
    return { current: current + 1, ending: kept.slice(-MOST_ENDING) };
  });
}

/** Ends all epochs before one, or before the current one if that is earlier. Returns the epochs afterwards. */
export function endEpochsBefore(api: ConfigMapApi, epoch: number): Promise<Epochs> {
  return change(api, (epochs) => endedBefore(epochs, epoch));
}

function endedBefore({ current, ending }: Epochs, epoch: number): Epochs | undefined {
  const kept = ending.filter((one) => one.epoch >= epoch);
  return kept.length === ending.length ? undefined : { current, ending: kept };
}

const ATTEMPTS = 8;

/** Changes the epochs by compare-and-swap. The change returns `undefined` where there is nothing to do. */
async function change(api: ConfigMapApi, next: (epochs: Epochs) => Epochs | undefined): Promise<Epochs> {
  const configMaps = configMapsOf(api);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = await configMaps.find(CONFIG_MAP);
    const before = found === undefined ? FIRST_EPOCHS : read(found);
    const after = next(before);
    if (after === undefined) return before;
    const written = found === undefined
      ? await unless("conflict/already-exists", () => configMaps.create(CONFIG_MAP, dataOf(after)))
      : await unlessChanged(() => configMaps.update(found, dataOf(after)));
    if (written !== undefined) return after;
  }
  throw new BootstrapError("unavailable/epochs", `The ConfigMap ${CONFIG_MAP} keeps changing`, {
    next: "Try again",
  });
}

function configMapsOf(api: ConfigMapApi): ConfigMaps {
  return new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
}

function dataOf({ current, ending }: Epochs): Record<string, string> {
  const list = ending.map(({ epoch, untilMs }) => ({ epoch, until: new Date(untilMs).toISOString() }));
  return { current: String(current), ending: JSON.stringify(list) };
}

function read({ data }: StoredConfigMap): Epochs {
  const error = (field: string) =>
    new BootstrapError("malformed/epochs", `Cannot read "${field}" of the ConfigMap ${CONFIG_MAP}`, {
      next: `Correct the ConfigMap ${CONFIG_MAP} in ${BOOTSTRAPPER_NAMESPACE}`,
      details: { configMap: CONFIG_MAP, field },
    });
  const { current, ending } = readFields(
    dataSchema,
    data,
    error,
    (epochs) => isAscending(epochs) ? undefined : "ending",
  );
  return { current, ending: ending.map(({ epoch, until: untilMs }) => ({ epoch, untilMs })) };
}

function isAscending({ current, ending }: v.InferOutput<typeof dataSchema>): boolean {
  const all = [...ending.map(({ epoch }) => epoch), current];
  return all.every((epoch, index) => index === 0 || (all[index - 1] ?? 0) < epoch);
}
