import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { systemClock } from "../../../platform/clock.ts";
import { startSwtpm, type Swtpm } from "../../swtpm.ts";
import { manageTpm, type TpmManager } from "../../tpm_manager.ts";

/** A machine's software TPM, which several of its programs use. */
export class FounderTpm implements AsyncDisposable {
  readonly #tpm: Swtpm;
  readonly #manager: TpmManager;

  private constructor(tpm: Swtpm, manager: TpmManager, readonly identity: string) {
    this.#tpm = tpm;
    this.#manager = manager;
  }

  /** Makes a TPM and finds out its identity. */
  static async create(): Promise<FounderTpm> {
    const tpm = await startSwtpm();
    const transport = await tpm.connect();
    const identity = await createTpmIssuer(transport, "rsa2048", systemClock).ownIdentity("");
    return new FounderTpm(tpm, await manageTpm(transport), identity);
  }

  get socketPath(): string {
    return this.#manager.socketPath;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#manager[Symbol.asyncDispose]();
    await this.#tpm[Symbol.asyncDispose]();
  }
}

/** A policy that takes some machines for control planes, and others for workers. */
export function policyOf(
  controlPlanes: readonly FounderTpm[],
  workers: readonly FounderTpm[],
): Readonly<Record<string, unknown>> {
  const identities = (tpms: readonly FounderTpm[]) => tpms.map(({ identity }) => identity);
  return {
    version: 1,
    variant: "tpm",
    allowUnmeasuredImage: true,
    tpm: {
      ekType: "rsa2048",
      pcrs: { 0: ["0".repeat(64)] },
      trust: { identities: identities([...controlPlanes, ...workers]) },
    },
    roles: { controlPlanes: identities(controlPlanes) },
  };
}
