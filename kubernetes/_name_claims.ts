import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { readFields } from "./_api_objects.ts";
import type { ConfigMaps, StoredConfigMap } from "./_config_maps.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";
import { unless } from "./_unless.ts";

const PREFIX = "node-";

const dataSchema = v.object({ identity: v.string(), nodeName: v.string() });

/** The claim of a name, as it is stored. */
export interface NameClaim {
  readonly stored: StoredConfigMap;
  /** The identity that has the name. */
  readonly identity: string;
}

/**
 * Records which identity has a name: one ConfigMap for each name, so that the API server lets only one identity create
 * it. A claim changes only when the machine of an adopted node proves itself. It is created after the identity's record, and deleted before it.
 */
export class NameClaims {
  readonly #configMaps: ConfigMaps;

  constructor(configMaps: ConfigMaps) {
    this.#configMaps = configMaps;
  }

  /**
   * Returns the claim of a name, or `undefined`.
   *
   * @throws {BootstrapError} `malformed/admission-record`, with ConfigMap and field.
   */
  async find(nodeName: string): Promise<NameClaim | undefined> {
    const stored = await this.#configMaps.find(PREFIX + nodeName);
    return stored && read(stored);
  }

  /** Claims a free name. Returns `undefined` if the name is taken. */
  async create(nodeName: string, identity: string): Promise<NameClaim | undefined> {
    const create = () => this.#configMaps.create(PREFIX + nodeName, { identity, nodeName });
    const stored = await unless("conflict/already-exists", create);
    return stored && { stored, identity };
  }

  /**
   * Gives the name of exactly this claim to another identity. Throws `conflict/changed` if the name has another claim.
   */
  async handOver({ stored }: NameClaim, identity: string): Promise<void> {
    await this.#configMaps.update(stored, { ...stored.data, identity });
  }

  /** Deletes exactly this claim. Throws `conflict/changed` if the name has another one. */
  async remove({ stored }: NameClaim): Promise<void> {
    await this.#configMaps.remove(stored.name, { uid: stored.uid, resourceVersion: stored.resourceVersion });
  }
}

function read(stored: StoredConfigMap): NameClaim {
  const { identity } = readFields(
    dataSchema,
    stored.data,
    (field) =>
      new BootstrapError("malformed/admission-record", `Cannot read "${field}" of the ConfigMap ${stored.name}`, {
        next:
          `Remove the node with \`bootstrapper node remove\`, or correct the ConfigMap in ${BOOTSTRAPPER_NAMESPACE}`,
        details: { record: stored.name, field },
      }),
  );
  return { stored, identity };
}
