/**
 * The migration of admission records that earlier versions kept as ConfigMaps `identity-IDENTITY` to NodeAdmissions.
 *
 * Each record is created first, and its ConfigMap deleted afterwards, so that a migration that was killed is continued
 * by the next one. The ConfigMaps of names and addresses stay: they are claims.
 *
 * @module
 */
import * as v from "valibot";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import type { AdmissionRecord, StoredAdmission } from "./_admission_record.ts";
import { exactly, type ObjectApi, readFields } from "./_api_objects.ts";
import { ConfigMaps, type StoredConfigMap } from "./_config_maps.ts";
import { unless, unlessChanged } from "./_unless.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";
import { isIdentity, NodeAdmissions } from "./node_admissions.ts";
import { NODE_ROLES } from "./node_role.ts";

/** What a migration did. */
export interface RecordsMigration {
  /** How many records were migrated. */
  readonly migrated: number;
  /** One error for each ConfigMap that stays, as an operator must look at it. */
  readonly left: readonly BootstrapError[];
}

const PREFIX = "identity-";

const dataSchema = v.object({
  identity: v.pipe(v.string(), v.check(isIdentity)),
  nodeName: v.string(),
  role: v.picklist(NODE_ROLES),
  nodeKey: v.string(),
  addresses: v.pipe(v.string(), v.parseJson(), v.array(v.string())),
  evidenceDigest: v.string(),
  resetCount: v.optional(v.pipe(v.string(), v.regex(/^\d{1,10}$/), v.transform(Number))),
});

/**
 * Migrates all records. It may be repeated, and run by several join services at once.
 *
 * @throws {BootstrapError} `unavailable/records`: the API server does not answer, or does not have the kind yet.
 */
export async function migrateRecords(api: ObjectApi): Promise<RecordsMigration> {
  const configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
  const admissions = new NodeAdmissions(api);
  const left: BootstrapError[] = [];
  let migrated = 0;
  try {
    // Without the kind nothing may be admitted either, whether there is something to migrate or not.
    await admissions.checkServed();
    for (const stored of await configMaps.list()) {
      if (!stored.name.startsWith(PREFIX)) continue;
      try {
        await migrate(stored, configMaps, admissions);
        migrated++;
      } catch (error) {
        if (!isOfTheRecord(error)) throw error;
        left.push(error);
      }
    }
  } catch (cause) {
    throw new BootstrapError("unavailable/records", "The join service cannot use the admission records yet", {
      cause: asBootstrapError(cause),
      next:
        "Check the API server; after an upgrade of bootstrapper, apply nodeadmissions.yaml and rbac.yaml of its release",
    });
  }
  return { migrated, left };
}

async function migrate(
  stored: StoredConfigMap,
  configMaps: ConfigMaps,
  admissions: NodeAdmissions,
): Promise<void> {
  const record = readRecord(stored);
  const created = await unless("conflict/already-exists", () => create(record, stored, admissions));
  // A record that is there is a later one: of this migration, or of an admission since.
  const now = created ?? await admissions.find(record.identity);
  if (now !== undefined && (now.record.nodeName !== record.nodeName || now.record.role !== record.role)) {
    const is = `${now.record.role} ${now.record.nodeName}`;
    throw leftError(
      stored,
      `The ConfigMap ${stored.name} has another name or role than the record: it is ${is}`,
      "nodeName",
    );
  }
  await unlessChanged(() => configMaps.remove(stored.name, exactly(stored)));
}

/** Creates the record. One that the API server refuses for its contents keeps no other from being migrated. */
async function create(
  record: AdmissionRecord,
  stored: StoredConfigMap,
  admissions: NodeAdmissions,
): Promise<StoredAdmission> {
  try {
    return await admissions.create(record);
  } catch (error) {
    if (!(error instanceof BootstrapError) || error.code !== "malformed/kubernetes-api") throw error;
    throw leftError(stored, `The API server refuses the record of the ConfigMap ${stored.name}`, "", error);
  }
}

function isOfTheRecord(error: unknown): error is BootstrapError {
  return error instanceof BootstrapError && error.code === "malformed/admission-record";
}

function readRecord(stored: StoredConfigMap): AdmissionRecord {
  const { resetCount, ...rest } = readFields(
    dataSchema,
    stored.data,
    (field) => leftError(stored, `Cannot read "${field}" of the ConfigMap ${stored.name}`, field),
    ({ identity }) => stored.name === PREFIX + identity ? undefined : "identity",
  );
  return { ...rest, ...present("resetCount", resetCount) };
}

function leftError({ name }: StoredConfigMap, message: string, field: string, cause?: BootstrapError): BootstrapError {
  return new BootstrapError("malformed/admission-record", message, {
    cause,
    next: `Delete the ConfigMap ${name} in ${BOOTSTRAPPER_NAMESPACE} after you have looked at it`,
    details: { record: name, field },
  });
}
