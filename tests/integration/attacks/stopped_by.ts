import assert from "node:assert/strict";

/**
 * A function or class of the program that stops an attack. If a private function stops it, this is the nearest exported
 * one.
 */
export type Stopper = ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown);

/**
 * Returns the title of an attack, with the names of the functions that stop it. The functions are imports, so a title
 * cannot name one that no longer exists.
 */
export function attack(title: string, ...stoppers: readonly [Stopper, ...Stopper[]]): string {
  return `${title} (stopped by ${[...new Set(stoppers.map(({ name }) => name))].join(", ")})`;
}

/** Asserts that this function, or a function that it calls, threw the error on this side. */
export function assertThrownBy(error: Error, { name }: Stopper): void {
  assert.match(error.stack ?? "", new RegExp(`\\bat (?:async )?(?:new )?${name} `), `${name} did not stop it`);
}
