/**
 * The policy that a join service follows, which may change while it runs.
 *
 * | source | when it counts |
 * |---|---|
 * | the ConfigMap of the cluster | if there is one |
 * | the ConfigMap's last version, which the service keeps on its disk | until the API server has been asked again |
 * | the file of the service's state | if this service has never seen a ConfigMap |
 *
 * An unusable version is refused with one error in the log, and the earlier version stays in force. The file is as old
 * as its control plane. Therefore nothing is issued by a version of the file before the API server has said what the
 * ConfigMap is. A service that once saw a ConfigMap issues nothing without one, after a restart too.
 *
 * @module
 */
import type { EvidenceVerifier } from "../attestation/evidence.ts";
import { type EvidenceKind, insecureNames } from "../attestation/kind.ts";
import { isInsecure, type Policy, readPolicy } from "../attestation/policy/policy.ts";
import { policyRemarks } from "../attestation/policy/policy_remarks.ts";
import { POLICY_CONFIG_MAP, POLICY_NAMESPACE } from "../kubernetes/policy_config_map.ts";
import { hex, sha256, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { type AnyErrorCode, asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { errorFields, type Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { policyChanges } from "./policy_changes.ts";

/** The source of a version of the policy. */
export type PolicySource = "file" | "ConfigMap";

/** A version of the policy. */
export interface PolicyVersion {
  readonly policy: Policy;
  /** Verifies evidence by this policy. */
  readonly verifier: EvidenceVerifier;
  /** YAML. */
  readonly document: string;
  /** The SHA-256 of the document, hexadecimal. Never rejects. */
  readonly digest: Promise<string>;
  readonly source: PolicySource;
  /** Whether the API server has confirmed this version: it is the ConfigMap's, or there is no ConfigMap. */
  readonly isConfirmed: boolean;
}

/** What {@linkcode PolicyInForce} works with. */
export interface PolicyInForceParts {
  /** The document that the service starts with, from its state. */
  readonly document: string;
  /** The kinds of evidence that there are. */
  readonly kinds?: readonly EvidenceKind[];
  /** Makes the verifier of a policy. */
  readonly createVerifier: (policy: Policy) => EvidenceVerifier;
  /** Reads the document in the file of the service's state, as the file is now. */
  readonly readFile: () => Promise<string>;
  /** Asks the API server for the document in the ConfigMap; `undefined` if there is no ConfigMap. */
  readonly findConfigMap: () => Promise<string | undefined>;
  /**
   * The ConfigMap's version that the service kept when it last ran, or why that cannot be read; `undefined` if it has
   * never seen a ConfigMap.
   */
  readonly kept: string | BootstrapError | undefined;
  /** Keeps the ConfigMap's version for the next start. */
  readonly keep: (document: string) => Promise<void>;
  readonly clock: Pick<Clock, "sleep" | "monotonicMs">;
  /** Records changes and refusals. */
  readonly log: Log;
}

/** A look is one small GET, or one small file. */
const LOOK_MS = 5_000;
/** What the API server said longer ago is asked again before anything is issued. A look that is under way is not late. */
const BELIEVED_MS = 2 * LOOK_MS;
const WHAT: Readonly<Record<PolicySource | "kept", string>> = Object.freeze({
  kept: "the kept version of the policy's ConfigMap",
  file: "the policy of the join service",
  ConfigMap: `the policy in the ConfigMap ${POLICY_NAMESPACE}/${POLICY_CONFIG_MAP}`,
});

/** The policy of a join service. */
export class PolicyInForce {
  readonly #parts: PolicyInForceParts;
  #current: PolicyVersion;
  /** What the API server last said of the ConfigMap. */
  #configMap: "unasked" | "absent" | "present" = "unasked";
  #looking: Promise<void> | undefined;
  /** When the API server answered last, by the steady clock. */
  #answeredMs = -Infinity;
  /** The last version that was refused, so that it is logged once. */
  #refused: string | undefined;
  /** Why the API server could not be asked last, so that it is logged once. */
  #failed: AnyErrorCode | undefined;
  /** The error that prevents the use of a ConfigMap. */
  #obstacle: BootstrapError | undefined;
  /** The ConfigMap's version that is kept for the next start. */
  #kept: string | undefined;

  /**
   * Starts with the document of the service's state.
   *
   * @throws {BootstrapError} `usage/document`, naming the key that is wrong.
   */
  constructor(parts: PolicyInForceParts) {
    this.#parts = parts;
    const { document, createVerifier, kinds } = parts;
    const policy = readPolicy(document, WHAT.file, kinds);
    this.#current = {
      ...{ policy, verifier: createVerifier(policy), document, digest: digestOf(document) },
      ...{ source: "file", isConfirmed: false },
    };
    if (parts.kept !== undefined) this.#startWithKept(parts.kept);
    this.#remark(this.#current.policy);
  }

  /** There is a ConfigMap, or was one: nothing is issued before it is seen, whether or not its last version is legible. */
  #startWithKept(kept: string | BootstrapError): void {
    this.#configMap = "present";
    const { createVerifier, kinds, log } = this.#parts;
    try {
      if (kept instanceof BootstrapError) throw kept;
      const policy = readPolicy(kept, WHAT.kept, kinds);
      checkSameTrust(this.#current.policy, policy);
      const verifier = createVerifier(policy);
      this.#current = {
        ...{ policy, verifier, document: kept, digest: digestOf(kept) },
        ...{ source: "ConfigMap", isConfirmed: false },
      };
      this.#kept = kept;
    } catch (error) {
      log.event("error", "policy-refused", { ...errorFields(asBootstrapError(error)), source: "kept" });
    }
  }

  /** The version in force. An exchange keeps the version that it started with. */
  current(): PolicyVersion {
    return this.#current;
  }

  /**
   * Returns when something may be issued by a version that was in force.
   *
   * @throws {BootstrapError} `unavailable/policy`: the API server cannot be asked, its ConfigMap cannot be used, or the
   *   ConfigMap has another version.
   */
  async confirm(version: PolicyVersion): Promise<void> {
    const isOld = () => this.#parts.clock.monotonicMs() - this.#answeredMs > BELIEVED_MS;
    if (!this.#current.isConfirmed || isOld()) await this.look();
    if (!this.#current.isConfirmed || isOld()) {
      throw new BootstrapError("unavailable/policy", "The join service cannot tell which policy is in force", {
        next: "On the control plane, look at the log: journalctl -u bootstrapper-join-signer",
        ...present("cause", this.#obstacle),
      });
    }
    if (this.#current.document !== version.document) {
      throw new BootstrapError(
        "unavailable/policy",
        "The policy has changed since the node asked; the node must ask again",
      );
    }
  }

  /** Looks for a new version until the signal. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await this.#parts.clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }

  /** Looks once, together with all callers that look at the same time. Never throws. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    await this.#looking;
  }

  async #look(): Promise<void> {
    let document: string | undefined;
    try {
      document = await this.#parts.findConfigMap();
      this.#answeredMs = this.#parts.clock.monotonicMs();
      this.#failed = undefined;
      // The document in the file is as old as this control plane, so a deleted ConfigMap does not bring it back.
      if (document === undefined && this.#configMap === "present") {
        this.#current = { ...this.#current, isConfirmed: false };
        return await this.#refuse("ConfigMap", configMapGone());
      }
      this.#configMap = document === undefined ? "absent" : "present";
    } catch (cause) {
      const error = asBootstrapError(cause);
      if (error.code === "usage/policy-config-map") {
        this.#answeredMs = this.#parts.clock.monotonicMs();
        this.#configMap = "present";
        return await this.#refuse("ConfigMap", error);
      }
      // What the API server said before holds until it says something else.
      this.#noteFailure(error);
    }
    if (document !== undefined) return await this.#offer(document, "ConfigMap");
    if (this.#configMap === "present") return;
    try {
      document = await this.#parts.readFile();
    } catch (cause) {
      await this.#refuse("file", asBootstrapError(cause));
    }
    if (document !== undefined) await this.#offer(document, "file");
    // Whatever the file has: there is no ConfigMap with another version than the one in force.
    if (this.#configMap === "absent") this.#current = { ...this.#current, isConfirmed: true };
  }

  /** Puts a document into force, if it can be used. */
  async #offer(document: string, source: PolicySource): Promise<void> {
    const before = this.#current;
    const isConfirmed = before.isConfirmed || source === "ConfigMap";
    let version: PolicyVersion = { ...before, source, isConfirmed };
    if (document !== before.document) {
      try {
        const policy = readPolicy(document, WHAT[source], this.#parts.kinds);
        checkSameTrust(before.policy, policy);
        const verifier = this.#parts.createVerifier(policy);
        version = { policy, verifier, document, digest: digestOf(document), source, isConfirmed };
      } catch (error) {
        return await this.#refuse(source, asBootstrapError(error), document);
      }
    }
    if (source === "ConfigMap" && document !== this.#kept) {
      try {
        await this.#parts.keep(document);
        this.#kept = document;
      } catch (error) {
        // A ban that the next start would not know must not be the only reason to believe that it is in force.
        this.#current = { ...before, isConfirmed: false };
        return await this.#refuse(source, asBootstrapError(error), document);
      }
    }
    this.#current = version;
    this.#refused = undefined;
    this.#obstacle = undefined;
    if (document === before.document) return;
    this.#parts.log.event("info", "policy-changed", {
      source,
      sha256: await version.digest,
      before: await before.digest,
      changes: policyChanges(before.document, document),
    });
    this.#remark(version.policy);
  }

  /** Says what a policy that comes into force leaves open. */
  #remark(policy: Policy): void {
    for (const remark of policyRemarks(policy)) this.#parts.log.event("warn", "policy-remark", { remark });
  }

  async #refuse(source: PolicySource, error: BootstrapError, document = ""): Promise<void> {
    if (source === "ConfigMap") this.#obstacle = error;
    const refused = `${source} ${error.code} ${error.message} ${document}`;
    if (refused === this.#refused) return;
    this.#refused = refused;
    this.#parts.log.event("error", "policy-refused", {
      ...errorFields(error),
      source,
      ...(document === "" ? {} : { sha256: await digestOf(document) }),
      inForce: await this.#current.digest,
    });
  }

  #noteFailure(error: BootstrapError): void {
    this.#obstacle = error;
    if (error.code !== this.#failed) this.#parts.log.event("warn", "policy-not-asked", errorFields(error));
    this.#failed = error.code;
  }
}

function configMapGone(): BootstrapError {
  return new BootstrapError(
    "precondition/policy-config-map",
    "The policy's ConfigMap is gone: no ticket is issued until it is there again",
    {
      next: `Create ${POLICY_NAMESPACE}/${POLICY_CONFIG_MAP} again, with the newest policy`,
    },
  );
}

/** A document alone never turns a service that wants proof into one that wants none, nor the reverse. */
function checkSameTrust(before: Policy, after: Policy): void {
  if (isInsecure(before) === isInsecure(after)) return;
  throw new BootstrapError(
    "refused/policy-variant",
    isInsecure(after)
      ? `A join service that wants proof of machines cannot be made insecure while it runs: variant must not become ${
        insecureNames(after.kinds).join(" or ")
      }`
      : "A join service that wants no proof of machines stays insecure while it runs: its members have proved nothing",
    {
      next: "Found a separate cluster with the other policy",
      details: { key: "variant" },
    },
  );
}

async function digestOf(document: string): Promise<string> {
  return hex(await sha256(utf8(document)));
}
