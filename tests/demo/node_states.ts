/** What this needs of a list of Nodes. */
interface NodeList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}

/**
 * `Ready` or `NotReady` for each Node, by its name.
 *
 * @param json what `kubectl get nodes --output=json` prints
 */
export function nodeStates(json: string): Map<string, string> {
  const { items }: NodeList = JSON.parse(json);
  return new Map(items.map(({ metadata, status }) => {
    const isReady = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
    return [metadata.name, isReady ? "Ready" : "NotReady"];
  }));
}
