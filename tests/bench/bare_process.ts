/** Runs a bare gRPC server in its own process. The server starts to listen when it is told to. */
import * as v from "valibot";
import { startBareServer } from "./bare_grpc.ts";
import { tell, toldLines } from "./line_process.ts";

const taskSchema = v.object({ port: v.number() });

tell({ event: "ready" });
for await (const line of toldLines()) {
  const { port } = await startBareServer(v.parse(taskSchema, line).port);
  tell({ event: "listening", port, atMs: performance.timeOrigin + performance.now() });
}
