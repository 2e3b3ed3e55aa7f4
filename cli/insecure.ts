/** What people are told where a policy believes everybody. */
export const INSECURE =
  "INSECURE: the policy accepts evidence of the kind none, which proves nothing about this machine";
