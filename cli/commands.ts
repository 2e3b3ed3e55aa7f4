/**
 * The list of commands, in the order in which `bootstrapper --help` shows them.
 *
 * @module
 */
import type { AnyCommand } from "./command.ts";
import { abandon } from "./commands/abandon.ts";
import { backup } from "./commands/backup.ts";
import { configCheck } from "./commands/config_check.ts";
import { configNew } from "./commands/config_new.ts";
import { configSchema } from "./commands/config_schema.ts";
import { adoptCluster } from "./commands/adopt_cluster.ts";
import { adoptFinish } from "./commands/adopt_finish.ts";
import { adoptHere } from "./commands/adopt_here.ts";
import { adoptNode } from "./commands/adopt_node.ts";
import { device } from "./commands/device.ts";
import { evidence } from "./commands/evidence.ts";
import { init } from "./commands/init.ts";
import { initFront } from "./commands/init_front.ts";
import { joinFront } from "./commands/join_service_front.ts";
import { joinProver } from "./commands/join_service_prover.ts";
import { joinSigner } from "./commands/join_service_signer.ts";
import { keygen } from "./commands/keygen.ts";
import { machineSetup } from "./commands/machine_setup.ts";
import { man } from "./commands/man.ts";
import { measure } from "./commands/measure.ts";
import { networkApply } from "./commands/network_apply.ts";
import { nodeFoundingAdd } from "./commands/node_founding_add.ts";
import { nodeFoundingSign } from "./commands/node_founding_sign.ts";
import { nodeReattest } from "./commands/node_reattest.ts";
import { nodeRemove } from "./commands/node_remove.ts";
import { nodes } from "./commands/nodes.ts";
import { policyCollateralFetch } from "./commands/policy_collateral_fetch.ts";
import { policyExplain } from "./commands/policy_explain.ts";
import { policyMake } from "./commands/policy_make.ts";
import { policyRegisters } from "./commands/policy_registers.ts";
import { completion } from "./commands/completion.ts";
import { controlPlaneRenew } from "./commands/control_plane_renew.ts";
import { renew } from "./commands/renew.ts";
import { reset } from "./commands/reset.ts";
import { restore } from "./commands/restore.ts";
import { run } from "./commands/run.ts";
import { status } from "./commands/status.ts";
import { tokenNew } from "./commands/token_new.ts";
import { upgradePlan } from "./commands/upgrade_plan.ts";
import { verify } from "./commands/verify.ts";
import { version } from "./commands/version.ts";

export { COMMAND_FAMILIES } from "./command_families.ts";

/** All commands. */
export const COMMANDS: readonly AnyCommand[] = Object.freeze([
  run,
  measure,
  initFront,
  joinFront,
  joinSigner,
  joinProver,
  renew,
  controlPlaneRenew,
  backup,
  machineSetup,
  status,
  evidence,
  device,
  reset,
  init,
  networkApply,
  abandon,
  nodes,
  nodeRemove,
  nodeReattest,
  upgradePlan,
  nodeFoundingSign,
  nodeFoundingAdd,
  configNew,
  configCheck,
  configSchema,
  adoptCluster,
  adoptHere,
  adoptNode,
  adoptFinish,
  policyMake,
  policyExplain,
  policyRegisters,
  policyCollateralFetch,
  verify,
  restore,
  keygen,
  tokenNew,
  version,
  completion,
  man,
]);
