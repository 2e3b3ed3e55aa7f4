import assert from "node:assert/strict";

/** A function or class of the program that stops an attack: the nearest exported one, where a private one does it. */
export type Stopper = ((...args: never[]) => unknown) | (abstract new (...args: never[]) => unknown);

/** The title of an attack, with the names of what stops it. They are imports, so none can name what is gone. */
export function attack(title: string, ...stoppers: readonly [Stopper, ...Stopper[]]): string {
  return `${title} (stopped by ${[...new Set(stoppers.map(({ name }) => name))].join(", ")})`;
}

/** Asserts that an error of this side was thrown by a function, or by what that calls. */
export function assertThrownBy(error: Error, { name }: Stopper): void {
  assert.match(error.stack ?? "", new RegExp(`\\bat (?:async )?(?:new )?${name} `), `${name} did not stop it`);
}
