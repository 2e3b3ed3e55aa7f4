/**
 * Runs tasks one after the other, in the order in which they came; one that fails does not stop those behind it.
 *
 * @returns A function that adds a task and gives its result.
 */
export function createQueue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
}
