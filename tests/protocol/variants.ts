/**
 * The models and their variants.
 *
 * @module
 */
import { BOOTSTRAPPER, BOOTSTRAPPER_VARIANTS } from "./bootstrapper_variants.ts";
import { FOUNDING, FOUNDING_VARIANTS } from "./founding_variants.ts";
import type { Model, Variant } from "./variant.ts";

/** All models. */
export const MODELS: readonly Model[] = Object.freeze([BOOTSTRAPPER, FOUNDING]);

/** All variants of all models. */
export const VARIANTS: readonly Variant[] = Object.freeze([...BOOTSTRAPPER_VARIANTS, ...FOUNDING_VARIANTS]);
