/**
 * The names of container images.
 *
 * @module
 */

const DEFAULT_REGISTRY = "docker.io";

/**
 * Gives an image's name its full form, as containerd does before it looks for the image (`ParseDockerRef()` of
 * `github.com/distribution/reference`): with the registry, and with either a digest or a tag. The digest decides where
 * there are both, and `latest` is the tag where there is neither.
 */
export function imageName(text: string): string {
  const [, name = text, tag, digest] = /^([^@]*?)(?::([^:/@]*))?(?:@(.*))?$/s.exec(text) ?? [];
  const repository = repositoryName(name);
  return digest === undefined ? `${repository}:${tag ?? "latest"}` : `${repository}@${digest}`;
}

/** The first part is a registry if it has the form of a host: `splitDockerDomain()` of the same package. */
function repositoryName(name: string): string {
  const [first = "", ...rest] = name.split("/");
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  const registry = !isHost || first === "index.docker.io" ? DEFAULT_REGISTRY : first;
  const path = isHost ? rest.join("/") : name;
  return `${registry}/${registry === DEFAULT_REGISTRY && !path.includes("/") ? "library/" : ""}${path}`;
}
