import assert from "node:assert/strict";
import { unitLinks } from "./unit_links.ts";

Deno.test("unitLinks() returns the links that [Install] requests", () => {
  const text = "[Unit]\nWantedBy=not-here.target\n\n[Install]\nWantedBy=a.target b.target\nRequiredBy=c.service\n";
  assert.deepEqual(unitLinks("x.service", text), [
    { path: "/etc/systemd/system/a.target.wants/x.service", target: "/etc/systemd/system/x.service" },
    { path: "/etc/systemd/system/b.target.wants/x.service", target: "/etc/systemd/system/x.service" },
    { path: "/etc/systemd/system/c.service.requires/x.service", target: "/etc/systemd/system/x.service" },
  ]);
});

Deno.test("unitLinks() refuses a unit that no other unit would start", () => {
  assert.throws(() => unitLinks("x.service", "[Unit]\nWantedBy=a.target\n[Install]\n"), /names no unit/);
});
