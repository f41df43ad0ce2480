export type Role = "reader" | "user" | "admin";

/** What a role is for. */
export const ROLES: readonly { value: Role; text: string; hint: string }[] = [
  { value: "reader", text: "Reader", hint: "Sees everything but secrets, and changes nothing." },
  {
    value: "user",
    text: "User",
    hint: "Deploys, changes projects and their domains, runs commands in replicas.",
  },
  { value: "admin", text: "Admin", hint: "Also manages users, nodes and settings, and reads the audit log." },
];

/** The fewest characters of a password. */
export const PASSWORD_CHARS_MIN = 8;
