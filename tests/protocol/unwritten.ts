/**
 * The names in the models that no code has yet, each in the form of the models' comments. A change that writes the
 * code takes the names out: `model_test.ts` fails when the code has a name of this list, or when no model has it.
 *
 * @module
 */

/** Founding among equals. */
export const UNWRITTEN: readonly string[] = Object.freeze([]);
