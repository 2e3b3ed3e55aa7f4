/**
 * The variants of the model, each with what it must show.
 *
 * @module
 */

/** A flag of the model; `bootstrapper.pvc` says what each is. */
export type Flag =
  | ("INIT" | "JOIN" | "REACH" | "DIRECT" | "LEAKK" | "FRONT" | "WEAK" | "LOST" | "LOSTSAME" | "RESUME" | "REJOIN")
  | ("AGAIN" | "RENEW" | "KEYID" | "ONEKC" | "KNOWNID" | "SMALL" | "ALONE")
  | ("NOCB" | "NOHELLO" | "NONONCE" | "NOA1" | "NOACT" | "NOTAG" | "NOPCR12" | "NOPCR15" | "NOFOUND" | "NOFOUNDS")
  | ("NONAME" | "NOCACHECK" | "NOSVC" | "NOSUBJ" | "NOSEAL" | "NOADM" | "NODISK" | "NOIDENT" | "NOTICK" | "NOANS")
  | ("NOLISTS" | "NOSWITCH" | "NOONCE" | "NOPURPOSE" | "NOSERVING" | "NOIDSIG" | "BYNAME" | "NOREMOVAL");

/** A claim of the model. */
export type Claim = "Q1" | "I1" | "I2" | "I3" | "I4" | "I5" | "J1" | "J2" | "J3" | "J4" | "R1" | "R2";

/** A query of the model: a claim, or an honest end that is reached, whose query must be false. */
export type Query = Claim | "reach-init" | "reach-join" | "reach-renew";

/** One variant. */
export interface Variant {
  /** For people. */
  readonly name: string;
  /** What is set. */
  readonly flags: readonly Flag[];
  /** The queries that ProVerif is asked; all that the flags have, where none are named. */
  readonly asks?: readonly Query[];
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
export function queriesOf({ flags, asks = [] }: Pick<Variant, "flags" | "asks">): Query[] {
  const queries = allQueriesOf(flags);
  return asks.length === 0 ? queries : queries.filter((query) => asks.includes(query));
}

function allQueriesOf(flags: readonly Flag[]): Query[] {
  const [init, join, renew, reach] = (["INIT", "JOIN", "RENEW", "REACH"] as const).map((flag) => flags.includes(flag));
  return [
    "Q1",
    ...(init ? ["I1", "I2", "I3", "I4", "I5"] as const : []),
    ...(join ? ["J1", "J2", "J3", "J4"] as const : []),
    ...(renew ? ["R1", "R2"] as const : []),
    ...(init && reach ? ["reach-init"] as const : []),
    ...(join && reach ? ["reach-join"] as const : []),
    ...(renew && reach ? ["reach-renew"] as const : []),
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
  return { name, flags: flags.split(" ") as Flag[], asks, kind, expected, why };
}

/** All of them. */
export const VARIANTS: readonly Variant[] = Object.freeze([
  variant("i_base", "INIT REACH", "base", "TTTTTTF", "Init as it is"),
  variant("i_resume", "INIT RESUME REACH", "open", "???????", "crash after the lock, the operator comes back"),
  variant("i_leakk", "INIT LEAKK", "base", "TTTTTT", "the keys of every connection leak"),
  variant("i_front", "INIT FRONT REACH", "base", "TTTTTTF", "the InitServer's front is the attacker"),
  variant("i_weak", "INIT WEAK", "base", "TTTTTT", "machines with an insecure switch obey the attacker"),
  variant("j_base", "JOIN FRONT REACH", "base", "TTTTTF", "Join as it is; the service's front is the attacker"),
  variant("j_knownid", "JOIN FRONT KNOWNID REACH", "base", "TTTTTF", "nodes that know the cluster ID"),
  variant("j_onekc", "JOIN FRONT ONEKC REACH", "base", "TTTTTF", "K_c, K_s and E_c outlive a connection"),
  variant(
    "d_weak",
    "JOIN FRONT DIRECT NOACT WEAK SMALL",
    "base",
    "TTTTT",
    "machines with an insecure switch obey the attacker",
  ),
  variant("d_base", "JOIN FRONT DIRECT NOACT REACH", "base", "TTTTTF", "quotes under a certified key"),
  variant("d_tls", "JOIN DIRECT NOACT SMALL REACH", "base", "TTTTTF", "an honest front, and TLS"),
  variant(
    "d_rejoin",
    "JOIN FRONT DIRECT NOACT REJOIN REACH",
    "open",
    "??????",
    "a node asks again after its lock, the service's side",
  ),
  variant("j_renew", "JOIN FRONT RENEW REACH", "open", "?????????", "members join again and renew"),
  variant(
    "d_renew",
    "JOIN FRONT DIRECT NOACT RENEW REACH",
    "base",
    "TTTTTTTFF",
    "the same with quotes under a certified key",
  ),
  variant("k_base", "JOIN FRONT DIRECT NOACT KEYID REACH", "base", "TTTTTF", "a machine's identity is a key"),
  variant(
    "k_renew",
    "JOIN FRONT DIRECT NOACT KEYID RENEW SMALL REACH",
    "base",
    "TTTTTTTFF",
    "the same where a machine's identity is a key",
  ),
  variant("i_nocb", "INIT NOCB SMALL", "breaks", "TFFFFT", "a man in the middle ends TLS on both sides"),
  variant("i_nocb_nononce", "INIT NOCB NONONCE SMALL", "breaks", "TFFFFT", "the same, and replay"),
  variant("i_nohello", "INIT NOHELLO SMALL", "breaks", "TFTTTT", "anyone draws evidence"),
  variant(
    "i_noact",
    "INIT NOACT SMALL",
    "breaks",
    "TTFTFF",
    "an attestation key in software beside somebody's real endorsement key",
  ),
  variant("i_nopcr15", "INIT NOPCR15", "breaks", "TTFTFF", "a member that was taken over poses as fresh"),
  variant("i_nopcr12", "INIT NOPCR12 SMALL", "breaks", "TTFFTF", "a genuine VM that also obeys somebody else"),
  variant("i_noname_nopcr12", "INIT NONAME NOPCR12 SMALL", "breaks", "TTFFTF", "another cluster of the operator"),
  variant(
    "i_leakk_noans",
    "INIT LEAKK NOANS SMALL",
    "breaks",
    "TTTTFT",
    "whoever has the connection's keys answers in the VM's place",
  ),
  variant(
    "i_leakk_noans_nocacheck",
    "INIT LEAKK NOANS NOCACHECK SMALL",
    "breaks",
    "TTTTFF",
    "and with a CA of his own",
  ),
  variant("i_front_noans", "INIT FRONT NOANS SMALL", "breaks", "TTTTFT", "the front answers in the VM's place"),
  variant(
    "i_front_noonce",
    "INIT FRONT NOONCE SMALL",
    "breaks",
    "TFTTTT",
    "the front draws evidence of one machine twice for one hello",
  ),
  variant(
    "i_weak_noswitch",
    "INIT WEAK NOSWITCH SMALL",
    "breaks",
    "F",
    "a genuine VM with an insecure switch is taken for one without",
    ["I2"],
  ),
  variant(
    "i_resume_noident",
    "INIT RESUME NOIDENT ALONE",
    "open",
    "??????",
    "a member that was taken over answers for the VM of the record",
  ),
  variant(
    "i_resume_nodisk",
    "INIT DIRECT NOACT RESUME NODISK SMALL",
    "open",
    "??????",
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
    "the answer's signature covers the same, see i_leakk_noans_nocacheck",
  ),
  variant(
    "i_nofounds",
    "INIT NOFOUNDS",
    "insurance",
    "TTTTTT",
    "the request's signature covers the same; nodes would refuse the cluster",
  ),
  variant("i_noname", "INIT NONAME", "insurance", "TTTTTT", "PCR 12 has the name too, see i_noname_nopcr12"),
  variant("j_nofound", "JOIN FRONT NOFOUND SMALL", "breaks", "F", "any self-made CA captures the node", ["J1"]),
  variant("j_nopcr12", "JOIN FRONT NOPCR12 SMALL", "breaks", "F", "a genuine VM that also obeys somebody else", ["J3"]),
  variant(
    "j_noact",
    "JOIN FRONT NOACT SMALL ALONE",
    "breaks",
    "FF",
    "an attestation key in software beside somebody's real endorsement key",
    ["Q1", "J3"],
  ),
  variant(
    "j_lost",
    "JOIN FRONT LOST SMALL",
    "open",
    "T?",
    "the CA key of another cluster leaked: it captures nodes of its own name, and no others (J1)",
    ["J1", "J2"],
  ),
  variant("j_lostsame", "JOIN FRONT LOSTSAME SMALL", "open", "T?", "the same under the same name", ["J1", "J2"]),
  variant(
    "d_nocb",
    "JOIN FRONT DIRECT NOACT NOCB SMALL",
    "breaks",
    "FF",
    "a man in the middle ends TLS on both sides",
    ["J2", "J3"],
  ),
  variant(
    "d_nopcr15",
    "JOIN FRONT DIRECT NOACT NOPCR15",
    "breaks",
    "FF",
    "a member that was taken over poses as fresh",
    ["Q1", "J3"],
  ),
  variant(
    "d_noname_lost",
    "JOIN FRONT DIRECT NOACT NONAME LOST SMALL",
    "breaks",
    "FF",
    "another cluster of the operator",
    ["J1", "J2"],
  ),
  variant(
    "d_noname_nopcr12",
    "JOIN FRONT DIRECT NOACT NONAME NOPCR12 SMALL",
    "breaks",
    "FF",
    "another cluster of the operator",
    ["J1", "J3"],
  ),
  variant("d_noseal", "JOIN FRONT DIRECT NOACT NOSEAL SMALL", "breaks", "F", "the front reads the cluster's keys", [
    "Q1",
  ]),
  variant(
    "d_notick",
    "JOIN FRONT DIRECT NOACT NOTICK SMALL",
    "breaks",
    "F",
    "the front changes the ticket's documents",
    ["J2"],
  ),
  variant(
    "d_nolists",
    "JOIN FRONT DIRECT NOACT NOLISTS SMALL",
    "breaks",
    "TF",
    "the front shows other foundings, successions and documents",
    ["J2", "J4"],
  ),
  variant(
    "d_noserving",
    "JOIN FRONT DIRECT NOACT NOSERVING SMALL",
    "breaks",
    "F",
    "the front gets a serving certificate for a key of its own",
    ["J3"],
  ),
  variant("d_nosvc", "JOIN FRONT DIRECT NOACT NOSVC SMALL", "breaks", "F", "the front shows other lists", ["J4"]),
  variant(
    "d_nosvc_notick_onekc",
    "JOIN FRONT DIRECT NOACT NOSVC NOTICK ONEKC SMALL",
    "breaks",
    "F",
    "an earlier certificate is used again",
    ["J2"],
  ),
  variant("d_nosubj", "JOIN FRONT DIRECT NOACT NOSUBJ SMALL", "open", "?", "a worker's key signs as a service", ["J4"]),
  variant(
    "d_weak_noswitch",
    "JOIN FRONT DIRECT NOACT WEAK NOSWITCH SMALL",
    "breaks",
    "F",
    "a genuine VM with an insecure switch is taken for one without",
    ["Q1"],
  ),
  variant(
    "d_rejoin_noadm",
    "JOIN FRONT DIRECT NOACT REJOIN NOADM SMALL",
    "breaks",
    "FF",
    "a worker that was taken over asks for a control plane's role",
    ["Q1", "J3"],
  ),
  variant(
    "d_renew_noadm",
    "JOIN FRONT DIRECT NOACT RENEW NOADM SMALL",
    "breaks",
    "FFF",
    "a member asks for another's name or role, or after its removal",
    ["Q1", "R1", "R2"],
  ),
  variant(
    "d_renew_byname",
    "JOIN FRONT DIRECT NOACT RENEW BYNAME SMALL",
    "breaks",
    "FF",
    "a worker that was taken over asks for a control plane's name and role",
    ["Q1", "R1"],
  ),
  variant(
    "d_renew_noremoval",
    "JOIN FRONT DIRECT NOACT RENEW NOREMOVAL SMALL",
    "breaks",
    "F",
    "a removed member renews",
    ["R2"],
  ),
  variant(
    "d_renew_nopurpose",
    "JOIN FRONT DIRECT NOACT RENEW NOPURPOSE SMALL",
    "breaks",
    "FF",
    "the front makes a renewal of a request to join again",
    ["J2", "J3"],
  ),
  variant(
    "d_renew_noserving",
    "JOIN FRONT DIRECT NOACT RENEW NOSERVING SMALL",
    "breaks",
    "F",
    "the front gets a serving certificate for a key of its own",
    ["J3"],
  ),
  variant(
    "k_renew_noidsig",
    "JOIN FRONT DIRECT NOACT KEYID RENEW NOIDSIG SMALL",
    "breaks",
    "F",
    "a member renews as another machine",
    ["J3"],
  ),
  variant(
    "d_tls_noseal",
    "JOIN DIRECT NOACT NOSEAL SMALL",
    "open",
    "?T?T?",
    "whether TLS alone hides the keys, as long as its own do not leak",
  ),
  variant("j_noname", "JOIN FRONT NONAME", "insurance", "TTTTT", "see d_noname_lost"),
  variant("j_nononce", "JOIN FRONT NONONCE", "insurance", "TTTTT", "against a binding that repeats"),
  variant("j_noa1", "JOIN FRONT NOA1", "breaks", "TTTFT", "a request is not bound to what was proposed"),
  variant("j_notag", "JOIN FRONT NOTAG", "insurance", "TTTTT", "against messages to come"),
  variant("e_base", "INIT JOIN FRONT DIRECT NOACT SMALL", "open", "??????????", "Init and Join end to end"),
  variant(
    "d_again",
    "JOIN FRONT DIRECT NOACT REJOIN AGAIN",
    "open",
    "?????",
    "a node asks again after its lock, its own side",
  ),
]);
