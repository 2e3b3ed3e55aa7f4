/**
 * The variants of the model of founding among equals, each with what it must show.
 *
 * @module
 */
import { type Model, pathOfModel, type Variant } from "./variant.ts";

const CLAIMS = ["F1", "F2s", "F2c", "F3", "Q1", "F5", "J2", "J3", "F4"] as const;
/** A claim, or an honest end that is reached, whose query must be false. */
type Query = typeof CLAIMS[number] | "reach-follow" | "reach-pin" | "reach-control-plane" | "reach-worker";

/** Founding among equals: the exchange Found, and Join of a cluster that no operator founded. */
export const FOUNDING: Model = Object.freeze({
  name: "founding",
  path: pathOfModel("founding.pvc"),
  claims: CLAIMS,
  queriesOf: allQueriesOf,
});

function allQueriesOf(flags: readonly string[]): Query[] {
  const [found, join, known, token, reach] = ["FOUND", "JOIN", "KNOWN", "TOK", "REACH"].map((flag) =>
    flags.includes(flag)
  );
  return [
    ...(found ? ["F1", "F2s", "F2c", "F3"] as const : []),
    ...(join ? ["Q1"] as const : []),
    ...(join && !known ? ["F5", "J2"] as const : []),
    ...(join ? ["J3"] as const : []),
    ...(token ? ["F4"] as const : []),
    ...(found && reach ? ["reach-follow", "reach-pin"] as const : []),
    ...(join && reach ? ["reach-control-plane", "reach-worker"] as const : []),
  ];
}

function variant(
  name: string,
  flags: string,
  kind: Variant["kind"],
  expected: string,
  why: string,
  asks: readonly Query[] = [],
): Variant {
  return { model: FOUNDING, name, flags: flags.split(" "), asks, kind, expected, why };
}

/** Found between machines whose attestation keys are certified in both directions. */
const CERTIFIED = "FOUND ATT DIRECT NOACTC NOACTS";
/** Join in the same world. */
const CERTIFIED_JOIN = "JOIN ATT DIRECT NOACTC NOACTS";

/**
 * All of them. {@linkcode Variant.flags} are explained in `founding.pvc`. Names begin with `f` for Found and `j` for
 * Join; then `t` stands for a token alone, `d` for certified attestation keys.
 */
export const FOUNDING_VARIANTS: readonly Variant[] = Object.freeze([
  variant("f_tok", "FOUND TOK REACH", "base", "TTTTTFF", "token"),
  variant("fd_att", `${CERTIFIED} REACH`, "base", "TTTTFF", "policy"),
  variant("fd_both", `${CERTIFIED} TOK REACH`, "base", "TTTTTFF", "policy and token"),
  variant("fc_att", "FOUND ATT DIRECT NOACTS REACH", "base", "TTTTFF", "policy; S activates C's credential"),
  variant("fs_att", "FOUND ATT DIRECT NOACTC REACH", "base", "TTTTFF", "policy; C activates S's credential"),
  variant("fc_both", "FOUND ATT TOK DIRECT NOACTS REACH", "base", "TTTTTFF", "both; S activates C's credential"),
  variant("fs_both", "FOUND ATT TOK DIRECT NOACTC REACH", "base", "TTTTTFF", "both; C activates S's credential"),
  variant(
    "fd_restart",
    `${CERTIFIED} RESTART REACH`,
    "base",
    "TTTF",
    "founders that pledged meet again, one of them locked and its TPM an oracle",
    ["F2s", "F2c", "F3", "reach-pin"],
  ),
  variant("ft_leakk", "FOUND TOK LEAKK", "base", "TTTTT", "token; the keys of every connection leak"),
  variant("fd_leakk", `${CERTIFIED} LEAKK`, "base", "TTTT", "policy; the keys of every connection leak"),
  variant("j_tok", "JOIN TOK REACH", "base", "TTTTTFF", "Join, token"),
  variant("j_att", "JOIN ATT REACH", "base", "TTTTFF", "Join, policy, with activation"),
  variant("j_both", "JOIN ATT TOK REACH", "base", "TTTTTFF", "Join, policy and token, with activation"),
  variant("jd_att", `${CERTIFIED_JOIN} REACH`, "base", "TTTTFF", "Join, policy"),
  variant("jd_both", `${CERTIFIED_JOIN} TOK REACH`, "base", "TTTTTFF", "Join, policy and token"),
  variant("jd_known", `${CERTIFIED_JOIN} KNOWN REACH`, "base", "TTFF", "later machines, which know the cluster ID"),
  variant("j_known", "JOIN ATT KNOWN REACH", "base", "TTFF", "the same with activation"),
  variant("jt_cross", "JOIN TOK CROSS", "base", "TTTTT", "the token serves Found too, for anybody"),
  variant("jd_cross", `${CERTIFIED_JOIN} TOK CROSS`, "base", "TTTTT", "nodes, TPMs and token serve Found too"),
  variant(
    "jt_stale",
    "JOIN TOK STALE",
    "base",
    "TTTTT",
    "a cluster of another trust part, of the same name and token, leaked its CA key",
  ),
  variant("jd_stale", `${CERTIFIED_JOIN} TOK STALE`, "base", "TTTTT", "the same with policy and token"),
  variant("ft_nocb", "FOUND TOK NOCB", "breaks", "TFFTT", "a man in the middle ends TLS on both sides"),
  variant("fd_nocb", `${CERTIFIED} NOCB`, "breaks", "TFFT", "the same with a policy"),
  variant("fb_nocb", `${CERTIFIED} TOK NOCB`, "breaks", "TFFTT", "the same with policy and token"),
  variant("ft_notokcb", "FOUND TOK NOTOKCB", "insurance", "TTTTT", "the token over B_c and B_s covers the same"),
  variant("ft_notokcb_notokb", "FOUND TOK NOTOKCB NOTOKB", "breaks", "FFFFT", "a proof of the token is handed on"),
  variant("ft_notokb", "FOUND TOK NOTOKB", "insurance", "TTTTT", "steps 1 and 2 cover the same, see ft_leakk_notokb"),
  variant("ft_leakk_notokb", "FOUND TOK LEAKK NOTOKB", "breaks", "FFFFT", "a leaked session key makes a founder"),
  variant(
    "fb_notokcb_notokb",
    `${CERTIFIED} TOK NOTOKCB NOTOKB`,
    "insurance",
    "TTTTT",
    "evidence covers the same, see ft_notokcb_notokb",
  ),
  variant("ft_nod12", "FOUND TOK NOD12", "breaks", "FFFFT", "another size or policy, the same token"),
  variant("fd_nod12", `${CERTIFIED} NOD12`, "insurance", "TTTT", "PCR 12 has the trust part too, see fd_nopcr12"),
  variant("fd_nopcr12", `${CERTIFIED} NOPCR12`, "breaks", "FFFF", "a genuine VM that also obeys somebody else"),
  variant("fd_nopcr15", `${CERTIFIED} NOPCR15`, "breaks", "FFFF", "a member that was taken over poses as fresh"),
  variant("ft_notag", "FOUND TOK NOTAG", "insurance", "TTTTT", "against messages to come"),
  variant("fd_notag", `${CERTIFIED} NOTAG`, "insurance", "TTTT", "against messages to come"),
  variant(
    "f_noactc",
    "FOUND ATT NOACTC",
    "breaks",
    "FFTF",
    "C's attestation key in software beside somebody's real endorsement key",
  ),
  variant("f_noacts", "FOUND ATT NOACTS", "breaks", "FTFF", "the same of S"),
  variant("ft_nobc", "FOUND TOK NOBC", "insurance", "TTTTT", "A1 covers the connection"),
  variant("fd_nobc", `${CERTIFIED} NOBC`, "insurance", "TTTT", "A1 covers the connection"),
  variant("fd_leakk_nobc", `${CERTIFIED} LEAKK NOBC`, "open", "TT?T", "whom S verified, while session keys leak"),
  variant("ft_leakk_nobc", "FOUND TOK LEAKK NOBC", "insurance", "TTTTT", "whom S verified, while session keys leak"),
  variant("fd_nocard", `${CERTIFIED} NOCARD`, "insurance", "TTTT", "the connection covers it, see fd_leakk_nocard"),
  variant(
    "fd_leakk_nocard",
    `${CERTIFIED} LEAKK NOCARD`,
    "breaks",
    "TFFT",
    "a leaked session key puts another name or address into a founder's mouth",
  ),
  variant("ft_leakk_nocard", "FOUND TOK LEAKK NOCARD", "breaks", "TFFTT", "the same with a token"),
  variant("ft_nosigf", "FOUND TOK NOSIGF", "insurance", "TTTTT", "the token's signature covers the same"),
  variant("fd_nosigf", `${CERTIFIED} NOSIGF`, "insurance", "TTTT", "evidence covers the same, see fd_restart_nosigf"),
  variant(
    "fd_restart_nosigf",
    `${CERTIFIED} RESTART NOSIGF`,
    "breaks",
    "FFT",
    "a founder's TPM is an oracle once it is a member",
    ["F2s", "F2c", "F3"],
  ),
  variant("jt_nocb", "JOIN TOK NOCB", "breaks", "TTFFT", "a man in the middle ends TLS on both sides"),
  variant("jd_nocb", `${CERTIFIED_JOIN} NOCB`, "open", "TT", "a man in the middle, with a policy", ["Q1", "F5"]),
  variant("jt_sym", "JOIN TOK SYM", "breaks", "TFFTT", "a worker that was taken over captures the nodes after it"),
  variant("jt_notokj", "JOIN TOK NOTOKJ", "breaks", "FTFFT", "anybody becomes a control plane"),
  variant(
    "jt_stale_nof12",
    "JOIN TOK STALE NOF12",
    "breaks",
    "TFFFT",
    "the leaked cluster captures nodes of another trust part of its name and token",
  ),
  variant("jd_nofp15", `${CERTIFIED_JOIN} NOFP15`, "breaks", "TFF", "evidence of a member of another cluster", [
    "Q1",
    "F5",
    "J2",
  ]),
  variant("jd_nopcr12", `${CERTIFIED_JOIN} NOPCR12`, "breaks", "FFF", "a genuine VM that also obeys somebody else", [
    "Q1",
    "F5",
    "J2",
  ]),
  variant("jd_nopcr15", `${CERTIFIED_JOIN} NOPCR15`, "breaks", "FT", "a member that was taken over poses as fresh", [
    "Q1",
    "F5",
  ]),
  variant("jd_nosvc", `${CERTIFIED_JOIN} NOSVC`, "insurance", "TTTT", "evidence over A1 covers the same"),
  variant(
    "j_noacts",
    "JOIN ATT NOACTS",
    "breaks",
    "TFF",
    "the founder's attestation key in software beside somebody's real endorsement key",
    ["Q1", "F5", "J2"],
  ),
  variant("j_noactc", "JOIN ATT NOACTC", "breaks", "FT", "the same of the node", ["Q1", "F5"]),
  variant(
    "jd_reboot",
    `${CERTIFIED_JOIN} REBOOT`,
    "breaks",
    "TFF",
    "who writes a member's disk boots it under a lock of its own cluster: not claimed",
    ["Q1", "F5", "J2"],
  ),
  variant(
    "jd_reboot_both",
    `${CERTIFIED_JOIN} TOK REBOOT`,
    "base",
    "TTTTT",
    "who writes the disk of a machine without the token boots it under another lock",
  ),
  variant("f_att", "FOUND ATT REACH", "open", "??????", "policy, both credentials activated"),
  variant("f_both", "FOUND ATT TOK REACH", "open", "???????", "both, both credentials activated"),
]);
