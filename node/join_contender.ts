/**
 * Runs the JoinClient of this node with the real effects.
 *
 * @module
 */
import { proveChannelBinding } from "../channel/finished.ts";
import type { JoinClientDependencies, JoinClientOptions } from "../join/client.ts";
import { runJoinClient } from "../join/client.ts";
import { untilAborted } from "../platform/abortable.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { controlPlaneMaker } from "./control_plane_maker.ts";
import { kubeletVersion, systemdKubelet } from "./kubelet.ts";
import { failedChecks } from "./preflight.ts";
import type { Contender } from "./run_dependencies.ts";
import { statusRefusal } from "./status.ts";

/** Obtains a ticket and joins; returns when this node is a member of its cluster. */
export async function joinCluster(contender: Contender): Promise<void> {
  const { deps: { configuration }, lock, status, signal } = contender;
  const isLocked = lock.state().name === "locked";
  if (configuration.join.endpoints.length === 0) {
    if (!isLocked) return await untilAborted(signal);
    throw new BootstrapError(
      "precondition/join-endpoints",
      "This node is locked for a join, but its configuration names no join service",
      { next: "Name the cluster's join services in join.endpoints of the node's configuration" },
    );
  }
  if (isLocked) await status.update({ phase: "joining" });
  else if (!configuration.init.enabled) await status.update({ phase: "racing", waitsFor: contender.waitsFor });
  await proveChannelBinding();
  const end = await runJoinClient(await dependencies(contender), options(contender));
  if (end === "lost") await untilAborted(signal);
}

async function dependencies(contender: Contender): Promise<JoinClientDependencies> {
  const { deps, lock, issuer, journals, kubeadm, checks } = contender;
  const { configuration: { trust, join }, self, paths, commands, clock, log } = deps;
  return {
    trust,
    self,
    endpoints: join.endpoints,
    issuer,
    lock,
    journals,
    clock,
    log,
    runFolder: paths.run,
    stateFolder: paths.state,
    kubeadm,
    localChecks: () => failedChecks(checks),
    kubelet: systemdKubelet({ self, paths, kubeadm, commands, clock }),
    kubeletVersion: await kubeletVersion(commands),
    controlPlane: controlPlaneMaker({
      paths,
      self,
      trust,
      kubeadm,
      commands,
      clock,
      log,
      ...present("kinds", deps.kinds),
    }),
  };
}

function options({ deps: { clock }, status, signal, onLocked }: Contender): JoinClientOptions {
  let wasRefused = false;
  return {
    signal,
    onEndpointFailure: ({ endpoint, error, kind }) => {
      // A refusal by one service is more useful to show than the absence of another.
      wasRefused ||= kind === "refused";
      if (wasRefused && kind === "unreachable") return;
      status.update({ lastRefusal: statusRefusal(error, clock.now(), endpoint) });
    },
    onStepFailure: (error) => {
      status.update({ lastRefusal: statusRefusal(error, clock.now()) });
    },
    onLocked: (clusterId) => {
      onLocked();
      status.update({ phase: "joining", owner: "join", clusterId, waitsFor: undefined, lastRefusal: undefined });
    },
  };
}
