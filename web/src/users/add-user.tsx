import { useState } from "react";
import { useChange } from "@/api/use-change";
import { Choice } from "@/ui/choice";
import { Field } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
import { ShownOnce } from "@/ui/once";
import { addUser } from "./queries";
import { PASSWORD_CHARS_MIN, ROLES, type Role } from "./roles";

export function AddUser({ onClose }: { onClose: () => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("user");
  const [password, setPassword] = useState("");
  const call = useChange(
    () => addUser(email.trim(), role, password === "" ? null : password),
    ["users"],
    ({ password }) => (password == null ? onClose() : undefined),
  );
  const made = call.data?.password;
  if (made != null)
    return (
      <ShownOnce
        title={`The password of ${email.trim()}`}
        secret={made}
        what="the password"
        onClose={onClose}
      >
        <p className="text-muted">They log in with it here, and may set another one in their profile.</p>
      </ShownOnce>
    );
  return (
    <FormDialog title="Add a user" action="Add" call={call} onClose={onClose}>
      <Field
        label="E-mail address"
        type="email"
        required
        autoFocus
        autoComplete="off"
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      <Choice label="Role" value={role} options={ROLES} onChange={setRole} />
      <Field
        label="Password"
        type="password"
        autoComplete="new-password"
        placeholder="Made up, and shown once"
        hint={`Leave it empty to have one made; else ${PASSWORD_CHARS_MIN} characters at least.`}
        minLength={PASSWORD_CHARS_MIN}
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
    </FormDialog>
  );
}
