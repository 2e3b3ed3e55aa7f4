import assert from "node:assert/strict";
import { NO_IMPORT_ARGUMENT, turnsOffCredentials } from "./kernel_arguments.ts";

Deno.test("turnsOffCredentials() accepts the argument in every form that systemd reads as off", () => {
  for (const value of ["no", "0", "off", "false", "n", "f", "No"]) {
    assert.ok(turnsOffCredentials(`ro systemd.import_credentials=${value} quiet\n`), value);
  }
  assert.ok(turnsOffCredentials(NO_IMPORT_ARGUMENT));
  assert.ok(turnsOffCredentials("systemd.import-credentials=no"));
});

Deno.test("turnsOffCredentials() refuses arguments that lack it, or that may turn it on again", () => {
  for (
    const text of [
      "",
      "ro quiet",
      "systemd.import_credentials",
      "systemd.import_credentials=yes",
      "systemd.import_credentials=nope",
      "rd.systemd.import_credentials=no",
      `x${NO_IMPORT_ARGUMENT}`,
      `${NO_IMPORT_ARGUMENT} systemd.import_credentials=yes`,
      `${NO_IMPORT_ARGUMENT} "systemd.import-credentials=1"`,
      `${NO_IMPORT_ARGUMENT} rd.systemd.import_credentials=1`,
    ]
  ) assert.ok(!turnsOffCredentials(text), text);
});
