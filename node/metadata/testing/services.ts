/**
 * Real metadata services for tests, which speak EC2's and OpenStack's protocols.
 *
 * @module
 */

/** What a service has, by path. */
export type Served = Readonly<Record<string, string>>;

/** A machine's metadata as EC2's service has it. */
export const EC2: Served = {
  "/latest/meta-data/local-hostname": "ip-10-77-0-21.ec2.internal",
  "/latest/meta-data/local-ipv4": "10.77.0.21",
  "/latest/meta-data/tags/instance/bootstrapper-role": "control-plane",
  "/latest/meta-data/tags/instance/bootstrapper-endpoints": "10.77.0.11:9444 dns:join.example.org:9444",
};

/** A machine's metadata as OpenStack's service has it. */
export const OPENSTACK: Served = {
  "/openstack/latest/meta_data.json": JSON.stringify({
    uuid: "d8e02d56-2648-49a3-bf97-6be8f1204f38",
    hostname: "worker-1.novalocal",
    name: "worker-1",
    meta: { "bootstrapper-role": "worker", "bootstrapper-endpoints": "10.77.0.11:9444,10.77.0.12:9444" },
    public_keys: { mykey: "ssh-rsa AAAA" },
    devices: [],
  }),
  "/openstack/latest/network_data.json": JSON.stringify({
    links: [{ id: "tap1", type: "bridge", ethernet_mac_address: "fa:16:3e:9c:bf:3d" }],
    networks: [
      { id: "network0", type: "ipv4", link: "tap1", ip_address: "10.77.0.22", netmask: "255.255.255.0", routes: [] },
      { id: "network1", type: "ipv4_dhcp", link: "tap1" },
    ],
    services: [],
  }),
};

/** cloud-init's file, as NoCloud's metadata is in it. */
export const INSTANCE_DATA = JSON.stringify({
  ds: {
    _doc: "EXPERIMENTAL",
    meta_data: {
      "instance-id": "i-1",
      "local-hostname": "worker-1",
      "bootstrapper-address": "10.77.0.23",
      "bootstrapper-role": "worker",
      "bootstrapper-endpoints": ["10.77.0.11:9444", "srv:_bootstrapper._tcp.example.org"],
    },
  },
  sensitive_keys: [],
  v1: { local_hostname: "worker-1", platform: "nocloud" },
});

/** A service on loopback. */
export interface MetadataService extends AsyncDisposable {
  readonly base: string;
  /** The requests so far, as `METHOD PATH`. */
  readonly asked: readonly string[];
}

/** Starts a service. */
export function serveMetadata(handler: (request: Request) => Response | Promise<Response>): MetadataService {
  const asked: string[] = [];
  const end = new AbortController();
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: end.signal } as const;
  const server = Deno.serve(options, (request) => {
    asked.push(`${request.method} ${new URL(request.url).pathname}`);
    return handler(request);
  });
  return {
    base: `http://127.0.0.1:${server.addr.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      // A request that is under way is not waited for.
      end.abort();
      await server.finished;
    },
  };
}

/** Answers as a service that wants no token. */
export function answering(served: Served): (request: Request) => Response {
  return (request) => {
    const text = served[new URL(request.url).pathname];
    return text === undefined ? new Response("404 - Not Found", { status: 404 }) : new Response(text);
  };
}

/** Answers as IMDSv2 does: 401 without the token that a PUT gives. */
export function imdsv2(served: Served, token = "AQAEAHxJ=="): (request: Request) => Response {
  return (request) => {
    if (request.method === "PUT") {
      const isAsked = new URL(request.url).pathname === "/latest/api/token" &&
        request.headers.get("x-aws-ec2-metadata-token-ttl-seconds") === "60";
      return isAsked ? new Response(token) : new Response("", { status: 400 });
    }
    if (request.headers.get("x-aws-ec2-metadata-token") !== token) return new Response("", { status: 401 });
    return answering(served)(request);
  };
}
