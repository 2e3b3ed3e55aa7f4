import assert from "node:assert/strict";
import { archiveAmong } from "./debian_packages.ts";

Deno.test("archiveAmong() takes the archive of Debian, of whatever host, and no other one", () => {
  const lines = [
    "HashiCorp|hashicorp|https://apt.example/",
    "||https://unknown.example/debian/",
    "Debian|Debian-Security|https://mirror.example/debian-security/",
    "Debian|Debian|https://mirror.example/debian/",
    "Debian|Debian|https://second.example/debian/",
  ];
  assert.equal(archiveAmong(lines.join("\n")), "https://mirror.example/debian");
  assert.throws(() => archiveAmong(lines.slice(0, 3).join("\n")), /apt-get update/);
  assert.throws(() => archiveAmong(""), /no archive of Debian/);
});
