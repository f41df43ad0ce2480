import type { Settings } from "@/api/types";

type Bounds = Settings["edge"];

/** The bounds of the edge that are numbers. */
export type Bound = {
  [K in keyof Bounds]-?: NonNullable<Bounds[K]> extends number ? K : never;
}[keyof Bounds];

/** What each bound means, and the least that it may be. */
export const BOUNDS: readonly { name: Bound; label: string; hint?: string; min: number }[] = [
  { name: "connections_max", label: "Connections at once", min: 1 },
  { name: "connections_per_client_max", label: "Connections of one client", min: 1 },
  { name: "connection_seconds_max", label: "Seconds that a connection lasts", min: 1 },
  { name: "connection_requests_max", label: "Requests that a connection lasts", min: 1 },
  { name: "idle_seconds_max", label: "Seconds between requests", min: 1 },
  { name: "header_seconds_max", label: "Seconds for the headers", min: 1 },
  { name: "header_bytes_max", label: "Octets of all headers", min: 1 },
  { name: "headers_max", label: "Headers of a request", min: 1 },
  { name: "body_bytes_max", label: "Octets of a body", min: 1 },
  { name: "body_rate_min", label: "Octets a second of a body", hint: "At least; 0 for any.", min: 0 },
  {
    name: "upstream_read_seconds_max",
    label: "Seconds of an app’s silence",
    hint: "Then its answer is given up.",
    min: 1,
  },
];
