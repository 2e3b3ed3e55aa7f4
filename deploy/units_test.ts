import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";

const deploy = import.meta.dirname ?? ".";
const FRONT = "bootstrapper-join-front.service";
const SIGNER = "bootstrapper-join-signer.service";
const PROVER = "bootstrapper-join-prover.service";
const RENEW = "bootstrapper-renew.service";
const CONTROL_PLANE_RENEW = "bootstrapper-control-plane-renew.service";
const BACKUP = "bootstrapper-backup.service";
const UNITS = [
  ...["bootstrapper-measure.service", "bootstrapper.service"],
  ...[RENEW, CONTROL_PLANE_RENEW, FRONT, SIGNER, PROVER],
];

type Unit = ReadonlyMap<string, readonly string[]>;

/** Reads the settings of a unit file, as `Section.Key`, in the order of the file. */
async function readUnit(path: string): Promise<Unit> {
  const settings = new Map<string, string[]>();
  let section = "";
  // A backslash at the end of a line stands for a space (systemd.syntax(7)).
  for (const line of (await Deno.readTextFile(join(deploy, path))).replaceAll("\\\n", " ").split("\n")) {
    const [, name] = /^\[(\w+)\]$/.exec(line) ?? [];
    if (name !== undefined) section = name;
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    settings.set(`${section}.${key}`, [...settings.get(`${section}.${key}`) ?? [], value]);
  }
  return settings;
}

const words = (unit: Unit, key: string) => (unit.get(key) ?? []).flatMap((value) => value.split(/\s+/));
const only = (unit: Unit, key: string) => (unit.get(key) ?? []).join(" ");

/** Runs `systemd-analyze` with arguments; returns `undefined` if it is not installed. */
async function analyze(...args: readonly string[]): Promise<{ code: number; text: string } | undefined> {
  try {
    const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", { args: [...args] }).output();
    const decoder = new TextDecoder();
    return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

Deno.test("the units start existing commands of the binary", async () => {
  const { COMMANDS } = await import("../cli/commands.ts");
  for (const name of UNITS) {
    const start = only(await readUnit(name), "Service.ExecStart");
    const [, inLoop = start] = /^\/bin\/sh -c '.* do (.*?); /.exec(start) ?? [];
    const [program, ...subcommand] = inLoop.split(" ");
    assert.equal(program, "/usr/local/bin/bootstrapper");
    assert.ok(COMMANDS.some((known) => known.name === subcommand.join(" ")), name);
  }
});

Deno.test("backups are made daily where an operator has enabled that and named recipients, and by a process that can only read", async () => {
  const { backup } = await import("../cli/commands/backup.ts");
  const [unit, timer] = [await readUnit(BACKUP), await readUnit("bootstrapper-backup.timer")];
  const start = words(unit, "Service.ExecStart");
  assert.deepEqual(start.slice(0, 2), ["/usr/local/bin/bootstrapper", backup.name]);
  const [, target] = start.slice(start.indexOf("--to"));
  assert.equal(target, `/var/lib/${only(unit, "Service.StateDirectory")}`);
  assert.equal(only(unit, "Service.StateDirectoryMode"), "0700");
  assert.ok(words(unit, "Unit.ConditionPathExists").includes("/etc/bootstrapper/backup-recipients"));
  assert.ok(words(unit, "Service.Environment").includes("DENO_TLS_CA_STORE=,"));
  assert.equal(only(unit, "Service.CapabilityBoundingSet"), "CAP_DAC_READ_SEARCH");
  assert.equal(only(unit, "Service.ProtectSystem"), "strict");
  assert.equal(unit.has("Service.ReadWritePaths"), false);
  assert.equal(only(unit, "Service.LimitCORE"), "0");
  assert.equal(only(timer, "Timer.OnCalendar"), "daily");
  const preset = await Deno.readTextFile(join(deploy, "50-bootstrapper.preset"));
  assert.ok(!preset.includes("enable bootstrapper-backup"));
});

Deno.test("the journal has the lines of every unit under the name bootstrapper", async () => {
  for (const name of UNITS) {
    const unit = await readUnit(name);
    const [started = ""] = words(unit, "Service.ExecStart");
    assert.equal(only(unit, "Service.SyslogIdentifier") || basename(started), "bootstrapper", name);
  }
});

Deno.test("the units empty Deno's store of CAs", async () => {
  for (const name of UNITS) {
    assert.ok(words(await readUnit(name), "Service.Environment").includes("DENO_TLS_CA_STORE=,"), name);
  }
});

Deno.test("containerd, the kubelet and the bootstrapper require the measurement and follow it", async () => {
  const drops = ["containerd.service.d/10-bootstrapper-measure.conf", "kubelet.service.d/10-bootstrapper-measure.conf"];
  for (const path of [...drops, "bootstrapper.service", RENEW, CONTROL_PLANE_RENEW, FRONT, SIGNER, PROVER]) {
    const unit = await readUnit(path);
    assert.ok(words(unit, "Unit.Requires").includes("bootstrapper-measure.service"), path);
    assert.ok(words(unit, "Unit.After").includes("bootstrapper-measure.service"), path);
  }
  const measure = await readUnit("bootstrapper-measure.service");
  for (const unit of ["bootstrapper.service", "containerd.service", "kubelet.service"]) {
    assert.ok(words(measure, "Unit.Before").includes(unit));
  }
  assert.equal(only(measure, "Service.RemainAfterExit"), "yes");
});

Deno.test("the measurement can read what the host hands over: fw_cfg's driver is loaded, and nothing hides /sys/firmware", async () => {
  const measure = await readUnit("bootstrapper-measure.service");
  for (const key of ["Unit.Wants", "Unit.After"]) {
    assert.ok(words(measure, key).includes("modprobe@qemu_fw_cfg.service"), key);
  }
  for (const name of ["bootstrapper-measure.service", "bootstrapper.service"]) {
    const unit = await readUnit(name);
    assert.ok(!words(unit, "Service.InaccessiblePaths").some((path) => path.includes("/sys")), name);
    assert.equal(only(unit, "Service.User"), "", name);
    assert.notEqual(only(unit, "Service.DynamicUser"), "yes", name);
    assert.notEqual(only(unit, "Service.PrivateUsers"), "yes", name);
  }
});

Deno.test("only the unit that bootstraps a node is handed the founding token", async () => {
  const { TOKEN_CREDENTIAL } = await import("../node/host_credentials.ts");
  for (const name of UNITS) {
    const loaded = words(await readUnit(name), "Service.LoadCredential").includes(TOKEN_CREDENTIAL);
    assert.equal(loaded, name === "bootstrapper.service", name);
  }
});

Deno.test("the kubelet runs only on a locked node, whose lock has been measured", async () => {
  const unit = await readUnit("kubelet.service.d/10-bootstrapper-measure.conf");
  assert.equal(only(unit, "Unit.ConditionPathExists"), "/var/lib/bootstrapper/node.lock");
});

Deno.test("the kubelet requests no certificate, and starts with one that has ended, whatever kubeadm's files say", async () => {
  const drop = "20-bootstrapper-certificates.conf";
  assert.ok(drop > "10-kubeadm.conf");
  const text = await Deno.readTextFile(join(deploy, "kubelet.service.d", drop));
  const [, reset, start = ""] = /\nExecStart=(.*)\nExecStart=((?:.*\\\n)*.*)\n/.exec(text) ?? [];
  assert.equal(reset, "");
  const [program, ...flags] = start.replaceAll("\\\n", " ").split(/\s+/);
  assert.equal(program, "kubelet");
  // The kubelet takes the last one of a flag, and flags over its configuration.
  assert.deepEqual(flags.slice(-2), ["--bootstrap-kubeconfig=", "--rotate-certificates=false"]);
  assert.ok(flags.includes("--kubeconfig=/etc/kubernetes/kubelet.conf"));
  assert.ok(flags.includes("$KUBELET_KUBEADM_ARGS"));
});

Deno.test("the renewal starts only on a member, when the date of its file has come, again and again", async () => {
  const unit = await readUnit("bootstrapper-renew.service");
  assert.equal(only(unit, "Unit.ConditionPathExists"), "/var/lib/bootstrapper/member");
  const [program = "", ...args] = words(unit, "Service.ExecCondition");
  const run = async () => {
    const { code } = await new Deno.Command(program, { args: args.map((arg) => arg === FILE ? file : arg) }).output();
    return code;
  };
  const FILE = "/var/lib/bootstrapper/renewal.due";
  assert.ok(args.includes(FILE));
  const file = await Deno.makeTempFile();
  await Deno.utime(file, new Date(0), new Date(0));
  assert.equal(await run(), 0);
  const later = new Date(Date.now() + 3_600_000);
  await Deno.utime(file, later, later);
  assert.equal(await run(), 1);
  await Deno.remove(file);
  assert.equal(await run(), 0);
  assert.equal(only(unit, "Service.Restart"), "on-failure");
  assert.equal(only(unit, "Service.RestartPreventExitStatus"), "2");
  const timer = await readUnit("bootstrapper-renew.timer");
  assert.equal(only(timer, "Timer.OnCalendar"), "*:0/10");
  assert.equal(only(timer, "Timer.Persistent"), "yes");
});

Deno.test("a control plane's certificates are renewed before the kubelet starts, and by a timer", async () => {
  const unit = await readUnit(CONTROL_PLANE_RENEW);
  assert.deepEqual(words(unit, "Unit.Before"), ["kubelet.service", SIGNER]);
  assert.equal(only(unit, "Service.Type"), "oneshot");
  // Neither the network nor the time may keep a kubelet from starting.
  assert.deepEqual(words(unit, "Unit.After"), ["bootstrapper-measure.service"]);
  const conditions = ["/var/lib/bootstrapper/member", "/etc/kubernetes/pki/ca.key"];
  assert.deepEqual(words(unit, "Unit.ConditionPathExists"), conditions);
  const due = ["/usr/bin/test", "/proc/self", "-nt", "/var/lib/bootstrapper/control-plane-renewal.due"];
  assert.deepEqual(words(unit, "Service.ExecCondition"), due);
  const timer = await readUnit("bootstrapper-control-plane-renew.timer");
  assert.equal(only(timer, "Timer.OnCalendar"), "*:5/30");
});

Deno.test("systemd restarts the bootstrapper after a failure, without a limit on the number of starts", async () => {
  const unit = await readUnit("bootstrapper.service");
  assert.equal(only(unit, "Service.Restart"), "on-failure");
  assert.equal(only(unit, "Unit.StartLimitIntervalSec"), "0");
});

Deno.test("a run with wrong configuration is not tried again", async () => {
  const unit = await readUnit("bootstrapper.service");
  assert.equal(only(unit, "Service.Restart"), "on-failure");
  assert.deepEqual(words(unit, "Service.RestartPreventExitStatus"), ["2", "3"]);
});

Deno.test("the measurement is tried again within one start, as a restart would not bring back the units that require it", async () => {
  const unit = await readUnit("bootstrapper-measure.service");
  for (const key of ["Service.Restart", "Unit.StartLimitBurst", "Unit.StartLimitIntervalSec"]) {
    assert.equal(unit.has(key), false, key);
  }
  assert.equal(only(unit, "Service.TimeoutStartSec"), "15min");
  const [, script = ""] = /^\/bin\/sh -c '(.*)'$/.exec(only(unit, "Service.ExecStart")) ?? [];
  const folder = await Deno.makeTempDir();
  try {
    const [program, tries] = [join(folder, "program"), join(folder, "tries")];
    // The exit codes of the tries, one after the other; the last one counts from then on.
    const outcomeOf = async (...codes: readonly number[]) => {
      await Deno.writeTextFile(tries, "");
      const lines = codes.map((code, index) => `[ $n -eq ${index + 1} ] && exit ${code}`);
      const text = `#!/bin/sh\necho $1 >>${tries}\nn=$(wc -l <${tries})\n${lines.join("\n")}\nexit ${codes.at(-1)}\n`;
      await Deno.writeTextFile(program, text, { mode: 0o755 });
      const own = script.replaceAll("$$", "$").replaceAll("/usr/local/bin/bootstrapper", program)
        .replaceAll("sleep $", ": $");
      const { code } = await new Deno.Command("/bin/sh", { args: ["-c", own] }).output();
      return [code, await Deno.readTextFile(tries)];
    };
    const measured = (times: number) => "measure\n".repeat(times);
    assert.deepEqual(await outcomeOf(0), [0, measured(1)]);
    assert.deepEqual(await outcomeOf(1, 4, 0), [0, measured(3)]);
    assert.deepEqual(await outcomeOf(1), [1, measured(3)]);
    assert.deepEqual(await outcomeOf(2), [2, measured(1)]);
    assert.deepEqual(await outcomeOf(1, 3), [3, measured(2)]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("front and signer are started and stopped together, and each has a user of its own", async () => {
  const [front, signer] = [await readUnit(FRONT), await readUnit(SIGNER)];
  for (const key of ["BindsTo", "PartOf", "After"]) assert.ok(words(front, `Unit.${key}`).includes(SIGNER), key);
  assert.ok(words(signer, "Unit.Wants").includes(FRONT));
  const users = await Deno.readTextFile(join(deploy, "sysusers.conf"));
  for (const [unit, name] of [[front, "bootstrapper-front"], [signer, "bootstrapper-signer"]] as const) {
    assert.equal(only(unit, "Service.User"), name);
    assert.equal(only(unit, "Service.Group"), "bootstrapper-join");
    assert.ok(users.includes(`\nu ${name} `), name);
  }
  assert.ok(users.includes("\ng bootstrapper-join "));
});

Deno.test("the sockets between front and signer are in folders that only the two users enter", async () => {
  const { nodePaths } = await import("../node/paths.ts");
  const { joinSocket, joinDialer } = nodePaths();
  for (const [name, socket] of [[SIGNER, joinSocket], [FRONT, joinDialer]] as const) {
    const unit = await readUnit(name);
    assert.equal(dirname(socket), `/run/${only(unit, "Service.RuntimeDirectory")}`);
    assert.equal(only(unit, "Service.RuntimeDirectoryMode"), "0750");
  }
});

Deno.test("the signer keeps what it must not forget in the folder that the program takes for it", async () => {
  const unit = await readUnit(SIGNER);
  const { nodePaths } = await import("../node/paths.ts");
  assert.equal(`/var/lib/${only(unit, "Service.StateDirectory")}`, nodePaths().joinSigner);
  assert.equal(only(unit, "Service.StateDirectoryMode"), "0700");
});

Deno.test("front and signer have no device and no capability, and the signer listens on no address", async () => {
  const [front, signer] = [await readUnit(FRONT), await readUnit(SIGNER)];
  for (const unit of [front, signer]) {
    assert.equal(only(unit, "Service.CapabilityBoundingSet"), "");
    assert.ok(unit.has("Service.CapabilityBoundingSet"));
    assert.equal(unit.has("Service.DeviceAllow"), false);
    for (const key of ["NoNewPrivileges", "PrivateDevices", "PrivateTmp", "PrivateUsers", "RestrictNamespaces"]) {
      assert.equal(only(unit, `Service.${key}`), "yes", key);
    }
    assert.equal(only(unit, "Service.ProtectSystem"), "strict");
    assert.equal(only(unit, "Service.RestrictAddressFamilies"), "AF_UNIX AF_INET AF_INET6");
    assert.equal(only(unit, "Service.LimitCORE"), "0");
  }
  for (const key of ["ReadWritePaths", "LoadCredential", "BindPaths"]) assert.equal(front.has(`Service.${key}`), false);
  assert.equal(only(signer, "Service.ReadWritePaths"), "/etc/kubernetes/bootstrapper");
  assert.equal(only(signer, "Service.SocketBindDeny"), "any");
  assert.equal(only(signer, "Service.IPAddressDeny"), "any");
  assert.equal(only(signer, "Service.IPAddressAllow"), "localhost");
  assert.equal(only(signer, "Service.MemorySwapMax"), "0");
});

Deno.test("the prover runs only where the service shows evidence, with the signer, and only the signer reaches it", async () => {
  const [prover, signer, front] = [await readUnit(PROVER), await readUnit(SIGNER), await readUnit(FRONT)];
  const { nodePaths } = await import("../node/paths.ts");
  const { SERVICE_PROVES_FILE } = await import("../service/service_state.ts");
  const { joinProver, joinService } = nodePaths();
  assert.equal(only(prover, "Unit.ConditionPathExists"), join(joinService, SERVICE_PROVES_FILE));
  assert.equal(only(prover, "Unit.PartOf"), SIGNER);
  assert.ok(words(signer, "Unit.Wants").includes(PROVER));
  // Without it a join service still serves who knows the cluster otherwise.
  assert.ok(!words(signer, "Unit.Requires").includes(PROVER));
  assert.equal(dirname(joinProver), `/run/${only(prover, "Service.RuntimeDirectory")}`);
  assert.equal(only(prover, "Service.RuntimeDirectoryMode"), "0750");
  assert.equal(only(prover, "Service.Group"), "bootstrapper-signer");
  assert.equal(only(signer, "Service.SupplementaryGroups"), "bootstrapper-signer");
  assert.equal(front.has("Service.SupplementaryGroups"), false);
  for (const key of ["PrivateNetwork", "NoNewPrivileges", "PrivateTmp", "RestrictNamespaces", "ProtectHome"]) {
    assert.equal(only(prover, `Service.${key}`), "yes", key);
  }
  assert.equal(only(prover, "Service.IPAddressDeny"), "any");
  assert.equal(only(prover, "Service.ProtectSystem"), "strict");
  assert.equal(only(prover, "Service.CapabilityBoundingSet"), "CAP_DAC_OVERRIDE");
  assert.deepEqual(prover.get("Service.LoadCredential"), ["bootstrapper.config"]);
  assert.ok(words(prover, "Service.InaccessiblePaths").includes("-/etc/kubernetes"));
});

Deno.test("the signer gets its keys only from systemd", async () => {
  const unit = await readUnit(SIGNER);
  const { CREDENTIAL_ETCD_FILES, CREDENTIAL_KEY_FILES, KUBEADM_KEY_FILES, clusterKeyNames } = await import(
    "../kubernetes/cluster_keys.ts"
  );
  const { SERVICE_KEY_FILE } = await import("../service/service_state.ts");
  const pki = "/etc/kubernetes/pki";
  assert.deepEqual(unit.get("Service.LoadCredential"), [
    `${SERVICE_KEY_FILE}:/var/lib/bootstrapper/join-service/${SERVICE_KEY_FILE}`,
    ...clusterKeyNames().map((name) => `${CREDENTIAL_KEY_FILES[name]}:${pki}/${KUBEADM_KEY_FILES[name]}`),
    `${CREDENTIAL_ETCD_FILES.certificate}:${pki}/etcd/healthcheck-client.crt`,
    `${CREDENTIAL_ETCD_FILES.key}:${pki}/etcd/healthcheck-client.key`,
  ]);
});

Deno.test("the units that listen may open at least eight files per allowed connection", async () => {
  const { MAXIMUM_CONNECTIONS } = await import("../service/front.ts");
  for (const name of ["bootstrapper.service", FRONT, SIGNER]) {
    const limit = only(await readUnit(name), "Service.LimitNOFILE");
    assert.match(limit, /^\d+$/, name);
    assert.ok(Number(limit) >= 8 * MAXIMUM_CONNECTIONS, name);
  }
});

Deno.test("the units allow the TPM only to the bootstrapper, and no other devices", async () => {
  for (const name of UNITS) {
    const unit = await readUnit(name);
    assert.equal(only(unit, "Service.DevicePolicy"), "closed");
    assert.equal(only(unit, "Service.NoNewPrivileges"), "yes");
    assert.ok(["", "/dev/tpmrm0 rw"].includes(only(unit, "Service.DeviceAllow")));
  }
});

Deno.test("the preset enables the units of every boot, and disables the masked units that write PCR 12 or 15", async () => {
  const masked = (await Deno.readTextFile(join(deploy, "masked-units.txt"))).trimEnd().split("\n");
  const preset = await Deno.readTextFile(join(deploy, "50-bootstrapper.preset"));
  for (const unit of masked) assert.ok(preset.includes(`disable ${unit}\n`), unit);
  for (const unit of [...UNITS, "bootstrapper-renew.timer", "kubelet.service"]) {
    assert.ok(preset.includes(`enable ${unit}\n`), unit);
  }
});

const hasAnalyze = await analyze("--version") !== undefined;

Deno.test({
  name: `systemd-analyze accepts the units${hasAnalyze ? "" : " (SKIPPED: systemd-analyze is not installed)"}`,
  ignore: !hasAnalyze,
  async fn() {
    for (const name of [...UNITS, BACKUP]) {
      const verified = await analyze("verify", "--man=no", join(deploy, name));
      const complaints = (verified?.text ?? "").split("\n").filter((line) =>
        line.includes("bootstrapper") && !line.includes("is not executable")
      );
      assert.deepEqual(complaints, []);
    }
  },
});

Deno.test({
  name: `systemd-analyze finds little exposure${hasAnalyze ? "" : " (SKIPPED: systemd-analyze is not installed)"}`,
  ignore: !hasAnalyze,
  async fn() {
    const limits = {
      "bootstrapper-measure.service": 2,
      "bootstrapper.service": 4.5,
      [RENEW]: 2.5,
      [FRONT]: 1.5,
      [SIGNER]: 1.3,
      [PROVER]: 2.5,
    };
    for (const [name, limit] of Object.entries(limits)) {
      const { text = "" } = await analyze("security", "--offline=yes", "--no-pager", join(deploy, name)) ?? {};
      const [, level] = /Overall exposure level for \S+ (\d+\.\d+)/.exec(text) ?? [];
      assert.ok(level !== undefined && Number(level) <= limit, `${name}: ${text.split("\n").slice(-2).join("")}`);
    }
  },
});
