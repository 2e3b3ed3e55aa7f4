import type { AdmissionRecord, StoredAdmission } from "./_admission_record.ts";
import { keepsChanging, nameOfAdopted, nameTaken } from "./_admission_refusals.ts";
import { ATTEMPTS } from "./_admission_removal.ts";
import type { NameClaim, NameClaims } from "./_name_claims.ts";
import { unlessChanged } from "./_unless.ts";
import type { NodeAdmissions } from "./node_admissions.ts";

/** The nodes that were in the cluster before it had signers, and whose machines have not proven themselves yet. */
export class AdoptedNodes {
  readonly #admissions: NodeAdmissions;
  readonly #names: NameClaims;

  constructor(admissions: NodeAdmissions, names: NameClaims) {
    this.#admissions = admissions;
    this.#names = names;
  }

  /**
   * Names the machine that may take a node over. Returns the node's role; `undefined` if it is none that waits.
   *
   * @param find Finds the record that stands under the name.
   * @throws {BootstrapError} `unavailable/admission-changed`.
   */
  async name(
    find: () => Promise<StoredAdmission | undefined>,
    node: string,
    successor: string,
  ): Promise<AdmissionRecord["role"] | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const own = await find();
      if (own?.record.adoptedMs === undefined) return undefined;
      if (own.record.successor === successor) return own.record.role;
      const record = { ...own.record, successor };
      if (await unlessChanged(() => this.#admissions.update(own, record)) !== undefined) return record.role;
    }
    throw keepsChanging({ node }, "Run the command again");
  }

  /**
   * Lets the machine of an adopted node take its name over, if its operator has named it: the claim changes, and then
   * nothing belongs to the placeholder any more.
   *
   * @throws {BootstrapError} `conflict/node-name` for every other machine, and for every other node.
   */
  async succeed(claimed: NameClaim, asked: AdmissionRecord): Promise<void> {
    const holder = await this.#admissions.find(claimed.identity);
    if (holder?.record.adoptedMs === undefined) throw nameTaken(claimed.identity, asked);
    if (
      holder.removedMs !== undefined || holder.record.successor !== asked.identity || holder.record.role !== asked.role
    ) {
      throw nameOfAdopted(holder.record, asked);
    }
    const isHandedOver = await unlessChanged(async () => {
      await this.#names.handOver(claimed, asked.identity);
      return true;
    });
    if (isHandedOver) await unlessChanged(() => this.#admissions.remove(holder));
  }
}
