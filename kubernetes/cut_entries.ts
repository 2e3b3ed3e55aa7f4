/**
 * The admissions that are cut off: nodes whose certificates API servers refuse although they are valid. An operator's
 * removal makes an entry; join services bring the entries into the API servers' configuration until the last certificate
 * of the admission has ended, and delete an entry when they have seen it for longer than any certificate lives.
 *
 * An entry is a ConfigMap `cut-UID`, stored with the admission records.
 *
 * @module
 */
import * as v from "valibot";
import { isUid } from "../certificate/subjects.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";
import { type ConfigMapApi, ConfigMaps, type StoredConfigMap } from "./_config_maps.ts";
import { exactly, readFields } from "./_api_objects.ts";
import { epochText } from "./_epoch_text.ts";
import { unless, unlessChanged } from "./_unless.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

export type { StoredConfigMap } from "./_config_maps.ts";

/** How far the clocks of control planes may differ. An entry is in force for so long after its last certificate. */
export const CUT_MARGIN_MS: number = 10 * MINUTE_MS;

/** One admission that is cut off. */
export interface CutEntry {
  /** The admission's UID. */
  readonly uid: string;
  /** The identity of the machine. */
  readonly identity: string;
  /** The name that its certificates have. */
  readonly nodeName: string;
  /** No certificate of the admission has a later epoch. */
  readonly epoch: number;
  /** When the last certificate of the admission ends, milliseconds since 1970. */
  readonly untilMs: number;
}

/** An entry as it is stored. */
export interface StoredCutEntry extends CutEntry {
  readonly stored: StoredConfigMap;
}

/** The entries of a cluster, and what could not be read. */
export interface CutList {
  readonly entries: readonly StoredCutEntry[];
  /** One error for each ConfigMap that is no entry: `malformed/cut-entry`. */
  readonly unreadable: readonly BootstrapError[];
}

const PREFIX = "cut-";
const LABEL = "bootstrapper-cut";

const dataSchema = v.object({
  version: v.literal("1"),
  uid: v.pipe(v.string(), v.check(isUid)),
  identity: v.pipe(v.string(), v.maxLength(64)),
  nodeName: v.pipe(v.string(), v.maxLength(253)),
  epoch: epochText,
  until: v.pipe(v.string(), v.isoTimestamp(), v.transform((text) => Date.parse(text))),
});

/** The entries of a cluster. */
export class CutEntries {
  readonly #configMaps: ConfigMaps;

  /** Sends nothing yet. A join service needs get, list and delete for ConfigMaps; an operator creates them. */
  constructor(api: ConfigMapApi) {
    this.#configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
  }

  /** Returns all entries. One that cannot be read keeps no other from being used. */
  async list(): Promise<CutList> {
    const entries: StoredCutEntry[] = [];
    const unreadable: BootstrapError[] = [];
    for (const stored of await this.#configMaps.list(LABEL)) {
      try {
        entries.push(readEntry(stored));
      } catch (error) {
        if (!(error instanceof BootstrapError)) throw error;
        unreadable.push(error);
      }
    }
    return { entries, unreadable };
  }

  /** Creates an entry. Does nothing if the admission has one. */
  async create({ uid, identity, nodeName, epoch, untilMs }: CutEntry): Promise<void> {
    const until = new Date(untilMs).toISOString();
    const data = { version: "1", uid, identity, nodeName, epoch: String(epoch), until };
    await unless("conflict/already-exists", () => this.#configMaps.create(PREFIX + uid, data, { [LABEL]: "true" }));
  }

  /** Deletes an entry that has ended. */
  async remove({ stored }: StoredCutEntry): Promise<void> {
    await unlessChanged(() => this.#configMaps.remove(stored.name, exactly(stored)));
  }
}

function readEntry(stored: StoredConfigMap): StoredCutEntry {
  const error = (field: string) =>
    new BootstrapError("malformed/cut-entry", `Cannot read "${field}" of the ConfigMap ${stored.name}`, {
      next: `Correct or delete the ConfigMap ${stored.name} in ${BOOTSTRAPPER_NAMESPACE}`,
      details: { configMap: stored.name, field },
    });
  const isOwn = ({ uid }: { readonly uid: string }) => stored.name === PREFIX + uid ? undefined : "uid";
  const { version: _, until: untilMs, ...rest } = readFields(dataSchema, stored.data, error, isOwn);
  return { ...rest, untilMs, stored };
}
