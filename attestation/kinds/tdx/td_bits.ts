/**
 * The bits of TDATTRIBUTES and XFAM (Intel TDX Module ABI Specification, TDATTRIBUTES and XFAM; Intel SDM 1, 13).
 *
 * @module
 */

/** Bits of TDATTRIBUTES, by their numbers. */
export const ATTRIBUTE_BITS = {
  lass: 27,
  septVeDisable: 28,
  migratable: 29,
  pks: 30,
  keyLocker: 31,
  tpa: 62,
  perfmon: 63,
} as const;

/** The bits 0 to 7 of TDATTRIBUTES, DEBUG among them: any of them exposes the TD to observation. */
export const UNDER_DEBUG_BITS = 8;

/** Attributes that no policy can allow: the host may move the TD elsewhere, or another TD has power over it. */
export const DANGEROUS_ATTRIBUTES: readonly (keyof typeof ATTRIBUTE_BITS)[] = ["migratable", "tpa"];

/** From here on attributes do not affect a TD's security, says Intel; those below may. */
export const FIRST_HARMLESS_ATTRIBUTE = 32;

/** Bits of XFAM, by their numbers. */
export const XFAM_BITS = {
  x87: 0,
  sse: 1,
  avx: 2,
  avx512Opmask: 5,
  avx512ZmmHigh: 6,
  avx512Zmm: 7,
  pt: 8,
  pkru: 9,
  cetUser: 11,
  cetSupervisor: 12,
  uintr: 14,
  lbr: 15,
  amxTileConfiguration: 17,
  amxTileData: 18,
} as const;

/** The features that every TD has. */
export const FIXED_FEATURES: readonly (keyof typeof XFAM_BITS)[] = ["x87", "sse"];
