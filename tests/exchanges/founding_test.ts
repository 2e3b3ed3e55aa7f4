/** Founders meet: the whole exchange over loopback, in each mode. */
import assert from "node:assert/strict";
import { FOUNDING_MODES, newFounding, startFounders } from "./founders.ts";

for (const mode of FOUNDING_MODES) {
  Deno.test(`three founders agree on one view, in the mode ${mode}`, async () => {
    await using world = await startFounders(await newFounding(mode), ["a", "b", "c"]);
    const states = await Promise.all(world.founders.map((founder) => founder.agreed()));
    const names = states.map(({ view }) => view.entries.map(({ name }) => name));
    assert.deepEqual(names[1], names[0]);
    assert.deepEqual(names[2], names[0]);
    assert.deepEqual(names[0]?.toSorted(), ["a", "b", "c"]);
  });
}
