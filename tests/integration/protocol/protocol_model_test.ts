/**
 * The protocol's models: the claims about Init, Join and founding among equals are proved, and attacks on weaker variants
 * are found. `deno task test:protocol` runs the whole matrix.
 */
import assert from "node:assert/strict";
import { runVariants, surprises } from "../../protocol/matrix.ts";
import { VARIANTS } from "../../protocol/variants.ts";
import { measureSpeed, slowdownOf } from "../../tools/machine_speed.ts";
import { proverif } from "../../tools/proverif.ts";

const CPU_SECONDS = 120;
/** Longer than the two minutes that these variants take on a quiet machine with two cores. */
const TOTAL_SECONDS = 6 * 60;
const CHOSEN = [
  ...["i_base", "j_base", "i_nohello", "i_noact", "i_nopcr15", "j_nofound"],
  ...["f_tok", "fd_att", "jd_att", "ft_nocb", "fd_nopcr12"],
];

const missing = await proverif().then(() => undefined, (error: Error) => error.message);
const NAME = "the models are proved, and attacks are found on six variants that lack a rule";

Deno.test({
  name: missing === undefined ? NAME : `${NAME} -- IGNORED: ${missing}`,
  ignore: missing !== undefined,
  async fn() {
    const variants = CHOSEN.map((name) => VARIANTS.find((variant) => variant.name === name) ?? assert.fail(name));
    const totalSeconds = TOTAL_SECONDS * slowdownOf(await measureSpeed());
    const limits = { jobs: 2, cpuSeconds: CPU_SECONDS, totalSeconds, onEnd: () => {} };
    const outcomes = await runVariants(variants, limits);
    assert.deepEqual([...outcomes].flatMap(([variant, outcome]) => surprises(variant, outcome)), []);
  },
});
