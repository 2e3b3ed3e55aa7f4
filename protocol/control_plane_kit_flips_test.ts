/** A kit is refused when any byte of its keys is changed. */
import assert from "node:assert/strict";
import { copyOf, utf8 } from "../platform/bytes.ts";
import { sliceOfFlips, takeSlice } from "../tests/full/slice.ts";
import { checkControlPlaneKit, decodeControlPlaneKit, encodeControlPlaneKit } from "./control_plane_kit.ts";
import { newKit } from "./testing/kit.ts";

Deno.test("decodeControlPlaneKit() and checkControlPlaneKit() refuse a key with any changed byte", async () => {
  const { ca, kit } = await newKit();
  const bytes = encodeControlPlaneKit(kit);
  const keyBytes = bytes.length - utf8(kit.policyDocument).length - 2;
  for (const index of takeSlice([...bytes.keys()].slice(0, keyBytes), sliceOfFlips())) {
    const flipped = copyOf(bytes);
    flipped[index] = (flipped[index] ?? 0) ^ 1 << index % 8;
    await assert.rejects(
      async () => await checkControlPlaneKit(decodeControlPlaneKit(flipped), ca.certificate, new Date(), () => {}),
      { code: /^(?:malformed|refused)\/sealed-kit$/ },
      `byte ${index}`,
    );
  }
});
