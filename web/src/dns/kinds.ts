/** One of the things that let the cluster in at a provider. */
export interface CredentialField {
  name: string;
  label: string;
  hint?: string;
  placeholder?: string;
  /** Whether it is hidden while it is written. */
  secret?: boolean;
  /** Whether it may be left out. */
  optional?: boolean;
}

export interface Kind {
  value: string;
  text: string;
  /** What the account has to be allowed. */
  rights: string;
  /** Its credentials, field by field; nothing where the provider gives them as a file, which is pasted as it is. */
  fields: readonly CredentialField[] | null;
}

const TOKEN: CredentialField = { name: "token", label: "Token", secret: true };

/** The providers that the cluster keeps records at. */
export const KINDS: readonly Kind[] = [
  {
    value: "cloudflare",
    text: "Cloudflare",
    rights: "An API token that may read the zones and edit their DNS (Zone:Read and DNS:Edit).",
    fields: [TOKEN],
  },
  {
    value: "route53",
    text: "Amazon Route 53",
    rights:
      "A user or role with route53:ListHostedZonesByName, ListResourceRecordSets and ChangeResourceRecordSets.",
    fields: [
      { name: "access_key_id", label: "Access key ID" },
      { name: "secret_access_key", label: "Secret access key", secret: true },
      {
        name: "session_token",
        label: "Session token",
        secret: true,
        optional: true,
        hint: "Only for roles.",
      },
    ],
  },
  {
    value: "digitalocean",
    text: "DigitalOcean",
    rights: "A token with the scopes domain:read, domain:create, domain:update and domain:delete.",
    fields: [TOKEN],
  },
  {
    value: "hetzner",
    text: "Hetzner",
    rights: "A token of a project of the Cloud console that may read and write.",
    fields: [TOKEN],
  },
  {
    value: "google",
    text: "Google Cloud DNS",
    rights:
      "The key file of a service account, as it is, which may list managed zones and list, create, update and delete record sets.",
    fields: null,
  },
  {
    value: "azure",
    text: "Azure DNS",
    rights: "A service principal with the role DNS Zone Contributor of the zones.",
    fields: [
      { name: "tenant_id", label: "Tenant ID" },
      { name: "client_id", label: "Client ID", hint: "What az prints as appId." },
      { name: "client_secret", label: "Client secret", secret: true, hint: "What az prints as password." },
      { name: "subscription_id", label: "Subscription ID" },
      { name: "resource_group", label: "Resource group" },
    ],
  },
  {
    value: "rfc2136",
    text: "A server of your own (RFC 2136)",
    rights: "A key that may transfer (AXFR) and update the zones, at BIND, Knot DNS and others.",
    fields: [
      { name: "server", label: "Primary server", placeholder: "ns1.example.com:53" },
      { name: "key", label: "Name of the key" },
      { name: "secret", label: "Key in Base64", secret: true },
      {
        name: "algorithm",
        label: "Algorithm",
        placeholder: "hmac-sha256",
        optional: true,
        hint: "hmac-sha256, hmac-sha384 or hmac-sha512.",
      },
    ],
  },
];

export function kindOf(value: string): Kind | undefined {
  return KINDS.find((kind) => kind.value === value);
}

/** What was written of each field, by its name; a pasted file by `FILE`. */
export type Written = Readonly<Record<string, string>>;

export const FILE = "file";

/** The credentials as the API takes them; nothing where what was pasted cannot be a key file. */
export function credentials(kind: Kind, written: Written): Record<string, string> | undefined {
  if (kind.fields !== null)
    return Object.fromEntries(
      kind.fields.flatMap(({ name }) => {
        const value = written[name]?.trim() ?? "";
        return value === "" ? [] : [[name, value]];
      }),
    );
  try {
    const read: unknown = JSON.parse(written[FILE] ?? "");
    return typeof read === "object" && read !== null ? (read as Record<string, string>) : undefined;
  } catch {
    return undefined;
  }
}
