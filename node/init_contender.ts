/**
 * Runs the InitServer of this node with the real effects.
 *
 * @module
 */
import { documentsOf, foundCluster } from "../init/found_cluster.ts";
import { InitServer } from "../init/init_server.ts";
import { checkSwitches, kubernetesChecks, preflight, settingsCheck } from "../init/preflight.ts";
import type { StagedInitFolder } from "../init/staged_init.ts";
import { WARNING_PREFIX } from "../protocol/init_steps.ts";
import { untilAborted } from "../platform/abortable.ts";
import { asBootstrapError, withCauses } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import { foundingHere, recordFounderCertificates } from "./founding_here.ts";
import { initListen } from "./configuration.ts";
import { listenBehindFront } from "./init_front.ts";
import { listenAgain } from "./listen_again.ts";
import type { Contender } from "./run_dependencies.ts";
import { statusRefusal } from "./status.ts";

/** Serves Init until a cluster runs on this node and its operator has the keys. */
export async function runInitServer(contender: Contender, folder: StagedInitFolder): Promise<void> {
  const { deps, lock, issuer, journals, kubeadm, status, checks, signal } = contender;
  const { configuration: { trust, init }, self, program, paths, kinds, commands, clock, log } = deps;
  // An init that has taken the lock continues, even if the configuration has changed since.
  const isFounders = trust.founding !== undefined;
  if (isFounders || (!init.enabled && lock.state().name !== "locked")) return await untilAborted(signal);
  // Before it listens, which may take long: the init itself goes on meanwhile.
  if (lock.state().name === "locked") await status.update({ phase: "initialising" });
  const listen = initListen(init, self.address);
  const server = new InitServer({
    listen: (handle) => listenBehindFront({ program, listen, folder: paths.initFront, commands, clock, log }, handle),
    lock,
    folder,
    journals,
    issuer,
    trust,
    nodeAddress: self.address,
    clock,
    log,
    preflight: async (staged, journal, signal) => {
      using _warnings = kubeadm.listenToWarnings((warning) => journal.detail("preflight", WARNING_PREFIX + warning));
      await forOperator(async () => {
        checkSwitches(staged.request.policyDocument, trust, kinds);
        const node = { ...self, networks: deps.networks ?? [] };
        const all = [
          settingsCheck(staged.request.clusterDocument, node),
          ...checks,
          ...kubernetesChecks(kubeadm, commands, documentsOf(staged, self), signal),
        ];
        await preflight(all, (check) => journal.detail("preflight", check), signal);
      });
    },
    found: async (staged, journal, signal) => {
      using _warnings = kubeadm.listenToWarnings((warning) => journal.detail("kubeadm-init", WARNING_PREFIX + warning));
      const cluster = await forOperator(() =>
        foundCluster(foundingHere(contender, { foundings: [staged.founding] }), staged, journal, signal)
      );
      await recordFounderCertificates(deps, cluster.joinEndpoints);
      status.update({ waitsFor: "the operator's init, which fetches the admin certificate" });
      return cluster;
    },
    onLocked: () => {
      contender.onLocked();
      const state = lock.state();
      const clusterId = state.name === "locked" ? { clusterId: state.lock.clusterId } : {};
      status.update({
        phase: "initialising",
        role: "control-plane",
        owner: "init",
        waitsFor: undefined,
        ...clusterId,
      });
    },
    onListening: (port) => {
      log.event("info", "init-server-listening", { host: listen.host, port });
      if (lock.state().name === "locked") status.update({ phase: "initialising" });
      else status.update({ phase: "racing", waitsFor: contender.waitsFor });
    },
  });
  await listenAgain(() => server.run(signal), {
    ...{ clock, random: Math.random },
    // A port that another program has must not keep this node from joining.
    mayWait: () => deps.configuration.join.endpoints.length > 0 && lock.state().name === "unlocked",
    onFailedTry: ({ error, pauseMs }) => {
      log.event("error", "init-server-not-listening", { ...errorFields(error), pauseMs });
      status.update({ phase: "racing", waitsFor: contender.waitsFor, lastRefusal: statusRefusal(error, clock.now()) });
    },
  }, signal);
}

/** Runs a step of an init, whose operator hears the causes of a failure too. */
async function forOperator<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withCauses(asBootstrapError(error));
  }
}
