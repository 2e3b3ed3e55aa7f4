/**
 * The variants of the model, each with what it must show.
 *
 * @module
 */

/** A flag of the model; `bootstrapper.pvc` says what each is. */
export type Flag =
  | (
    | "INIT"
    | "JOIN"
    | "REACH"
    | "DIRECT"
    | "LEAKK"
    | "LOST"
    | "LOSTSAME"
    | "RESUME"
    | "REJOIN"
    | "AGAIN"
    | "ONEKC"
    | "KNOWNID"
    | "SMALL"
    | "ALONE"
  )
  | ("NOCB" | "NOHELLO" | "NONONCE" | "NOA1" | "NOACT" | "NOTAG" | "NOPCR12" | "NOPCR15" | "NOFOUND" | "NOFOUNDS")
  | ("NONAME" | "NOCACHECK" | "NOSVC" | "NOSUBJ" | "NOSEAL" | "NOADM" | "NODISK" | "NOIDENT");

/** A query of the model; the last two must be false. */
export type Query = "Q1" | "I1" | "I2" | "I3" | "I4" | "I5" | "J1" | "J2" | "J3" | "reach-init" | "reach-join";

/** One variant. */
export interface Variant {
  /** For people. */
  readonly name: string;
  /** What is set. */
  readonly flags: readonly Flag[];
  /** The verdicts, in the order of {@linkcode queriesOf}; `?` is not decided, and any verdict will do. */
  readonly expected: string;
  /**
   * `base`: nothing is left out, everything must be proved. `breaks`: a rule is left out, and an attack must be found.
   * `insurance`: a rule is left out, and nothing breaks in this model. `open`: not all of it is decided.
   */
  readonly kind: "base" | "breaks" | "insurance" | "open";
  /** The attack, or what the scene is. */
  readonly why: string;
}

/** The queries that a variant has, in the order in which ProVerif answers them. */
export function queriesOf(flags: readonly Flag[]): Query[] {
  const [init, join, reach] = (["INIT", "JOIN", "REACH"] as const).map((flag) => flags.includes(flag));
  return [
    "Q1",
    ...(init ? ["I1", "I2", "I3", "I4", "I5"] as const : []),
    ...(join ? ["J1", "J2", "J3"] as const : []),
    ...(init && reach ? ["reach-init"] as const : []),
    ...(join && reach ? ["reach-join"] as const : []),
  ];
}

function variant(name: string, flags: string, kind: Variant["kind"], expected: string, why: string): Variant {
  return { name, flags: flags.split(" ") as Flag[], kind, expected, why };
}

/** All of them. */
export const VARIANTS: readonly Variant[] = Object.freeze([
  variant("i_base", "INIT REACH", "base", "TTTTTTF", "Init as it is"),
  variant("i_resume", "INIT RESUME REACH", "base", "TTTTTTF", "crash after the lock, the operator comes back"),
  variant("j_base", "JOIN REACH", "base", "TTTTF", "Join as it is"),
  variant("j_knownid", "JOIN KNOWNID REACH", "base", "TTTTF", "nodes that know the cluster ID"),
  variant("d_base", "JOIN DIRECT NOACT REACH", "base", "TTTTF", "quotes under a certified key"),
  variant("j_onekc", "JOIN ONEKC REACH", "base", "TTTTF", "K_c and E_c outlive a connection"),
  variant("d_onekc", "JOIN DIRECT NOACT ONEKC REACH", "base", "TTTTF", "K_c and E_c outlive a connection"),
  variant("d_rejoin", "JOIN DIRECT NOACT REJOIN REACH", "base", "TTTTF", "a node asks again after its lock"),
  variant("i_nocb", "INIT NOCB", "breaks", "TFFFFT", "a man in the middle ends TLS on both sides"),
  variant("i_nocb_nononce", "INIT NOCB NONONCE", "breaks", "TFFFFT", "the same, and replay"),
  variant("i_nohello", "INIT NOHELLO", "breaks", "TFTTTT", "anyone draws evidence"),
  variant(
    "i_noact",
    "INIT NOACT",
    "breaks",
    "TTFTFF",
    "an attestation key in software beside somebody's real endorsement key",
  ),
  variant("i_nopcr15", "INIT NOPCR15", "breaks", "TTFTFF", "a member that was taken over poses as fresh"),
  variant("i_nopcr12", "INIT NOPCR12", "breaks", "TTFTTF", "a genuine VM that also obeys somebody else"),
  variant("i_noname_nopcr12", "INIT NONAME NOPCR12", "breaks", "TTFFTF", "another cluster of the operator"),
  variant("i_leakk", "INIT LEAKK", "breaks", "TTTTFT", "whoever has the connection's keys answers in the VM's place"),
  variant("i_leakk_nocacheck", "INIT LEAKK NOCACHECK", "breaks", "TTTTFF", "and with a CA of his own"),
  variant(
    "i_resume_noident",
    "INIT RESUME NOIDENT ALONE",
    "open",
    "T?????",
    "a member that was taken over answers for the VM of the record",
  ),
  variant(
    "i_resume_nodisk",
    "INIT DIRECT NOACT RESUME NODISK SMALL",
    "open",
    "T?????",
    "a locked node takes another request",
  ),
  variant("i_nononce", "INIT NONONCE", "insurance", "TTTTTT", "against a binding that repeats"),
  variant("i_noa1", "INIT NOA1", "insurance", "TTTTTT", "against messages to come"),
  variant("i_notag", "INIT NOTAG", "insurance", "TTTTTT", "against messages to come"),
  variant(
    "i_nocacheck",
    "INIT NOCACHECK",
    "insurance",
    "TTTTTT",
    "against a leaked session key, see i_leakk_nocacheck",
  ),
  variant(
    "i_nofounds",
    "INIT NOFOUNDS",
    "insurance",
    "TTTTTT",
    "the request's signature covers the same; nodes would refuse the cluster",
  ),
  variant("i_noname", "INIT NONAME", "insurance", "TTTTTT", "PCR 12 has the name too, see i_noname_nopcr12"),
  variant("j_nofound", "JOIN NOFOUND", "breaks", "TFFT", "any self-made CA captures the node"),
  variant("j_nopcr12", "JOIN NOPCR12", "breaks", "TTTF", "a genuine VM that also obeys somebody else"),
  variant(
    "j_noact",
    "JOIN NOACT SMALL ALONE",
    "breaks",
    "FTTF",
    "an attestation key in software beside somebody's real endorsement key",
  ),
  variant(
    "j_lost",
    "JOIN LOST",
    "breaks",
    "TTFT",
    "the CA key of another cluster leaked: it captures nodes of its own name, and no others (J1)",
  ),
  variant("j_lostsame", "JOIN LOSTSAME", "breaks", "TTFT", "the same under the same name"),
  variant("d_nocb", "JOIN DIRECT NOACT NOCB", "breaks", "TTFF", "a man in the middle ends TLS on both sides"),
  variant("d_nocb_noseal", "JOIN DIRECT NOACT NOCB NOSEAL", "breaks", "FTFF", "and reads the cluster's keys"),
  variant("d_nopcr15", "JOIN DIRECT NOACT NOPCR15", "breaks", "FTFF", "a member that was taken over poses as fresh"),
  variant("d_noname_lost", "JOIN DIRECT NOACT NONAME LOST", "breaks", "TFFT", "another cluster of the operator"),
  variant("d_noname_nopcr12", "JOIN DIRECT NOACT NONAME NOPCR12", "breaks", "TFTF", "another cluster of the operator"),
  variant(
    "d_leakk_noseal",
    "JOIN DIRECT NOACT LEAKK NOSEAL SMALL",
    "breaks",
    "FTF?",
    "a leaked session key gives the cluster's keys",
  ),
  variant("d_onekc_nosvc", "JOIN DIRECT NOACT ONEKC NOSVC", "breaks", "TTFT", "an earlier certificate is used again"),
  variant(
    "d_rejoin_noadm",
    "JOIN DIRECT NOACT REJOIN NOADM SMALL",
    "breaks",
    "FTFF",
    "a worker that was taken over asks for a control plane's role",
  ),
  variant("j_noseal", "JOIN NOSEAL", "insurance", "TTTT", "against a leaked session key, see d_leakk_noseal"),
  variant("j_noname", "JOIN NONAME", "insurance", "TTTT", "see d_noname_lost"),
  variant("j_nononce", "JOIN NONONCE", "insurance", "TTTT", "against a binding that repeats"),
  variant("j_noa1", "JOIN NOA1", "insurance", "TTTT", "against messages to come"),
  variant("j_nosvc", "JOIN NOSVC", "insurance", "TTTT", "see d_onekc_nosvc"),
  variant("j_nosubj", "JOIN NOSUBJ", "insurance", "TTTT", "kubelets have certificates of the CA too"),
  variant("j_notag", "JOIN NOTAG", "insurance", "TTTT", "against messages to come"),
  variant(
    "d_leakk",
    "JOIN DIRECT NOACT LEAKK",
    "breaks",
    "TTFT",
    "whoever has the connection's keys changes the ticket's documents; the cluster's keys stay secret",
  ),
  variant("e_base", "INIT JOIN DIRECT NOACT SMALL", "open", "?????????", "Init and Join end to end"),
  variant(
    "d_again",
    "JOIN DIRECT NOACT REJOIN AGAIN",
    "open",
    "????",
    "a node asks again after its lock, its own side",
  ),
]);
