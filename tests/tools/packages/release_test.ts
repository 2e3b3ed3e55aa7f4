import assert from "node:assert/strict";
import { type Checkout, releaseOf } from "./release.ts";

const commit = "e044cd846aac33b931a29fe7f5a4244a2ba150dc";
const checkout: Checkout = { commit, epochSeconds: 1796106120, tags: [], isDirty: false };

Deno.test("releaseOf() names the release by its tag alone, and anything else by date and commit", () => {
  assert.equal(releaseOf("0.1.0", { ...checkout, tags: ["v0.1.0"] }).version, "0.1.0");
  const other = "0.1.0~git20261201062200.e044cd846aac";
  assert.equal(releaseOf("0.1.0", checkout).version, other);
  assert.equal(releaseOf("0.1.0", { ...checkout, tags: ["v0.0.9", "0.1.0"] }).version, other);
});

Deno.test("releaseOf() says that files differ from the commit, tag or not", () => {
  const { version, commit: named } = releaseOf("0.1.0", { ...checkout, tags: ["v0.1.0"], isDirty: true });
  assert.equal(version, "0.1.0~git20261201062200.e044cd846aac.dirty");
  assert.equal(named, `${commit}-dirty`);
});

Deno.test({
  name: "dpkg orders the versions: a later commit after an earlier one, and the release after both",
  ignore: !await Deno.stat("/usr/bin/dpkg").then(() => true, () => false),
  async fn() {
    const versions = [
      releaseOf("0.1.0", checkout).version,
      releaseOf("0.1.0", { ...checkout, epochSeconds: checkout.epochSeconds + 1, commit: "0".repeat(40) }).version,
      releaseOf("0.1.0", { ...checkout, tags: ["v0.1.0"] }).version,
    ];
    for (const [index, later] of versions.slice(1).entries()) {
      const args = ["--compare-versions", versions[index] ?? "", "lt", later];
      assert.ok((await new Deno.Command("dpkg", { args }).output()).success, args.join(" "));
    }
  },
});
