/** The fields of a list of Nodes that this module reads. */
interface NodeList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}

/**
 * Returns `Ready` or `NotReady` for each Node, by its name.
 *
 * @param json the output of `kubectl get nodes --output=json`
 */
export function nodeStates(json: string): Map<string, string> {
  const { items }: NodeList = JSON.parse(json);
  return new Map(items.map(({ metadata, status }) => {
    const isReady = status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
    return [metadata.name, isReady ? "Ready" : "NotReady"];
  }));
}
