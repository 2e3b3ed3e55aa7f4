/**
 * Runs the JoinClient of this node with the real effects.
 *
 * @module
 */
import { proveChannelBinding } from "../channel/finished.ts";
import type { JoinClientDependencies, JoinClientOptions } from "../join/client.ts";
import { runJoinClient } from "../join/client.ts";
import { onAbort, untilAborted } from "../platform/abortable.ts";
import { endpointText } from "../platform/endpoint.ts";
import { sourceText } from "../platform/endpoint_source.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { FollowedEndpoints } from "../platform/follow_endpoints.ts";
import { present } from "../platform/present.ts";
import type { StayingParts } from "./adopted_worker.ts";
import { isAdopted, stayingParts } from "./adopted_worker.ts";
import { controlPlaneMaker } from "./control_plane_maker.ts";
import type { JoinGate } from "./join_gate.ts";
import { kubeletVersion, systemdKubelet } from "./kubelet.ts";
import { failedChecks } from "./preflight.ts";
import type { Contender } from "./run_dependencies.ts";
import type { EndpointsStatus } from "./status.ts";
import { statusRefusal } from "./status.ts";

/**
 * Obtains a ticket and joins; returns when this node is a member of its cluster.
 *
 * @param gate Holds the search back, or bounds it to one cluster.
 */
export async function joinCluster(contender: Contender, gate: JoinGate): Promise<void> {
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
  const end = await joinThroughGate(contender, gate);
  if (end === "lost") await untilAborted(signal);
}

/** Begins anew whenever the gate closes before the node is locked. */
async function joinThroughGate(contender: Contender, gate: JoinGate): Promise<"joined" | "lost"> {
  const { lock, signal } = contender;
  const common = await dependencies(contender);
  for (;;) {
    const { only, closed } = lock.state().name === "locked" ? {} : await gate.whenOpen(signal);
    const stop = new AbortController();
    using _stopping = onAbort(signal, () => stop.abort(signal.reason));
    using _closing = onAbort(closed, () => {
      if (lock.state().name === "unlocked") stop.abort();
    });
    try {
      return await runJoinClient({ ...common, ...present("only", only) }, options(contender, stop.signal));
    } catch (error) {
      if (signal.aborted || closed?.aborted !== true) throw error;
    }
  }
}

async function dependencies(contender: Contender): Promise<JoinClientDependencies> {
  const { deps, lock, issuer, journals, kubeadm, checks } = contender;
  const { configuration: { trust, join }, self, paths, commands, clock, log } = deps;
  const usual: StayingParts = {
    kubeadm,
    localChecks: () => failedChecks(checks),
    kubelet: systemdKubelet({ self, paths, kubeadm, commands, clock }),
  };
  return {
    ...await isAdopted(paths.state) ? stayingParts(deps, usual) : usual,
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
    kubeletVersion: await kubeletVersion(commands),
    ...present("founders", deps.founders),
    ...present("token", deps.foundingToken),
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

function options({ deps: { clock }, status, onLocked }: Contender, signal: AbortSignal): JoinClientOptions {
  let wasRefused = false;
  const sources = new Map<string, EndpointsStatus>();
  return {
    signal,
    onEndpointFailure: ({ endpoint, error, kind }) => {
      // A refusal by one service is more useful to show than the absence of another.
      wasRefused ||= kind === "refused";
      if (wasRefused && kind === "unreachable") return;
      status.update({ lastRefusal: statusRefusal(error, clock.now(), endpoint) });
    },
    onEndpointSource: (followed) => {
      sources.set(sourceText(followed.source), endpointsStatus(followed));
      status.update({ endpoints: [...sources.values()].slice(0, SHOWN_SOURCES) });
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

/** The status must stay small whatever a name server answers. */
const SHOWN_SOURCES = 16;
const SHOWN_ENDPOINTS = 16;
const LONGEST_FAILURE = 300;

function endpointsStatus({ source, endpoints, leftOut, failure }: FollowedEndpoints): EndpointsStatus {
  return {
    source: sourceText(source),
    count: endpoints.length,
    endpoints: endpoints.slice(0, SHOWN_ENDPOINTS).map(endpointText),
    ...present("leftOut", leftOut === 0 ? undefined : leftOut),
    ...present("failure", failure?.slice(0, LONGEST_FAILURE)),
  };
}
