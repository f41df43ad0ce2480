import type { Permission } from "@/session/permission";

export interface Place {
  to:
    | "/settings"
    | "/settings/certificates"
    | "/settings/dns"
    | "/settings/protection"
    | "/settings/headers"
    | "/settings/users"
    | "/settings/api-keys"
    | "/settings/audit"
    | "/settings/profile";
  text: string;
  /** What one has to be allowed to see it. */
  needs: Permission;
}

/** The pages of the settings, in groups. */
export const GROUPS: readonly { title: string; places: readonly Place[] }[] = [
  {
    title: "Cluster",
    places: [
      { to: "/settings", text: "General", needs: "read" },
      { to: "/settings/certificates", text: "Certificates", needs: "read" },
      { to: "/settings/dns", text: "DNS", needs: "read" },
      { to: "/settings/protection", text: "Protection", needs: "read" },
      { to: "/settings/headers", text: "Security headers", needs: "read" },
    ],
  },
  {
    title: "Access",
    places: [
      { to: "/settings/users", text: "Users", needs: "admin" },
      { to: "/settings/api-keys", text: "API keys", needs: "read" },
      { to: "/settings/audit", text: "Audit log", needs: "admin" },
    ],
  },
  { title: "You", places: [{ to: "/settings/profile", text: "Profile", needs: "read" }] },
];

/** Those that somebody may see. */
export function placesFor(permissions: readonly string[]) {
  return GROUPS.map(({ title, places }) => ({
    title,
    places: places.filter(({ needs }) => permissions.includes(needs)),
  })).filter(({ places }) => places.length > 0);
}
