/** The units of a join service: the one that holds the keys, and the one that listens for it. */
export const JOIN_SERVICE_UNITS = ["bootstrapper-join-signer.service", "bootstrapper-join-front.service"] as const;
