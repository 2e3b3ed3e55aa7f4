import { join } from "node:path";

/** The path of the model. */
export const modelPath: string = join(import.meta.dirname ?? ".", "bootstrapper.pvc");
