/** The warning for a policy that accepts evidence of the kind `none`. */
export const INSECURE =
  "INSECURE: the policy accepts evidence of the kind none, which proves nothing about this machine";
