import assert from "node:assert/strict";
import { ClusterView } from "./cluster_view.ts";

Deno.test("ClusterView.get() asks again while the API server does not answer, and returns its answer unchanged", async () => {
  const asked: (readonly string[])[] = [];
  const cluster = new ClusterView({
    kubectl(_, args) {
      asked.push(args);
      return Promise.resolve(
        asked.length === 1
          ? { exitCode: 1, stdout: "", stderr: "The connection to the server was refused" }
          : { exitCode: 0, stdout: '{"items":[{"metadata":{"name":"b"}},{"metadata":{"name":"a"}}]}', stderr: "" },
      );
    },
  }, "kubectl");
  assert.deepEqual(await cluster.nodeNames(), ["a", "b"]);
  assert.deepEqual(asked, Array.from({ length: 2 }, () => ["get", "nodes", "--output=json"]));
});
