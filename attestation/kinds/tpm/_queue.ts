/**
 * Runs tasks one at a time, in the order in which they were added. A failed task does not stop the tasks after it.
 *
 * @returns A function that adds a task and returns the task's result.
 */
export function createQueue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
}
