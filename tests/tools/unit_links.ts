/** A symbolic link that enables a unit. */
export interface UnitLink {
  readonly path: string;
  /** The path to which the link points. */
  readonly target: string;
}

const folders: Readonly<Record<string, string>> = { WantedBy: "wants", RequiredBy: "requires" };

/**
 * Returns the links that `systemctl enable` would make for a unit in `/etc/systemd/system`, from `WantedBy` and
 * `RequiredBy` in its `[Install]` section.
 *
 * @param name the unit's name, such as `kubelet.service`
 * @param text the unit file's content
 * @throws Error when the section has neither.
 */
export function unitLinks(name: string, text: string): UnitLink[] {
  const install = text.split(/^\[/m).find((section) => section.startsWith("Install]")) ?? "";
  const links = [...install.matchAll(/^(WantedBy|RequiredBy)=(.*)$/gm)].flatMap(([, key = "", units = ""]) =>
    units.split(/\s+/).filter((unit) => unit !== "").map((unit) => ({
      path: `/etc/systemd/system/${unit}.${folders[key]}/${name}`,
      target: `/etc/systemd/system/${name}`,
    }))
  );
  if (links.length === 0) throw new Error(`Cannot enable "${name}" as its [Install] section names no unit`);
  return links;
}
